# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs on disk: started, listed, cancelled, resumed and removed by any program.

A job is a detached process and a folder::

    job.json       command and options, config, working folder, process; by the starter
    status.json    state, step, total, loss, eta, preview; replaced atomically by the worker
    log.txt        everything the worker prints
    checkpoints/   what the worker resumes from
    cancel         its presence asks the worker to save a checkpoint and stop

Nothing else is shared, so a job survives the end of the program that started it. The worker's side
is :class:`engine.jobs.worker.JobHandle`. A folder may have come from elsewhere: what it says is
checked, only files inside it are read, and nothing but commands of this project are started.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from engine.core import platforms
from engine.core.checks import shown
from engine.core.errors import BadInputError
from engine.core.runtime import cache_folder
from engine.jobs import process as processes
from engine.jobs.command import JobCommand, environment
from engine.jobs.locks import starting, writing
from engine.jobs.record import (
    CANCEL,
    CHECKPOINTS,
    JOB,
    Job,
    read_job,
    read_state,
    withdraw_cancel,
    write_job,
)
from engine.jobs.status import JobStatus, State, read_status, write_status

_LOG = "log.txt"
_LINE = 400
"""Bytes of a log that are read for each line asked for."""


def default_folder() -> Path:
    """Where jobs lie unless a command or Blender's preferences say otherwise."""
    return cache_folder() / "jobs"


def job_folder(root: Path, job_id: str) -> Path:
    """The folder of a job by its id.

    Raises:
        BadInputError: there is no such job directly in ``root``.
    """
    folder = root / job_id
    named = job_id not in ("", ".", "..") and not re.search(r"[/\\:\0]", job_id)
    if not named or not (folder / JOB).is_file():
        raise BadInputError(
            f"There is no job {shown(job_id)} in {root}.",
            "'gaussianspeech jobs list' lists them.",
        )
    return folder


def free_name(root: Path, title: str) -> str:
    """A name for a new job: the title without odd characters, with a number where it is taken."""
    stem = platforms.portable_name(re.sub(r"[^\w.-]+", "-", title).strip("-.")[:100]) or "job"
    name, number = stem, 1
    while (root / name).exists():
        number += 1
        name = f"{stem}-{number}"
    return name


def list_jobs(root: str | Path) -> list[Job]:
    """All jobs of a folder, the latest first; other folders in it are skipped.

    Raises:
        BadInputError: ``root`` is no folder, or cannot be read; one that is missing is empty.
    """
    root = Path(root)
    try:
        folders = [path.parent for path in root.glob(f"*/{JOB}")]
        if not root.is_dir() and root.exists():
            raise NotADirectoryError(20, "it is not a folder")
    except OSError as error:
        raise BadInputError(
            f"The jobs in {root} cannot be listed: {error.strerror}.", "Choose another folder."
        ) from error
    jobs = []
    for folder in folders:
        try:
            jobs.append(show(folder))
        except (BadInputError, OSError) as error:  # Folders of others may not be readable.
            status = JobStatus(State.DAMAGED, message=str(error))
            jobs.append(Job(folder, status=status))
    return sorted(jobs, key=lambda job: (job.created, job.id), reverse=True)


def show(folder: str | Path) -> Job:
    """A job as it is now.

    Raises:
        BadInputError: the folder holds no job, or a damaged one.
    """
    return read_state(read_job(Path(folder)))


def start_job(
    folder: str | Path, command: JobCommand, *, config: Mapping[str, Any] | None = None
) -> Job:
    """Make a job's folder and start its process, which survives the end of this one.

    Args:
        folder: the job's; missing or empty.
        command: what it runs, in this process's working folder.
        config: saved in ``job.json``; values that JSON has.

    Raises:
        BadInputError: the process cannot be started, or the folder is in use; no folder is left
            then.
    """
    job = _new_job(Path(folder), command, config)
    try:
        with starting(job.folder):
            return _spawn(job, JobStatus(updated=time.time()))
    except BaseException:
        with contextlib.suppress(OSError):  # What is left is no job.
            platforms.remove_tree(job.folder)
        raise


def adopt_job(
    folder: str | Path, command: JobCommand | None, *, config: Mapping[str, Any] | None = None
) -> Job:
    """Make this very process the worker of a job, for work in the foreground.

    Args:
        folder: the job's; missing, empty, or that of a job that ended before its time.
        command: what does the same work again, for :func:`resume`.
        config: saved in ``job.json``; values that JSON has.

    Raises:
        BadInputError: the folder holds something else, or a job that runs or has finished.
    """
    folder = Path(folder)
    if (folder / JOB).exists():
        job = _changed(_ended_early(folder), command, config)
        job = replace(job, runs=job.runs + 1)
    else:
        job = replace(_new_job(folder, command, config), runs=1)
    with writing(folder):
        if job.runs == 1:
            write_status(folder, JobStatus(updated=time.time()))
        withdraw_cancel(folder)
        write_job(replace(job, process=processes.identified(os.getpid())))
    return show(folder)


def cancel(folder: str | Path, *, at_once: bool = False) -> Job:
    """Ask a job to save a checkpoint and stop; nothing happens to one that has ended.

    One that has done no step yet has nothing to save: its processes are ended at once, for they may
    be loading libraries or data for many seconds.

    Args:
        folder: the job's.
        at_once: end its processes instead of asking; what is since the last checkpoint is lost.

    Raises:
        BadInputError: the folder holds no job, or it cannot be written, or the process ended.
    """
    job = show(folder)
    if not job.running:
        return job
    unprepared = job.status.preparing or job.status.state is State.STARTING
    with writing(job.folder):
        (job.folder / CANCEL).touch()
        if (at_once or unprepared) and job.process is not None and _killed(job):
            message = "Ended at once." if at_once else "Cancelled."
            ended = replace(
                read_status(job.folder),
                state=State.CANCELLED,
                eta=None,
                message=message,
                preparing=False,
            )
            write_status(job.folder, ended)
            withdraw_cancel(job.folder)
    return show(folder)


def resume(
    folder: str | Path,
    command: JobCommand | None = None,
    *,
    config: Mapping[str, Any] | None = None,
) -> Job:
    """Start a cancelled or failed job again; its worker continues from its checkpoint.

    Args:
        folder: the job's.
        command: in place of the stored one, run in this process's working folder.
        config: in place of the stored one.

    Raises:
        BadInputError: it runs, it has finished, it is damaged, it was not started by a command of
            this project, or it cannot be started.
    """
    folder = Path(folder)
    # Before the lock: to a job without a process, that is one which is being started.
    ended = _ended_early(folder)
    with starting(folder):
        if read_job(folder).runs != ended.runs:
            raise BadInputError(
                f"The job {ended.id} has been started by another program.", "Look at it first."
            )
        job = _changed(ended, command, config)
        if job.command is None:
            raise BadInputError(
                f"{folder / JOB} names no command of this project: the job cannot be resumed.",
                "Start a new one with 'gaussianspeech train' or 'gaussianspeech capture'.",
            )
        before = job.status
        waiting = replace(before, state=State.STARTING, eta=None, message="", updated=time.time())
        try:
            return _spawn(job, waiting)
        except BaseException:
            write_status(folder, before)
            raise


def remove(folder: str | Path) -> None:
    """Delete the folder of a job that does not run, with all that it made.

    Raises:
        BadInputError: it runs, it is no job's folder, or files cannot be deleted.
    """
    folder = Path(folder)
    if folder.is_symlink() or not (folder / JOB).exists():
        raise BadInputError(f"{folder} is no folder of a job.", "Delete it by other means.")
    if _runs(folder):
        raise BadInputError(f"The job {folder.name} is running.", "Cancel it first.")
    try:
        # Without this file the rest is no job any more, should the deletion be interrupted.
        platforms.remove(folder / JOB)
        platforms.remove_tree(folder)
    except OSError as error:
        raise BadInputError(
            f"The folder {folder} cannot be deleted: {error.strerror}.",
            "Close programs that use it and delete what is left of it.",
        ) from error


def log_tail(folder: str | Path, lines: int = 20) -> list[str]:
    """The last lines that the worker printed."""
    path = inside(Path(folder), _LOG)
    if path is None:
        return []
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LINE * lines))
            return file.read(_LINE * lines).decode("utf-8", "replace").splitlines()[-lines:]
    except OSError as error:
        return [f"{path} cannot be read: {error.strerror}."]


def inside(folder: Path, name: str) -> Path | None:
    """A file of a job's folder by its relative path; ``None`` if missing or outside of it."""
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder.resolve()) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # A loop of links, or an impossible path.
        return None


def _ended_early(folder: Path) -> Job:
    """A job that is neither running nor finished.

    Raises:
        BadInputError: it is.
    """
    job = show(folder)
    if job.running:
        raise BadInputError(f"The job {job.id} is running.", "Cancel it first.")
    if job.status.state is State.FINISHED:
        raise BadInputError(f"The job {job.id} has finished.", "Choose another folder.")
    return job


def _changed(job: Job, command: JobCommand | None, config: Mapping[str, Any] | None) -> Job:
    """A job with what is given of another command, whose paths are of this working folder."""
    if command is not None:
        job = replace(job, command=command, cwd=str(Path.cwd()))
    return job if config is None else replace(job, config=dict(config))


def _runs(folder: Path) -> bool:
    """Whether a job that may be damaged runs."""
    try:
        return show(folder).running
    except BadInputError:
        pass
    try:
        return read_job(folder).alive
    except BadInputError:
        return False  # A damaged job.json names no process.


def _new_job(folder: Path, command: JobCommand | None, config: Mapping[str, Any] | None) -> Job:
    """A job in a new folder, not yet written."""
    existed = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = next((path for path in folder.iterdir() if not _is_left_over(path)), None)
        if occupied is None:
            (folder / CHECKPOINTS).mkdir(exist_ok=True)
    except OSError as error:
        if not existed:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise BadInputError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Choose another folder."
        ) from error
    if occupied is not None:
        raise BadInputError(f"The folder {folder} is not empty.", "Choose a new folder.")
    return Job(folder, command, dict(config or {}), str(Path.cwd()), time.time())


def _is_left_over(path: Path) -> bool:
    """Whether a file is what a program leaves that was killed while it made a job."""
    if path.name == CHECKPOINTS:
        return path.is_dir() and next(path.iterdir(), None) is None
    return path.name in ("status.json", ".status.part.json", ".job.part.json")


def _spawn(job: Job, status: JobStatus) -> Job:
    command, log = job.command, job.folder / _LOG
    assert command is not None
    if log.is_symlink():
        raise BadInputError(f"{log} is a link.", "Remove it: the log stays in the job's folder.")
    job = replace(job, process=None, runs=job.runs + 1)
    with writing(job.folder):
        withdraw_cancel(job.folder)
        write_status(job.folder, status)
        write_job(job)
    try:
        process = processes.spawn(
            command.argv(job.folder.resolve()),
            log=log,
            cwd=Path(job.cwd),
            environment=environment(job.folder),
        )
    except OSError as error:
        raise BadInputError(
            f"The job {job.id} cannot be started in {job.cwd}: {error.strerror}.",
            "Check that folder, and the Python that runs this.",
        ) from error
    try:
        write_job(replace(job, process=process))
    except BaseException:
        processes.kill(process)  # Nobody would find it.
        raise
    return show(job.folder)


def _killed(job: Job) -> bool:
    assert job.process is not None
    if job.process.pid == os.getpid():
        return False  # Its own worker asks; it stops by itself.
    try:
        return processes.kill(job.process)
    except psutil.AccessDenied as error:
        raise BadInputError(
            f"The process {job.process.pid} of the job {job.id} may not be ended by this user.",
            "Cancel it as the user who started it.",
        ) from error
