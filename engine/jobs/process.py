# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that outlive their parent, and telling whether one still runs.

A process id alone does not name a process: ids are used again. Together with the time at which the
process started it does, so both are kept.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process, now or later.

    Attributes:
        pid: process id.
        started: when it started, as the system tells it; opaque, unique together with ``pid``.
    """

    pid: int
    started: str


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
        if sys.platform == "win32":
            detached = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
            process = subprocess.Popen(  # noqa: S603 - the user's own command, no shell
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(environment),
                creationflags=detached,
            )
        else:
            process = subprocess.Popen(  # noqa: S603 - the user's own command, no shell
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(environment),
                start_new_session=True,
            )
    started = start_time(process.pid)
    # As long as this process lives it is the parent and has to collect the child's end.
    threading.Thread(target=process.wait, daemon=True, name="collect-job").start()
    return Process(process.pid, started or "")


def is_running(process: Process) -> bool:
    """Whether that very process still runs, not another one with its id."""
    return bool(process.started) and start_time(process.pid) == process.started


def kill(process: Process) -> bool:
    """End the process and its children at once; whether there was anything to end."""
    if not is_running(process):
        return False
    try:
        if sys.platform == "win32":
            subprocess.run(  # noqa: S603 - a number is its only argument
                ["taskkill", "/PID", str(process.pid), "/T", "/F"],  # noqa: S607 - of the system
                check=False,
                capture_output=True,
            )
        else:
            # It leads a session of its own, so its group is itself and its children.
            os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def start_time(pid: int) -> str | None:
    """When the process of this id started, or ``None`` where none runs."""
    if sys.platform == "win32":
        return _start_time_windows(pid)
    if sys.platform == "linux":
        return _start_time_linux(pid)
    return _start_time_ps(pid)


def _start_time_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    # The command in parentheses may hold spaces; the state is the first field after it.
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return f"{boot} {fields[19]}"


def _start_time_ps(pid: int) -> str | None:
    answer = subprocess.run(  # noqa: S603 - a number is its only argument
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],  # noqa: S607 - of the system
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None


def _start_time_windows(pid: int) -> str | None:
    if sys.platform != "win32":  # The type checker looks at one platform at a time.
        return None
    import ctypes
    from ctypes import wintypes

    query_limited_information, still_active = 0x1000, 259
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = wintypes.HANDLE
    handle = kernel.OpenProcess(query_limited_information, False, pid)
    if not handle:
        return None
    try:
        created, ended, in_kernel, in_user = (wintypes.FILETIME() for _ in range(4))
        code = wintypes.DWORD()
        references = [ctypes.byref(time) for time in (created, ended, in_kernel, in_user)]
        alive = (
            kernel.GetExitCodeProcess(wintypes.HANDLE(handle), ctypes.byref(code))
            and code.value == still_active
            and kernel.GetProcessTimes(wintypes.HANDLE(handle), *references)
        )
        return f"{created.dwHighDateTime:08x}{created.dwLowDateTime:08x}" if alive else None
    finally:
        kernel.CloseHandle(wintypes.HANDLE(handle))
