# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that outlive their parent, and whether one still runs.

A process id alone does not identify a process: ids are used again. Together with the time at which
the process started it does, so both are kept.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from engine.core import platforms

_SAME_START = 2.0
"""Seconds by which a start time may seem to move when the system's clock is set; process ids do
not come round again within them."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_PATIENCE = 5.0
"""Seconds in which killed processes are expected to be gone."""


class Process(NamedTuple):
    """A process.

    Attributes:
        pid: process id.
        started: when it started, seconds since 1970 by the clock of that time.
        since_boot: where the system says (Linux), which start of the machine, and how long after
            it: that stays when the clock is set. Empty elsewhere, and in older files.
    """

    pid: int
    started: float
    since_boot: str = ""


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
    with log.open("ab") as output:
        process = platforms.start_detached(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=cwd, env=dict(environment)
        )
    spawned = identified(process.pid)
    # As long as this process lives it is the parent and has to collect the child's end.
    threading.Thread(target=process.wait, daemon=True, name="collect-job").start()
    return spawned


def identified(pid: int) -> Process:
    """The process of this id; one that never runs where none does."""
    return Process(pid, start_time(pid) or 0.0, _since_boot(pid))


def _since_boot(pid: int) -> str:
    """See :attr:`Process.since_boot`."""
    if not platforms.LINUX:
        # There the system keeps the time of the start itself, which a later change of the clock
        # leaves as it is; Linux keeps the distance to a boot whose time moves with the clock.
        return ""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        # proc(5): the name, which may hold anything, is in parentheses; field 22 is the start.
        return f"{_BOOT_ID.read_text('ascii').strip()} {stat.rpartition(')')[2].split()[19]}"
    except (OSError, ValueError, IndexError):
        return ""


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
    if started is None:
        return False
    if process.since_boot:
        return _since_boot(process.pid) == process.since_boot
    return abs(started - process.started) < _SAME_START


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
