# SPDX-License-Identifier: GPL-3.0-or-later
"""``job.json``: what a job runs, and its process; written by whoever starts it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.core import platforms
from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject, parse_json
from engine.jobs.command import JobCommand
from engine.jobs.process import Process, is_running, runs_words
from engine.jobs.status import (
    ENDED,
    REMEDY,
    JobStatus,
    State,
    read_object,
    read_status,
    write_object,
)

JOB = "job.json"
CANCEL = "cancel"
STARTING = "starting"
CHECKPOINTS = "checkpoints"

_STALE_LOCK = 30.0
"""Seconds after which a lock that names nobody counts as left behind."""
_LARGEST_LOCK = 4096

_GONE = (
    "The process ended without saying why: memory may have run out, or the computer was switched "
    "off. The log may say more; resume the job, and it goes on from its last checkpoint."
)

_FORMAT = "gaussianspeech-job-2"
_FORMAT_0_1 = "gaussianspeech-job-1"
"""Version 0.1.0: ``command`` holds program and arguments, the process's start is opaque text."""


@dataclass(frozen=True)
class Job:
    """A job as its folder says.

    Attributes:
        folder: the job's folder; its name is the job's id.
        command: what it runs; ``None`` where that is no command of this project, so that the job
            cannot be resumed.
        config: the full configuration of the training, for people and for the worker.
        cwd: the worker's working folder.
        created: seconds since 1970.
        process: of the latest run; ``None`` before the first.
        runs: how often it was started.
        status: how far it is; a process that ended without writing so counts as failed.
    """

    folder: Path
    command: JobCommand | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    cwd: str = "."
    created: float = 0.0
    process: Process | None = None
    runs: int = 0
    status: JobStatus = field(default_factory=JobStatus)

    @property
    def id(self) -> str:
        """The name of the folder."""
        return self.folder.name

    @property
    def running(self) -> bool:
        """Whether its process runs or is about to."""
        return self.status.state not in ENDED

    @property
    def resumable(self) -> bool:
        """Whether it ended before its time, and can be started again."""
        return self.status.state in (State.CANCELLED, State.FAILED) and self.command is not None

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / CHECKPOINTS

    @property
    def alive(self) -> bool:
        """Whether its process runs, or one is being started."""
        if self.process is None:
            return being_started(self.folder)
        return is_running(self.process)


def read_job(folder: Path) -> Job:
    """A job without its status.

    Raises:
        BadInputError: the folder holds no job, or a damaged one.
    """
    path = folder / JOB
    if not path.is_file():
        raise BadInputError(f"There is no job in {folder}.", "Check the path.")
    content = read_object(path)
    form = content.text("format")
    if form not in (_FORMAT, _FORMAT_0_1):
        raise BadInputError(
            f"{path} has the format {form[:40]!r}.", "Use the version that made the job."
        )
    job = Job(
        folder,
        config=content.group("config").values,
        cwd=content.text("cwd"),
        created=content.number("created"),
        runs=content.whole("runs"),
    )
    return _with_run_0_1(job, content) if form == _FORMAT_0_1 else _with_run(job, content)


def write_job(job: Job) -> None:
    """Write ``job.json``.

    Raises:
        BadInputError: values that JSON does not have.
    """
    command = None
    if job.command is not None:
        command = {"name": job.command.name, "options": list(job.command.options)}
    content = {
        "format": _FORMAT,
        "command": command,
        "config": dict(job.config),
        "cwd": job.cwd,
        "created": job.created,
        "process": None if job.process is None else job.process._asdict(),
        "runs": job.runs,
    }
    write_object(job.folder / JOB, content)


def read_state(job: Job) -> Job:
    """The job with how far it is.

    Raises:
        BadInputError: its status is damaged.
    """
    # The process first: a status read afterwards is at least as new as this look at it.
    alive = job.alive
    status = read_status(job.folder)
    if status.state not in ENDED:
        if not alive:
            status = replace(status, state=State.FAILED, eta=None, message=_GONE)
        elif (job.folder / CANCEL).exists():
            status = replace(status, state=State.CANCELLING)
    return replace(job, status=status)


def cancel_requested(folder: Path) -> bool:
    """Whether the job was asked to stop."""
    return (folder / CANCEL).exists()


def withdraw_cancel(folder: Path) -> None:
    """Take back what :func:`engine.jobs.folder.cancel` asked."""
    platforms.remove(folder / CANCEL)


def _with_run(job: Job, content: JsonObject) -> Job:
    command = process = None
    if "command" in content:
        stored = content.group("command")
        command = JobCommand(stored.text("name"), stored.texts("options"))
    if "process" in content:
        stored = content.group("process")
        process = _process(stored)
    return replace(job, command=command, process=process)


def _process(stored: JsonObject) -> Process:
    boot = stored.text("since_boot", "")
    return Process(stored.whole("pid"), stored.number("started"), boot)


def being_started(folder: Path) -> bool:
    """Whether a program that still runs is starting the job of a folder."""
    lock = folder / STARTING
    try:
        age = abs(time.time() - lock.stat().st_mtime)
        with lock.open("rb") as file:
            starter = _process(JsonObject(parse_json(file.read(_LARGEST_LOCK)), str(lock)))
    except OSError:
        return False
    except (ValueError, BadInputError):
        # Just made, by a version that wrote nothing into it, or by one that was killed.
        return age < _STALE_LOCK
    return is_running(starter)


def _with_run_0_1(job: Job, content: JsonObject) -> Job:
    argv = content.texts("command")
    process, stored = None, content.values.get("process")
    if stored is not None:
        if not (isinstance(stored, list) and len(stored) == 2 and type(stored[0]) is int):
            raise BadInputError(f"{job.folder / JOB} names no process.", REMEDY)
        process = Process(stored[0], runs_words(stored[0], argv[3:]) or 0.0)
    return replace(job, command=JobCommand.parse_argv(argv), process=process)
