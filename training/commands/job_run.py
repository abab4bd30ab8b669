# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are jobs: in the foreground, detached, or started again by whoever resumes them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.commands.console import print_result
from engine.jobs import folder as jobs
from engine.jobs.worker import JobHandle


def run_as_job(
    out: Path,
    config: Mapping[str, Any],
    work: Callable[[JobHandle], None],
    *,
    background: bool = False,
    json: bool = False,
) -> int:
    """Do a command's work as the job of a folder.

    Where the process was started for that job (detached, or by ``jobs resume``), it works on it.
    Else the folder becomes a new job, or a job that ended before its time goes on; in the
    background a process of its own does the work and this one returns at once.

    Args:
        out: the job's folder.
        config: full configuration, saved in ``job.json``; values that JSON has.
        work: the work; may raise :class:`engine.core.errors.CancelledError` once all is saved.
        background: detach.
        json: print the result as one JSON object.

    Returns:
        Exit code: 0 also for work that was cancelled, for all of it is kept.

    Raises:
        BadInputError: the folder is in use, or its job runs or has finished.
    """
    started_for = os.environ.get(jobs.ENVIRONMENT)
    if started_for and Path(started_for).resolve() == out.resolve():
        with JobHandle.current() as handle:
            work(handle)
        return 0
    command = _this_command()
    if background:
        if (out / "job.json").exists():
            job = jobs.resume(out)
        else:
            job = jobs.start_job(out.parent, out.name, command, config=config, folder=out)
        print_result(
            {"job": job.id, "folder": job.folder, "state": str(job.status.state)}, as_json=json
        )
        return 0
    jobs.adopt_job(out, command, config=config)
    with JobHandle(out) as handle:
        work(handle)
    shown = jobs.show(out)
    print_result(
        {"job": shown.id, "folder": shown.folder, "state": str(shown.status.state)}, as_json=json
    )
    return 0


def _this_command() -> list[str]:
    """The command line that does the same work in the foreground."""
    words = [word for word in sys.argv[1:] if word != "--background"]
    return [sys.executable, "-m", "training", *words]
