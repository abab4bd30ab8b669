# SPDX-License-Identifier: GPL-3.0-or-later
"""``jobs.*``: everything about trainings in the background, answered while other work runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np

from engine.core import platforms
from engine.core.errors import BadInputError, GaussianSpeechError
from engine.core.progress import Progress
from engine.jobs import folder as job_folders
from engine.jobs.command import JobCommand, environment
from engine.jobs.folder import default_folder, free_name, job_folder
from engine.jobs.record import Job
from engine.jobs.results import read_preview, summarize
from engine.serving.request import Method, Reply, Request

_TICK = 0.2
"""Seconds between two looks whether a start was cancelled."""

_PREFIX = "gaussianspeech: "
"""How the command line's message on stderr begins."""

_MOST_LINES = _MOST_JOBS = 1000


def job_methods() -> dict[str, Method]:
    """The methods by name."""
    return {
        "jobs.list": list_jobs,
        "jobs.start": start,
        "jobs.show": show,
        "jobs.cancel": cancel,
        "jobs.resume": resume,
        "jobs.remove": remove,
        "jobs.preview": preview,
        "jobs.log": log,
    }


def list_jobs(request: Request) -> Reply:
    """The jobs of a folder, the latest first; at most a thousand."""
    root = _root(request)
    request.params.no_others()
    jobs = [summarize(job).to_json() for job in job_folders.list_jobs(root)[:_MOST_JOBS]]
    return Reply({"folder": str(root), "jobs": jobs})


def start(request: Request) -> Reply:
    """Start a command of this project as a job in a new folder.

    The command line itself does it, so that it checks its options and data as it does in a
    terminal, before there is a job.
    """
    root, params = _root(request), request.params
    command = JobCommand(params.text("command"), params.texts("options"))
    out = root / free_name(root, params.text("title"))
    params.no_others()
    answer = _run(command.argv(out, "--background", "--json"), command.name, request.progress)
    try:
        started = job_folders.show(str(json.loads(answer)["folder"]))
    except (ValueError, KeyError, TypeError) as error:
        raise GaussianSpeechError(
            f"'{command.name}' printed something unexpected: {answer[:200]}"
        ) from error
    return _reply(started)


def show(request: Request) -> Reply:
    """One job."""
    return _reply(job_folders.show(_folder(request)))


def cancel(request: Request) -> Reply:
    """Ask a job to save a checkpoint and stop, or end it."""
    at_once = request.params.flag("at_once", default=False)
    return _reply(job_folders.cancel(_folder(request), at_once=at_once))


def resume(request: Request) -> Reply:
    """Start a job again from its last checkpoint."""
    return _reply(job_folders.resume(_folder(request)))


def remove(request: Request) -> Reply:
    """Delete the folder of a job that has ended."""
    job_folders.remove(_folder(request))
    return Reply()


def preview(request: Request) -> Reply:
    """The latest picture of a job, as its file is."""
    job = job_folders.show(_folder(request))
    picture = np.frombuffer(read_preview(job), np.uint8)
    return Reply({"job": summarize(job).to_json()}, {"picture": picture})


def log(request: Request) -> Reply:
    """The last lines that a job printed."""
    lines = request.params.whole("lines", 20, 1, _MOST_LINES)
    return Reply({"lines": job_folders.log_tail(_folder(request), lines)})


def _root(request: Request) -> Path:
    given = request.params.text("folder", None)
    return default_folder() if given is None else Path(given)


def _folder(request: Request) -> Path:
    """The folder of the job that a request names; all other parameters have been read."""
    folder = job_folder(_root(request), request.params.text("job"))
    request.params.no_others()
    return folder


def _reply(job: Job) -> Reply:
    return Reply({"job": summarize(job).to_json()})


def _run(argv: list[str], name: str, progress: Progress) -> str:
    """What a command prints.

    Raises:
        GaussianSpeechError: it failed, with what it says.
        CancelledError: the request was cancelled.
    """
    process = platforms.Child(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment(),
    )
    while True:
        try:
            output, said = process.communicate(timeout=_TICK)
            break
        except subprocess.TimeoutExpired:
            try:
                progress(0.0, f"starting {name}")
            except BaseException:
                process.kill()
                process.communicate()
                raise
    if process.returncode == 0:
        return str(output)
    lines = [line.strip("│╭╮╰╯─ ") for line in said.splitlines()]
    for line in reversed(lines):
        if line.startswith(_PREFIX):
            raise BadInputError(line.removeprefix(_PREFIX))
    raise GaussianSpeechError(
        f"'{name}' ended with exit code {process.returncode}.",
        f"The end of its output: {' '.join(filter(None, lines[-6:]))}",
    )
