# SPDX-License-Identifier: GPL-3.0-or-later
"""Trainings in the background: one folder per job, read and written by whoever looks after it.

A job is a detached process and a folder::

    job.json       command, config, working folder, process id and start time; by the starter
    status.json    state, step, total, loss, eta, preview; replaced atomically by the worker
    log.txt        everything the worker prints
    checkpoints/   what the worker resumes from
    cancel         its presence asks the worker to save a checkpoint and stop

Nothing else is shared, so a job survives the end of the program that started it, and any program
can list, show, cancel and resume it. The worker's side is :class:`engine.jobs.worker.JobHandle`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.core.errors import BadInputError
from engine.jobs import process as detached
from engine.jobs.status import (
    ENDED,
    JobStatus,
    State,
    read_json,
    read_status,
    write_json,
    write_status,
)

ENVIRONMENT = "GAUSSIANSPEECH_JOB"
"""Environment variable that tells the worker its job's folder."""

_JOB, _LOG, _CHECKPOINTS, _CANCEL, _LOCK = (
    "job.json",
    "log.txt",
    "checkpoints",
    "cancel",
    "starting",
)
_STALE_LOCK = 30.0
_KILL_PATIENCE = 5.0
_FORMAT = "gaussianspeech-job-1"


@dataclass(frozen=True)
class Job:
    """A job as its folder tells it.

    Attributes:
        folder: the job's folder; its name is the job's id.
        command: program and arguments.
        config: the full configuration of the training, for people and for the worker.
        cwd: the worker's working folder.
        created: seconds since 1970.
        process: of the latest run; ``None`` before the first.
        runs: how often it was started.
        status: how far it is; a process that is gone without a word counts as failed.
        cancelling: whether it was asked to stop and has not yet.
    """

    folder: Path
    command: tuple[str, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    cwd: str = "."
    created: float = 0.0
    process: detached.Process | None = None
    runs: int = 0
    status: JobStatus = field(default_factory=JobStatus)
    cancelling: bool = False

    @property
    def id(self) -> str:
        """The name of the folder."""
        return self.folder.name

    @property
    def running(self) -> bool:
        """Whether its process runs or is about to."""
        return self.status.state not in ENDED

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / _CHECKPOINTS


def start_job(
    root: str | Path,
    name: str,
    command: Sequence[str],
    *,
    config: Mapping[str, Any] | None = None,
    cwd: str | Path | None = None,
    folder: str | Path | None = None,
) -> Job:
    """Make a job folder and start its process, which survives the end of this one.

    Args:
        root: folder of the jobs.
        name: what people call it; the id is the time and this.
        command: program and arguments; the worker finds its folder in :data:`ENVIRONMENT`.
        config: saved in ``job.json``; values that JSON has.
        cwd: the worker's working folder; this process's own without.
        folder: the job's own folder instead of a new one of ``root``; missing or empty.

    Raises:
        BadInputError: the program cannot be started, or the folder is in use; no folder is left
            then.
    """
    place = _new_folder(Path(root), name) if folder is None else _given_folder(Path(folder))
    try:
        job = _described(place, command, config, cwd)
        return _start(job, JobStatus(updated=time.time()))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def adopt_job(
    folder: str | Path, command: Sequence[str], *, config: Mapping[str, Any] | None = None
) -> Job:
    """Make this very process the worker of a job, for work in the foreground.

    Args:
        folder: the job's; missing, empty, or that of a job that ended and now goes on.
        command: what does the same work again, for :func:`resume`.
        config: saved in ``job.json``; values that JSON has.

    Raises:
        BadInputError: the folder holds something else, or a job that runs or has finished.
    """
    folder = Path(folder)
    if (folder / _JOB).exists():
        before = show(folder)
        if before.running or before.status.state is State.FINISHED:
            ended = "has finished" if before.status.state is State.FINISHED else "is running"
            raise BadInputError(f"The job {before.id} {ended}.", "Choose another folder.")
        kept = before.config if config is None else dict(config)
        job = replace(before, command=tuple(command), config=kept, runs=before.runs + 1)
    else:
        job = replace(_described(_given_folder(folder), command, config, None), runs=1)
        write_status(folder, JobStatus(updated=time.time()))
    withdraw_cancel(folder)
    this = detached.Process(os.getpid(), detached.start_time(os.getpid()) or "")
    _write_job(replace(job, process=this))
    return show(folder)


def list_jobs(root: str | Path) -> list[Job]:
    """All jobs of a folder, the latest first; folders that are no jobs are passed over."""
    root = Path(root)
    folders = [path.parent for path in root.glob(f"*/{_JOB}")] if root.is_dir() else []
    jobs = []
    for folder in folders:
        try:
            jobs.append(show(folder))
        except BadInputError as error:
            jobs.append(Job(folder, (), status=JobStatus(State.FAILED, message=error.message)))
    return sorted(jobs, key=lambda job: (job.created, job.id), reverse=True)


def show(folder: str | Path) -> Job:
    """A job as it is now.

    Raises:
        BadInputError: the folder holds no job, or a damaged one.
    """
    folder = Path(folder)
    content = read_json(folder / _JOB)
    try:
        if content["format"] != _FORMAT:
            raise BadInputError(f"{folder} holds no job.", "Check the path.")
        process = content["process"]
        job = Job(
            folder,
            tuple(str(word) for word in content["command"]),
            config=dict(content["config"]),
            cwd=str(content["cwd"]),
            created=float(content["created"]),
            process=None if process is None else detached.Process(int(process[0]), str(process[1])),
            runs=int(content["runs"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadInputError(f"{folder / _JOB} is damaged.", "Start the training again.") from error
    # The process first: a status read afterwards is at least as new as this look at it.
    alive = job.process is not None and detached.is_running(job.process)
    status = read_status(folder)
    starting = job.process is None and (folder / _LOCK).exists()
    if status.state not in ENDED and not alive and not starting:
        status = replace(
            status,
            state=State.FAILED,
            eta=None,
            message="The process ended without a word; log.txt may tell why.",
        )
    cancelling = (folder / _CANCEL).exists() and status.state not in ENDED
    return replace(job, status=status, cancelling=cancelling)


def cancel(folder: str | Path, *, at_once: bool = False) -> Job:
    """Ask a job to save a checkpoint and stop; nothing happens to one that has ended.

    Args:
        folder: the job's.
        at_once: end the process instead of asking it; what is since its last checkpoint is lost.

    Raises:
        BadInputError: the folder holds no job.
    """
    job = show(folder)
    if not job.running:
        return job
    (job.folder / _CANCEL).touch()
    if at_once and job.process is not None and detached.kill(job.process):
        patience = time.monotonic() + _KILL_PATIENCE
        while detached.is_running(job.process) and time.monotonic() < patience:
            time.sleep(0.01)
        status = read_status(job.folder)
        if status.state not in ENDED:
            ended = replace(status, state=State.CANCELLED, eta=None, message="Ended at once.")
            write_status(job.folder, ended)
    return show(folder)


def resume(folder: str | Path) -> Job:
    """Start a cancelled or failed job's command again; its worker goes on from its checkpoint.

    Raises:
        BadInputError: it runs, or it has finished, or it cannot be started.
    """
    with _starting(Path(folder)):
        job = show(folder)
        if job.running:
            raise BadInputError(f"The job {job.id} is running.", "Cancel it first.")
        if job.status.state is State.FINISHED:
            raise BadInputError(f"The job {job.id} has finished.", "Start a new one.")
        before = job.status
        waiting = replace(before, state=State.STARTING, eta=None, message="", updated=time.time())
        try:
            return _spawn(job, waiting)
        except BaseException:
            write_status(job.folder, before)
            raise


def log_tail(folder: str | Path, lines: int = 20) -> list[str]:
    """The last lines that the worker printed."""
    try:
        with (Path(folder) / _LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 400 * lines))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []


def cancel_requested(folder: Path) -> bool:
    """Whether the job was asked to stop."""
    return (folder / _CANCEL).exists()


def withdraw_cancel(folder: Path) -> None:
    """Take back what :func:`cancel` asked."""
    (folder / _CANCEL).unlink(missing_ok=True)


def _new_folder(root: Path, name: str) -> Path:
    word = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "job"
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{word}"
    for number in range(1, 1000):
        folder = root / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise BadInputError(f"{root} has a thousand jobs of this second.", "Wait a moment.")


def _given_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        filled = next(folder.iterdir(), None)
    except OSError as error:
        raise BadInputError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Choose another folder."
        ) from error
    if filled is not None:
        raise BadInputError(f"The folder {folder} is not empty.", "Choose a new folder.")
    return folder


def _described(
    folder: Path,
    command: Sequence[str],
    config: Mapping[str, Any] | None,
    cwd: str | Path | None,
) -> Job:
    (folder / _CHECKPOINTS).mkdir()
    return Job(
        folder,
        tuple(str(word) for word in command),
        config=dict(config or {}),
        cwd=str(Path(cwd or Path.cwd()).resolve()),
        created=time.time(),
    )


def _start(job: Job, status: JobStatus) -> Job:
    with _starting(job.folder):
        return _spawn(job, status)


def _spawn(job: Job, status: JobStatus) -> Job:
    withdraw_cancel(job.folder)
    write_status(job.folder, status)
    job = replace(job, process=None, runs=job.runs + 1)
    _write_job(job)
    environment = os.environ | {
        ENVIRONMENT: str(job.folder.resolve()),
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    try:
        process = detached.spawn(
            job.command, log=job.folder / _LOG, cwd=Path(job.cwd), environment=environment
        )
    except OSError as error:
        raise BadInputError(
            f"{job.command[0] if job.command else 'Nothing'} cannot be started: {error}.",
            "Check the path of the program and the working folder.",
        ) from error
    _write_job(replace(job, process=process))
    return show(job.folder)


def _write_job(job: Job) -> None:
    write_json(
        job.folder / _JOB,
        {
            "format": _FORMAT,
            "command": list(job.command),
            "config": dict(job.config),
            "cwd": job.cwd,
            "created": job.created,
            "process": None if job.process is None else list(job.process),
            "runs": job.runs,
        },
    )


@contextlib.contextmanager
def _starting(folder: Path) -> Iterator[None]:
    """Hold the job against a second start at the same moment."""
    lock = folder / _LOCK
    if not folder.is_dir():
        raise BadInputError(f"There is no job in {folder}.", "Check the path.")
    with contextlib.suppress(FileNotFoundError):
        if time.time() - lock.stat().st_mtime > _STALE_LOCK:
            lock.unlink()
    try:
        lock.touch(exist_ok=False)
    except FileExistsError as error:
        raise BadInputError(
            f"The job {folder.name} is being started by another program.", "Try again in a moment."
        ) from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
