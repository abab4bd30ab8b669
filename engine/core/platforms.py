# SPDX-License-Identifier: GPL-3.0-or-later
"""What Linux, macOS and Windows do differently with processes, files and paths.

Nothing else in the project asks which system it runs on; other people's processes alone are looked
at with psutil (:mod:`engine.jobs.process`), which knows the systems by itself. Standard library
only: the add-on imports this too.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any, TypeVar

from . import windows_api

WINDOWS = sys.platform == "win32"
MACOS = sys.platform == "darwin"
LINUX = sys.platform == "linux"

_CREATE_NO_WINDOW = 0x08000000
_DETACHED_PROCESS = 0x00000008
_CREATE_NEW_PROCESS_GROUP = 0x00000200
_CREATE_BREAKAWAY_FROM_JOB = 0x01000000
"""Flags of Windows' ``CreateProcess``; :mod:`subprocess` has them on Windows alone."""

_IN_USE = (5, 32, 33)
"""Windows' codes for a file that another program has open: access denied, sharing, locked."""

RETRY_TIME, _PAUSE = 1.0, 0.02
"""Seconds in which whoever has a file open is expected to close it, and between two tries."""

_SET_PDEATHSIG, _SIGKILL = 1, 9
"""Of Linux' prctl(2), and signal(7)."""

_LONGEST_FOLDER = 247
"""Characters of a folder's path that Windows takes without the prefix for long ones."""

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
"""Names that are devices on Windows, whatever their suffix."""

T = TypeVar("T")


# --- Processes ------------------------------------------------------------------------------------


class Child(subprocess.Popen[Any]):
    """A process of this one's, without a console window on Windows.

    There it ends with this one, however this one ends, by a job object; elsewhere it reads the end
    of its standard input, and a program of this project on Linux calls :func:`end_with_parent`.

    Args:
        command: program and arguments; no shell is involved.
        group: whether :meth:`kill` ends what it has started as well. On Windows it always does. On
            the others such a process has no terminal to ask questions on.
        options: of :class:`subprocess.Popen`.
    """

    def __init__(self, command: Sequence[str], *, group: bool = False, **options: Any) -> None:
        self._group = group
        if WINDOWS:
            options["creationflags"] = _CREATE_NO_WINDOW
        super().__init__(list(command), start_new_session=group, **options)
        self._job: windows_api.JobObject | None = None
        if WINDOWS:
            # Where Windows refuses, the process still reads the end of its standard input.
            with contextlib.suppress(OSError):
                self._job = windows_api.JobObject(int(vars(self)["_handle"]))

    def kill(self) -> None:
        """End it at once, and with it what it has started as far as the class says."""
        if self._job is not None:
            self._job.kill()
        elif self._group and self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, _SIGKILL)
            return
        super().kill()


def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end as :func:`subprocess.run`, without a console window on Windows."""
    if WINDOWS:
        options["creationflags"] = _CREATE_NO_WINDOW
    # Programs of this project or of the system by their paths; no shell is involved.
    return subprocess.run(list(command), **({"check": False} | options))  # noqa: PLW1510, S603


def start_detached(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process that survives the end of this one, of its terminal and of its job object.

    Args:
        command: program and arguments; no shell is involved.
        options: of :class:`subprocess.Popen`.

    Raises:
        OSError: the program cannot be started.
    """
    start: Callable[..., subprocess.Popen[Any]] = partial(
        subprocess.Popen, list(command), stdin=subprocess.DEVNULL, **options
    )
    if not WINDOWS:
        return start(start_new_session=True)
    flags = _DETACHED_PROCESS | _CREATE_NEW_PROCESS_GROUP
    try:
        return start(creationflags=flags | _CREATE_BREAKAWAY_FROM_JOB)
    except PermissionError:  # We are in the job object of somebody who does not let go.
        return start(creationflags=flags)


def end_with_parent() -> None:
    """Have Linux kill this process when the thread that has started it ends.

    That needs no working interpreter: a process that is stopped, or at work in a library that never
    returns, ends too. Elsewhere nothing happens: see :class:`Child`.
    """
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def usable_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- Files ----------------------------------------------------------------------------------------


def retry_while_open(change: Callable[[], T]) -> T:
    """What a change of files returns, tried again while Windows says that one of them is open.

    There a file that somebody reads can be neither replaced nor removed, nor read while it is being
    replaced, and searches and virus scanners read everything.

    Raises:
        OSError: the last failure, after a second.
    """
    for _ in range(round(RETRY_TIME / _PAUSE)):
        try:
            return change()
        except PermissionError as error:
            if not WINDOWS or getattr(error, "winerror", None) not in _IN_USE:
                raise
        time.sleep(_PAUSE)
    return change()


def replace(source: str | Path, target: str | Path) -> None:
    """Give a file, or a folder, another name, in place of a file that has that name.

    Raises:
        OSError: the system refuses.
    """
    retry_while_open(partial(os.replace, source, target))


def remove(path: str | Path) -> None:
    """Remove a file if there is one.

    Raises:
        OSError: the system refuses.
    """
    retry_while_open(partial(Path(path).unlink, missing_ok=True))


def remove_tree(folder: str | Path) -> None:
    """Remove a folder with all in it, files that are write-protected as well.

    Raises:
        OSError: there is none, or the system refuses.
    """

    def again(function: Callable[[str], Any], path: str, error: Any) -> None:
        failure = error if isinstance(error, BaseException) else error[1]
        if not WINDOWS or isinstance(failure, FileNotFoundError):
            raise failure
        Path(path).chmod(stat.S_IWRITE)  # Windows removes no file that is write-protected.
        retry_while_open(partial(function, path))

    handler: Any = {"onexc" if sys.version_info >= (3, 12) else "onerror": again}
    shutil.rmtree(folder, **handler)


def claim(path: Path) -> Callable[[], object] | None:
    """Make an empty file that is ours until the returned function is called, or this process ends.

    ``None`` where another process, or another part of this one, has it. What a process that was
    killed has left is taken over. On a disk that knows no locks everything is free.

    Raises:
        OSError: there cannot be such a file.
    """
    return _claim_by_mutex(path) if WINDOWS else _claim_by_lock(path)


def _claim_by_lock(path: Path) -> Callable[[], object] | None:
    import fcntl

    while True:
        try:
            file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
        except OSError:
            if os.path.lexists(path):  # A folder, a link, or another user's.
                return None
            raise
        with contextlib.ExitStack() as unless_ours:
            unless_ours.callback(os.close, file)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            except OSError:
                pass
            # Whoever had it may have renamed it between its opening and its locking.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.lstat(path)):
                    os.ftruncate(file, 0)
                    unless_ours.pop_all()
                    return partial(os.close, file)


def _claim_by_mutex(path: Path) -> Callable[[], object] | None:
    # An open file could be neither renamed nor replaced by what writes it.
    whole = os.path.realpath(path).casefold()
    name = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
    release = windows_api.claim_name(f"gaussianspeech-{name}")
    if release is None:
        return None
    try:
        path.open("wb").close()
    except OSError:
        release()
        if path.exists():
            return None
        raise
    return release


# --- Paths and command lines ----------------------------------------------------------------------


def long_path(path: Path) -> Path:
    """An absolute path in the form in which Windows takes more than 260 characters."""
    text = str(path)
    if not WINDOWS or len(text) <= _LONGEST_FOLDER or text.startswith("\\\\?\\"):
        return path
    return Path(f"\\\\?\\UNC{text[1:]}" if text.startswith("\\\\") else f"\\\\?\\{text}")


def portable_name(name: str) -> str:
    """A file's name that Windows takes, too, from one of letters, digits and ``._-``."""
    name = name.rstrip(". ")
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def ansi_path(path: str) -> bytes:
    """The path of a file that is there as C libraries take it, without letters that they lack."""
    return windows_api.short_path(path).encode("mbcs") if WINDOWS else os.fsencode(path)


def split_command(line: str) -> list[str]:
    """Program and arguments of a command line that a person wrote, by the rules of the system.

    Raises:
        ValueError: a quotation does not end.
    """
    return _split_for_windows(line) if WINDOWS else shlex.split(line)


def _split_for_windows(line: str) -> list[str]:
    """By the rules of Microsoft's C library: a backslash means something before quotes alone."""
    words: list[str] = []
    word: str | None = None
    quoted = False
    for part in re.findall(r'\\*"|[ \t]+|\\+|[^\\" \t]+', f"{line} "):
        slashes = len(part) - 1
        if part.endswith('"'):
            word = (word or "") + "\\" * (slashes // 2)
            if slashes % 2:
                word += '"'
            else:
                quoted = not quoted
        elif quoted or not part.isspace():
            word = (word or "") + part
        elif word is not None:
            words.append(word)
            word = None
    if quoted:
        raise ValueError("No closing quotation")
    return words


def join_command(words: Sequence[str]) -> str:
    """A command line to paste into a terminal: a POSIX shell, or Windows' cmd or PowerShell."""
    if not WINDOWS:
        return shlex.join(words)
    plain = re.compile(r"[\w.,:\\/+=~-]+")
    return " ".join(word if plain.fullmatch(word) else f'"{word}"' for word in words)


def environment_program(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / "Scripts" / "python.exe" if WINDOWS else folder / "bin" / "python"


def find_program(name: str, environ: Mapping[str, str]) -> str | None:
    """A program in the absolute folders of the PATH; never in the current one, as on Windows."""
    names = [name]
    if WINDOWS and not PureWindowsPath(name).suffix:
        names = [name + suffix for suffix in environ.get("PATHEXT", ".EXE").split(os.pathsep)]
    folders = map(Path, environ.get("PATH", "").split(os.pathsep))
    programs = (str(folder / name) for folder in folders if folder.is_absolute() for name in names)
    return next((found for program in programs if (found := shutil.which(program))), None)


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's home folder."""
    return Path(environ.get("USERPROFILE" if WINDOWS else "HOME") or Path.home())


def user_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the user's programs keep what they can make again.

    ``%LOCALAPPDATA%`` on Windows, ``~/Library/Caches`` on macOS, ``$XDG_CACHE_HOME`` or
    ``~/.cache`` elsewhere.
    """
    if WINDOWS:
        return Path(environ.get("LOCALAPPDATA") or home(environ) / "AppData" / "Local")
    if MACOS:
        return home(environ) / "Library" / "Caches"
    return Path(environ.get("XDG_CACHE_HOME") or home(environ) / ".cache")
