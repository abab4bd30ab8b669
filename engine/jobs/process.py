# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that outlive their parent, and whether one still runs.

A process id alone does not identify a process: ids are used again. Together with the time at which
the process started it does, so both are kept.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

_SAME_START = 2.0
"""Seconds by which a start time may seem to move when the system's clock is set; process ids do
not come round again within them."""

_PATIENCE = 5.0
"""Seconds in which killed processes are expected to be gone."""


class Process(NamedTuple):
    """A process.

    Attributes:
        pid: process id.
        started: when it started, seconds since 1970.
    """

    pid: int
    started: float


def spawn(
    command: Sequence[str], *, log: Path, cwd: Path, environment: Mapping[str, str]
) -> Process:
    """Start a process that survives the end of this one and of its terminal.

    Args:
        command: program and arguments; no shell is involved.
        log: stdout and stderr are appended to it.
        cwd: its working folder.
        environment: all of its environment variables.

    Raises:
        OSError: the program cannot be started.
    """
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - a command of this project, no shell
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(environment),
            creationflags=flags,
            start_new_session=True,
        )
    started = start_time(process.pid)
    # As long as this process lives it is the parent and has to collect the child's end.
    threading.Thread(target=process.wait, daemon=True, name="collect-job").start()
    return Process(process.pid, started or 0.0)


def start_time(pid: int) -> float | None:
    """When the process of this id started, seconds since 1970; ``None`` where none runs."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except (psutil.Error, ValueError, OverflowError):
        return None


def is_running(process: Process) -> bool:
    """Whether that very process still runs, not another one with its id."""
    started = start_time(process.pid)
    return started is not None and abs(started - process.started) < _SAME_START


def runs_words(pid: int, words: Sequence[str]) -> float | None:
    """When the process of this id started, if its command line ends in these words."""
    try:
        line = psutil.Process(pid).cmdline()
    except (psutil.Error, ValueError, OverflowError):
        return None
    return start_time(pid) if words and line[-len(words) :] == list(words) else None


def kill(process: Process) -> bool:
    """End the process and all its descendants at once; whether there was anything to end.

    Returns when they are gone, after at most five seconds.

    Raises:
        psutil.AccessDenied: one of them is another user's.
    """
    if not is_running(process):
        return False
    try:
        root = psutil.Process(process.pid)
        root.suspend()  # It must not start further children meanwhile.
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return False
    denied: psutil.AccessDenied | None = None
    for member in tree:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied as error:
            denied = error  # The others are ended all the same.
    psutil.wait_procs(tree, timeout=_PATIENCE)
    if denied is not None:
        raise denied
    return True
