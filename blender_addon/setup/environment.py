# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's environment: made, filled, checked, repaired and removed. No bpy.

An environment counts once its record is written, which is the last step: one that was cancelled or
cut off is continued by the next set-up, and pip takes what it has downloaded from its cache.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO, cast

from ...engine.core.errors import (
    BadInputError,
    CancelledError,
    GaussianSpeechError,
    MissingDependencyError,
)
from ...engine.core.files import atomic_write
from ..engine_link.process import (
    RECORD,
    engine_environment,
    environment_python,
    installed_python,
)
from .requirements import CPU, Parts, constraints, requirements, torch_index

Report = Callable[[float, str], None]
"""Receives the fraction done and what is being done."""

PYTHONS = ((3, 11), (3, 12), (3, 13))
"""Versions of Python that the engine runs on."""

NEEDED = {"cpu": 2.5e9, "cuda": 9e9}
"""Bytes of free disk for an environment and what pip downloads for it."""

_FOUND, _DOWNLOADED, _INSTALLED, _COMPILED = 0.02, 0.6, 0.85, 0.97
"""Fractions of the set-up at which each stage ends."""

_LIBRARIES = 70
"""About as many does pip download."""

_WHEEL = re.compile(
    r"\s*(?:Downloading|Using cached|Processing) (?:\S*[/\\])?([\w.]+?)-\d\S*(?: (\(\d.*\)))?"
)
"""A line of pip about a wheel: its name, and its size where it is downloaded."""
_POLL = 0.1


@dataclass(frozen=True)
class SetupOptions:
    """How the environment is made.

    Attributes:
        folder: of the environment.
        parts: what is installed beside the engine itself.
        wheels: folder of wheels to install from without the network.
        log: file for what pip says.
        cache: folder for compiled code.
        build: of torch, as :func:`.requirements.chosen_build` names it.
        python: program to make the environment with; found by itself where it is empty.
    """

    folder: Path
    parts: Parts
    log: Path
    cache: Path
    build: str = CPU
    wheels: Path | None = None
    python: str = ""


@dataclass(frozen=True)
class SetupRecord:
    """What an environment holds, as its record says.

    Attributes:
        build: of torch.
        requirements: what pip was asked for.
        parts: what was chosen.
    """

    build: str
    requirements: tuple[str, ...] = ()
    parts: Parts = field(default_factory=Parts)

    @property
    def outdated(self) -> bool:
        """Whether this version of the extension needs other libraries."""
        return list(self.requirements) != requirements(self.parts)


def read_record(folder: Path) -> SetupRecord | None:
    """The record of a finished environment; ``None`` where there is none."""
    try:
        values = json.loads((folder / RECORD).read_text("utf-8"))
        record = SetupRecord(
            str(values["build"]), tuple(values["requirements"]), Parts(**values["parts"])
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return record if installed_python(folder) else None


def set_up(options: SetupOptions, cancelled: threading.Event, report: Report) -> SetupRecord:
    """Make or continue an environment, and leave its record.

    Args:
        options: what is wanted.
        cancelled: set to stop; what is there stays, for the next time.
        report: called with the fraction done and a message.

    Raises:
        BadInputError: the folder of wheels is missing, or the disk is full.
        MissingDependencyError: no suitable Python, no network, or a library that cannot be had.
        CancelledError: ``cancelled`` was set.
    """
    try:
        return _set_up(options, cancelled, report)
    except OSError as error:
        raise _failure("The engine cannot be set up", [f"ERROR: {error}"], options.log) from error


def _set_up(options: SetupOptions, cancelled: threading.Event, report: Report) -> SetupRecord:
    check_disk(options)
    if options.wheels is not None and not options.wheels.is_dir():
        raise BadInputError(
            f"There is no folder of wheels {options.wheels}.", "Choose the folder that holds them."
        )
    options.log.parent.mkdir(parents=True, exist_ok=True)
    options.log.write_bytes(b"")
    runner = _Runner(options.log, cancelled)
    wanted = requirements(options.parts)
    report(0.0, "Making the environment")
    (options.folder / RECORD).unlink(missing_ok=True)
    _make(options, runner)
    python = str(environment_python(options.folder))
    _install(options, wanted, runner, report)
    environ = engine_environment(options.cache)
    report(_INSTALLED, "Compiling kernels")
    runner.run([python, "-m", "engine", "warm-up"], environ, "The kernels could not be compiled")
    report(_COMPILED, "Checking the engine")
    runner.run([python, "-m", "engine", "doctor", "--json"], environ, "The engine does not run")
    record = SetupRecord(options.build, tuple(wanted), options.parts)
    with atomic_write(options.folder / RECORD) as temporary:
        temporary.write_text(json.dumps(asdict(record)), "utf-8")
    report(1.0, "The engine is set up")
    return record


def move_away(folder: Path) -> Path:
    """Give an environment another name, at once, so that it counts no more; returns that.

    Raises:
        GaussianSpeechError: it is in use.
    """
    gone = folder.with_name(f"{folder.name}.removed")
    try:
        if gone.exists():  # Left over from a removal that was cut off.
            shutil.rmtree(gone)
        folder.rename(gone)
    except OSError as error:
        raise GaussianSpeechError(
            f"{folder} cannot be removed: {error.strerror}.",
            "Close what uses it, such as another Blender, and try again.",
        ) from error
    return gone


def remove(folder: Path) -> None:
    """Remove an environment, all of it.

    Raises:
        GaussianSpeechError: a file cannot be removed.
    """
    try:
        # First what says that it is whole.
        (folder / RECORD).unlink(missing_ok=True)
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise GaussianSpeechError(
            f"{error.filename or folder} cannot be removed: {error.strerror}.",
            "Close what uses it, such as another Blender, and try again.",
        ) from error


def check_disk(options: SetupOptions) -> None:
    """Make sure that the environment fits on the disk.

    Raises:
        BadInputError: it does not.
    """
    there = next(path for path in (options.folder, *options.folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    needed = NEEDED["cpu" if options.build == CPU else "cuda"]
    if free < needed and read_record(options.folder) is None:
        raise BadInputError(
            f"The engine needs {needed / 1e9:.1f} GB for {options.folder}, and "
            f"{free / 1e9:.1f} GB are free.",
            "Free some space, or name an engine elsewhere in Engine Python or Engine Command.",
        )


def base_python(executable: str = sys.executable) -> str:
    """A Python that environments can be made with: Blender's own, or one on the PATH.

    Raises:
        MissingDependencyError: there is none.
    """
    names = [f"python{major}.{minor}" for major, minor in reversed(PYTHONS)] + ["python3", "python"]
    for program in (executable, *filter(None, map(shutil.which, names))):
        if _usable(program):
            return program
    raise MissingDependencyError(
        "No Python from 3.11 to 3.13 that can make environments was found.",
        "Install one from python.org and set up again, or name an engine in Engine Python.",
    )


def _usable(python: str) -> bool:
    test = "import ensurepip, sys, venv; print(*sys.version_info[:2])"
    try:
        # Blender's own Python or one from the PATH; no shell is involved.
        answer = subprocess.run(  # noqa: S603
            [python, "-c", test], capture_output=True, text=True, timeout=20, check=True
        ).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return False
    return tuple(map(int, answer)) in PYTHONS


def _make(options: SetupOptions, runner: _Runner) -> None:
    """An environment with a pip that works; one that is broken is made anew."""
    python = str(environment_python(options.folder))
    environ = _clean_environment()
    if Path(python).is_file() and runner.works([python, "-m", "pip", "--version"], environ):
        return
    remove(options.folder)
    options.folder.parent.mkdir(parents=True, exist_ok=True)
    command = [options.python or base_python(), "-m", "venv", str(options.folder)]
    runner.run(command, environ, "The environment could not be made")


def _install(options: SetupOptions, wanted: Sequence[str], runner: _Runner, report: Report) -> None:
    command = [str(environment_python(options.folder)), "-m", "pip", "install"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    if (pins := constraints()) is not None:
        command += ["-c", str(pins)]
    index = torch_index(options.build)
    if options.wheels is not None:
        command += ["--no-index", "--find-links", str(options.wheels)]
    elif index is not None:
        # A local version such as 2.13.0+cpu comes before the same of PyPI.
        command += ["--extra-index-url", index]
    seen = 0

    def follow(line: str) -> None:
        nonlocal seen
        found = _WHEEL.match(line)
        if found:
            seen += 1
            fraction = _FOUND + (_DOWNLOADED - _FOUND) * min(1.0, seen / _LIBRARIES)
            report(fraction, f"Getting {found[1]} {found[2] or ''}".strip())
        elif line.startswith("Installing collected packages"):
            report(_DOWNLOADED, "Installing libraries")

    report(_FOUND, "Looking for the libraries")
    runner.run(
        [*command, *wanted], _clean_environment(), "Libraries could not be installed", follow
    )


def _clean_environment() -> dict[str, str]:
    """Blender's environment without what is meant for Blender's own Python."""
    dropped = {"PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE"}
    return {key: value for key, value in os.environ.items() if key.upper() not in dropped} | {
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
    }


class _Runner:
    """Runs programs whose output goes to a log, and ends them when the set-up is cancelled.

    Args:
        log: file that is added to.
        cancelled: set to stop.
    """

    def __init__(self, log: Path, cancelled: threading.Event) -> None:
        self._log = log
        self._cancelled = cancelled

    def works(self, command: Sequence[str], environ: Mapping[str, str]) -> bool:
        """Whether a program ends without an error."""
        try:
            self.run(command, environ, "")
        except CancelledError:
            raise
        except GaussianSpeechError:
            return False
        return True

    def run(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        failure: str,
        follow: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Run a program to its end.

        Args:
            command: its command line.
            environ: its environment variables.
            failure: what it means when it fails.
            follow: called with each line that it prints.

        Raises:
            MissingDependencyError: it failed; the message has the last error that it printed.
            CancelledError: the set-up was cancelled.
        """
        if self._cancelled.is_set():
            raise CancelledError
        lines: list[str] = []
        unwritten: list[OSError] = []
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"> {' '.join(command)}\n")
            log.flush()
            try:
                process = _start(command, environ, self._log.parent)
            except OSError as error:
                raise MissingDependencyError(
                    f"{failure}: {command[0]}: {error.strerror}.", "Set up again."
                ) from error

            reader = threading.Thread(
                target=_read, args=(process, log, lines, unwritten, follow), daemon=True
            )
            reader.start()
            while process.poll() is None:
                if self._cancelled.wait(_POLL):
                    _end(process)
            # What the program has started may keep its output open.
            reader.join(5.0)
        if self._cancelled.is_set():
            raise CancelledError
        if unwritten:
            raise unwritten[0]
        if process.returncode:
            raise _failure(failure, lines, self._log)


def _start(
    command: Sequence[str], environ: Mapping[str, str], folder: Path
) -> subprocess.Popen[str]:
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    # Python, pip and the engine of the environment; no shell is involved.
    return subprocess.Popen(  # noqa: S603
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=dict(environ),
        cwd=folder,
        creationflags=flags,
        start_new_session=os.name != "nt",
    )


def _read(
    process: subprocess.Popen[str],
    log: TextIO,
    lines: list[str],
    unwritten: list[OSError],
    follow: Callable[[str], None],
) -> None:
    """Take in what a program prints, until it ends; what the log cannot take is noted."""
    with cast("TextIO", process.stdout) as stream:
        for line in stream:
            lines.append(line.rstrip())
            follow(lines[-1])
            try:
                log.write(line)
                log.flush()
            except OSError as error:  # Read on: else the program would wait for us.
                unwritten.append(error)


def _end(process: subprocess.Popen[str]) -> None:
    """End a program and those that it has started."""
    if os.name == "nt":
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        # Windows' own program, by its name in the system folder.
        subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


_NO_NETWORK = re.compile(
    r"NewConnectionError|Temporary failure in name resolution|getaddrinfo failed|ConnectTimeout|"
    r"Network is unreachable|Connection refused|ProxyError",
)
_NOT_FOUND = re.compile(r"No matching distribution found for (.+)")


def _failure(what: str, lines: Sequence[str], log: Path) -> GaussianSpeechError:
    """The error that a program's last words amount to."""
    text = "\n".join(lines)
    see = f"The whole log is {log}."
    if "No space left on device" in text or "not enough space on the disk" in text:
        return BadInputError(f"{what}: the disk is full.", "Free some space and set up again.")
    missing = _NOT_FOUND.search(text)
    if _NO_NETWORK.search(text):
        return MissingDependencyError(
            f"{what}: the package index cannot be reached.",
            "Check the network and set up again, or choose a folder of wheels. " + see,
        )
    if missing:
        return MissingDependencyError(
            f"{what}: {missing[1]} is not to be had where pip looked.",
            "Add its wheel to the folder of wheels, or set up with the network. " + see,
        )
    spoken = [line.strip() for line in lines if line.strip()] or ["it said nothing"]
    last = next((line for line in reversed(spoken) if "error" in line.lower()), spoken[-1])
    return MissingDependencyError(f"{what}: {last[:160]}", f"Set up again. {see}")
