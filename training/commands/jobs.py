# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech jobs``: trainings that run in the background."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table
from tyro.extras import SubcommandApp

from engine.commands.console import print_result
from engine.runtime import cache_folder
from training import jobs as job_folders
from training.jobs import Job

app = SubcommandApp()

_LOG_LINES = 10


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
        print(json_format.dumps([_facts(job) for job in found], default=str))
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
    print_result(_facts(found) | ({"log": log} if json else {}), as_json=json)
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


def _folder_of(job: str, folder: Path | None) -> Path:
    return (folder or default_folder()) / job


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
