# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are jobs: in the foreground, detached, or started again to resume them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from engine.commands.console import print_result, print_warnings, progress_bar
from engine.core import platforms
from engine.core.errors import BadInputError, MissingDependencyError
from engine.jobs import folder as jobs
from engine.jobs.command import ENVIRONMENT, JobCommand
from engine.jobs.record import JOB, Job, read_job
from engine.jobs.worker import JobHandle
from training.run.options import differences


def run_as_job(
    out: Path,
    config: Mapping[str, Any],
    work: Callable[[JobHandle], None],
    *,
    changeable: Collection[str] = (),
    background: bool = False,
    json: bool = False,
    many: bool = False,
) -> int:
    """Do a command's work as the job of a folder.

    Where the process was started for that job (detached, or by ``jobs resume``), it works on it.
    Else the folder becomes a new job, or the job in it that ended before its time is resumed with
    the options that are given now; in the background another process does the work and this one
    returns at once. A new job in the foreground that fails for its input, before its first step
    or with nothing left of those it did, leaves no folder.

    Args:
        out: the job's folder.
        config: full configuration, saved in ``job.json``; values that JSON has.
        work: the work; may raise :class:`engine.core.errors.CancelledError` once all is saved.
        changeable: names in the configuration that may differ when a job is resumed.
        background: detach.
        json: print the result as one JSON object.
        many: whether processes that ``torchrun`` starts do the work together.

    Returns:
        Exit code: 0 also for work that was cancelled, for all of it is kept.

    Raises:
        BadInputError: the folder is in use, its job runs or has finished, or it has a checkpoint
            made with another configuration; or torchrun started this, and cannot.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and (background or not many):
        raise BadInputError(
            "torchrun cannot start this: only avatars are trained by several processes, and not "
            "in the background.",
            "Run it without torchrun, or leave out --background.",
        )
    started_for = os.environ.get(ENVIRONMENT)
    if started_for and Path(started_for).resolve() == out.resolve():
        _work_on(JobHandle.current(), config, work)
        return 0
    command = JobCommand.parse(sys.argv[1:])
    resumes = (out / JOB).exists()
    if resumes:
        _check_same(read_job(out), config, changeable)
    if background:
        if command is None:
            raise BadInputError(
                "Only a command line can be detached.", "Run it with 'gaussianspeech'."
            )
        start = jobs.resume if resumes else jobs.start_job
        job = start(out, command, config=config)
    else:
        job = _work_here(out, command, config, work)
    result: dict[str, Any] = {
        "job": job.id,
        "folder": job.folder,
        "state": str(job.status.state),
    }
    if job.status.notes:
        result["notes"] = list(job.status.notes) if json else " ".join(job.status.notes)
    print_result(result, as_json=json)
    return 0


def _work_here(
    out: Path,
    command: JobCommand | None,
    config: Mapping[str, Any],
    work: Callable[[JobHandle], None],
) -> Job:
    is_new, existed = not (out / JOB).exists(), out.exists()
    job = jobs.adopt_job(out, command, config=config)
    try:
        _work_on(JobHandle(out), config, work)
    except (BadInputError, MissingDependencyError):
        made_nothing = not jobs.show(out).status.step and not any(job.checkpoints.iterdir())
        if is_new and made_nothing:
            # The folder was missing or empty: all in it is of this attempt.
            platforms.remove_tree(out)
            if existed:
                out.mkdir()
        raise
    except KeyboardInterrupt:
        print_warnings(["the same command goes on where this one stopped."])
        raise
    return jobs.show(out)


def _work_on(job: JobHandle, config: Mapping[str, Any], work: Callable[[JobHandle], None]) -> None:
    """Work, with how far it is on stderr: in the terminal, or in the log of a detached job."""
    with job, progress_bar(str(config["kind"])) as bar:
        job.shown_by(bar)
        work(job)


def _check_same(job: Job, config: Mapping[str, Any], changeable: Collection[str]) -> None:
    """See that a job with a checkpoint is resumed as what it was.

    Raises:
        BadInputError: names what differs.
    """
    if not job.checkpoints.is_dir() or not any(job.checkpoints.iterdir()):
        return
    different = differences(job.config, config, changeable, job.cwd)
    if different:
        raise BadInputError(
            f"The job in {job.folder} has {', '.join(different)}.",
            "Resume it with the same options, or choose another folder with --out.",
        )
