# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions of Windows that Python's standard library lacks, for :mod:`.platforms` alone.

Names and numbers are those of Microsoft's documentation of job objects, mutexes and file names.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

_KILL_ON_JOB_CLOSE, _BREAKAWAY_OK, _EXTENDED_LIMITS = 0x2000, 0x0800, 9
_ALREADY_EXISTS = 183


class _BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = (
        ("process_time", ctypes.c_int64),
        ("job_time", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("least_working_set", ctypes.c_size_t),
        ("most_working_set", ctypes.c_size_t),
        ("most_processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority", ctypes.c_uint32),
        ("scheduling", ctypes.c_uint32),
    )


class _Limits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = (
        ("basic", _BasicLimits),
        ("io", ctypes.c_uint64 * 6),
        ("memory", ctypes.c_size_t * 4),
    )


class JobObject:
    """A process and what it starts; Windows kills them when the last handle of it is closed.

    That is when this object is collected or this process ends, in whatever way.

    Args:
        process: handle of the process.

    Raises:
        OSError: Windows refuses.
    """

    def __init__(self, process: int) -> None:
        self._close: Callable[[], object] = lambda: None
        self._kernel = kernel = _kernel32()
        self._job = ctypes.c_void_p(kernel.CreateJobObjectW(None, None))
        if not self._job:
            raise _last_error()
        self._close = partial(kernel.CloseHandle, self._job)
        limits = _Limits()
        # Trainings break away: they survive.
        limits.basic.flags = _KILL_ON_JOB_CLOSE | _BREAKAWAY_OK
        size = ctypes.sizeof(limits)
        if not (
            kernel.SetInformationJobObject(self._job, _EXTENDED_LIMITS, ctypes.byref(limits), size)
            and kernel.AssignProcessToJobObject(self._job, ctypes.c_void_p(process))
        ):
            raise _last_error()

    def kill(self) -> None:
        """End all its processes at once."""
        self._kernel.TerminateJobObject(self._job, 1)

    def __del__(self) -> None:
        self._close()


def claim_name(name: str) -> Callable[[], object] | None:
    """Claim a name among this user's programs; what gives it back, or ``None`` where it is taken.

    Windows gives it back when this process ends.
    """
    kernel = _kernel32()
    mutex = ctypes.c_void_p(kernel.CreateMutexW(None, False, f"Local\\{name}"))
    release = partial(kernel.CloseHandle, mutex)
    if _error_number() == _ALREADY_EXISTS:
        release()
        return None
    return release


def short_path(path: str) -> str:
    """The path of a file that is there with the short names of MS-DOS, which are ASCII."""
    short = ctypes.create_unicode_buffer(1024)
    _kernel32().GetShortPathNameW(path, short, len(short))
    return short.value or path


def _kernel32() -> Any:
    of_windows: Any = ctypes
    library = of_windows.WinDLL("kernel32", use_last_error=True)
    for name in ("CreateJobObjectW", "CreateMutexW"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


def _error_number() -> int:
    of_windows: Any = ctypes
    return int(of_windows.get_last_error())


def _last_error() -> OSError:
    of_windows: Any = ctypes
    error: OSError = of_windows.WinError(_error_number())
    return error
