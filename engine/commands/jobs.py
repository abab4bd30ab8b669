# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech jobs``: trainings and captures that run in the background."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text
from tyro.extras import SubcommandApp

from engine.commands.console import print_result
from engine.jobs import folder as job_folders
from engine.jobs.folder import default_folder, job_folder
from engine.jobs.results import read_preview, summarize
from engine.jobs.summary import JobSummary, duration_text

app = SubcommandApp()
app.__doc__ = "List, follow, cancel, resume and remove trainings and captures in the background."

_LOG_LINES = 10

_Id = Annotated[str, tyro.conf.Positional]


@app.command(name="list")
def list_all(*, folder: Path | None = None, json: bool = False) -> int:
    """List the jobs, the latest first.

    Args:
        folder: folder of the jobs.
        json: print one JSON array.
    """
    found = [summarize(job) for job in job_folders.list_jobs(folder or default_folder())]
    if json:
        print(json_format.dumps([_facts(job) | _details(job) for job in found]))
        return 0
    if not found:
        print(f"There are no jobs in {folder or default_folder()}.")
        return 0
    columns = ("job", "state", "step", "loss", "eta", "message")
    table = Table("job", "state", "step", "loss", "left", "message")
    for job in found:
        facts = _words(job)
        # Text: what a job says is no markup.
        table.add_row(*(Text(str(facts.get(name, ""))) for name in columns))
    Console().print(table)
    return 0


@app.command
def show(job: _Id, *, folder: Path | None = None, json: bool = False) -> int:
    """Show one job and the end of its log.

    Args:
        job: id of the job, as 'jobs list' prints it.
        folder: folder of the jobs.
        json: print one JSON object.
    """
    where = _folder_of(job, folder)
    found, log = summarize(job_folders.show(where)), job_folders.log_tail(where, _LOG_LINES)
    if json:
        print_result(_facts(found) | _details(found) | {"log": log}, as_json=True)
        return 0
    print_result(_words(found), as_json=False)
    print(*log, sep="\n")
    return 0


@app.command
def cancel(job: _Id, *, folder: Path | None = None, at_once: bool = False) -> int:
    """Ask a job to save a checkpoint and stop.

    Args:
        job: id of the job.
        folder: folder of the jobs.
        at_once: end it without waiting for a checkpoint.
    """
    found = job_folders.cancel(_folder_of(job, folder), at_once=at_once)
    print_result(_words(summarize(found)), as_json=False)
    return 0


@app.command
def resume(job: _Id, *, folder: Path | None = None) -> int:
    """Start a cancelled or failed job again from its last checkpoint.

    Args:
        job: id of the job.
        folder: folder of the jobs.
    """
    found = job_folders.resume(_folder_of(job, folder))
    print_result(_words(summarize(found)), as_json=False)
    return 0


@app.command
def remove(job: _Id, *, folder: Path | None = None) -> int:
    """Delete the folder of a job that has ended, with all that it made.

    Args:
        job: id of the job.
        folder: folder of the jobs.
    """
    job_folders.remove(_folder_of(job, folder))
    return 0


@app.command
def preview(job: _Id, *, folder: Path | None = None) -> int:
    """Write a job's latest picture to stdout, as its file is.

    Args:
        job: id of the job.
        folder: folder of the jobs.
    """
    sys.stdout.buffer.write(read_preview(job_folders.show(_folder_of(job, folder))))
    return 0


@app.command(name="folder")
def print_folder(*, json: bool = False) -> int:
    """Print where jobs lie unless --folder says otherwise.

    Args:
        json: print one JSON object.
    """
    print_result({"folder": default_folder()}, as_json=json)
    return 0


def _folder_of(job: str, folder: Path | None) -> Path:
    return job_folder(folder or default_folder(), job)


def _details(job: JobSummary) -> dict[str, Any]:
    """What programs want to know besides: numbers, times and results."""
    names = (
        "notes",
        "kind",
        "data",
        "total",
        "created",
        "updated",
        "preview",
        "results",
        "resumable",
    )
    return {"steps": job.step} | {name: getattr(job, name) for name in names}


def _facts(job: JobSummary) -> dict[str, Any]:
    return {
        "job": job.id,
        "state": str(job.state),
        "step": f"{job.step}/{job.total}" if job.total else job.step,
        "loss": job.loss,
        "eta": None if job.eta is None else round(job.eta),
        "message": job.message,
        **({"notes": " ".join(job.notes)} if job.notes else {}),
        "folder": job.folder,
    }


def _words(job: JobSummary) -> dict[str, Any]:
    """What there is to say of a job, for people."""
    eta = None if job.eta is None else duration_text(job.eta)
    loss = None if job.loss is None else f"{job.loss:.4g}"
    facts = _facts(job) | {"loss": loss, "eta": eta}
    return {name: value for name, value in facts.items() if value is not None}
