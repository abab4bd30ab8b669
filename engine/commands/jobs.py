# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech jobs``: trainings that run in the background."""

from __future__ import annotations

import json as json_format
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table
from tyro.extras import SubcommandApp

from engine.commands.console import print_result
from engine.core.errors import BadInputError
from engine.core.runtime import cache_folder
from engine.jobs import folder as job_folders
from engine.jobs.folder import Job
from engine.jobs.status import State

app = SubcommandApp()
app.__doc__ = "Look after trainings and captures in the background."

_LOG_LINES = 10

RESULTS = {"avatar": "avatar.safetensors", "speech": "speech_model.safetensors"}
"""What a job leaves in its folder for others to use, by kind."""

VIEWS = "transforms_train.json"
"""What makes a folder a capture that can be trained on."""


def default_folder() -> Path:
    """Where jobs lie unless --folder says otherwise; Blender's panel reads the same."""
    return cache_folder() / "jobs"


@app.command(name="list")
def list_all(*, folder: Path | None = None, json: bool = False) -> int:
    """List the jobs, the latest first.

    Args:
        folder: folder of the jobs.
        json: print one JSON array.
    """
    found = job_folders.list_jobs(folder or default_folder())
    if json:
        print(json_format.dumps([_facts(job) | _details(job) for job in found], default=str))
        return 0
    if not found:
        print(f"There are no jobs in {folder or default_folder()}.")
        return 0
    table = Table("job", "state", "step", "loss", "seconds to go", "message")
    for job in found:
        facts = _facts(job)
        columns = ("job", "state", "step", "loss", "eta", "message")
        table.add_row(*("" if facts[name] is None else str(facts[name]) for name in columns))
    Console().print(table)
    return 0


@app.command
def show(
    job: Annotated[str, tyro.conf.Positional], *, folder: Path | None = None, json: bool = False
) -> int:
    """Show one job and the end of its log.

    Args:
        job: id of the job, as 'jobs list' prints it.
        folder: folder of the jobs.
        json: print one JSON object.
    """
    found = job_folders.show(_folder_of(job, folder))
    log = job_folders.log_tail(found.folder, _LOG_LINES)
    print_result(_facts(found) | (_details(found) | {"log": log} if json else {}), as_json=json)
    if not json:
        print(*log, sep="\n")
    return 0


@app.command
def cancel(
    job: Annotated[str, tyro.conf.Positional], *, folder: Path | None = None, at_once: bool = False
) -> int:
    """Ask a job to save a checkpoint and stop.

    Args:
        job: id of the job.
        folder: folder of the jobs.
        at_once: end it without waiting for a checkpoint.
    """
    found = job_folders.cancel(_folder_of(job, folder), at_once=at_once)
    print_result(_facts(found), as_json=False)
    return 0


@app.command
def resume(job: Annotated[str, tyro.conf.Positional], *, folder: Path | None = None) -> int:
    """Start a cancelled or failed job again from its last checkpoint.

    Args:
        job: id of the job.
        folder: folder of the jobs.
    """
    found = job_folders.resume(_folder_of(job, folder))
    print_result(_facts(found), as_json=False)
    return 0


@app.command
def remove(job: Annotated[str, tyro.conf.Positional], *, folder: Path | None = None) -> int:
    """Delete the folder of a job that has ended, with all that it made.

    Args:
        job: id of the job.
        folder: folder of the jobs.
    """
    found = job_folders.show(_folder_of(job, folder))
    if found.running:
        raise BadInputError(f"The job {found.id} is running.", "Cancel it first.")
    shutil.rmtree(found.folder)
    return 0


@app.command
def preview(job: Annotated[str, tyro.conf.Positional], *, folder: Path | None = None) -> int:
    """Write a job's latest picture to stdout, as its file is: for programs on other machines.

    Args:
        job: id of the job.
        folder: folder of the jobs.
    """
    found = job_folders.show(_folder_of(job, folder))
    picture = found.folder / found.status.preview
    if not found.status.preview or not picture.is_file():
        raise BadInputError(f"The job {found.id} has no picture yet.", "Try again later.")
    sys.stdout.buffer.write(picture.read_bytes())
    return 0


@app.command(name="folder")
def print_folder(*, json: bool = False) -> int:
    """Tell where jobs lie unless --folder says otherwise.

    Args:
        json: print one JSON object.
    """
    print_result({"folder": default_folder()}, as_json=json)
    return 0


def _folder_of(job: str, folder: Path | None) -> Path:
    return (folder or default_folder()) / job


def _details(job: Job) -> dict[str, Any]:
    """What programs want to know besides: numbers, times and what there is to use."""
    status = job.status
    picture = job.folder / status.preview
    seen = bool(status.preview) and picture.is_file()
    made = {
        kind: job.folder / name
        for kind, name in RESULTS.items()
        if not job.running and (job.folder / name).is_file()
    }
    if status.state is State.FINISHED and (job.folder / VIEWS).is_file():
        made["capture"] = job.folder
    return {
        "kind": str(job.config.get("kind", "")),
        "data": str(job.config.get("data", "")),
        "steps": status.step,
        "total": status.total,
        "created": job.created,
        "updated": status.updated,
        "preview": picture.stat().st_mtime_ns if seen else 0,
        "results": {kind: str(path) for kind, path in made.items()},
    }


def _facts(job: Job) -> dict[str, Any]:
    status = job.status
    return {
        "job": job.id,
        "state": "cancelling" if job.cancelling else str(status.state),
        "step": f"{status.step}/{status.total}" if status.total else status.step,
        "loss": status.loss,
        "eta": None if status.eta is None else round(status.eta),
        "message": status.message,
        "folder": job.folder,
    }
