# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's environment: made, filled, checked, repaired and removed. No bpy.

An environment counts once its record is written, which is the last step: one that was cancelled or
cut off is continued by the next set-up, and pip takes what it has downloaded from its cache.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from ...engine.core import platforms
from ...engine.core.errors import (
    BadInputError,
    GaussianSpeechError,
    MissingDependencyError,
)
from ...engine.core.files import write_text
from ..engine_link.process import (
    RECORD,
    engine_environment,
    installed_python,
    of_another_python,
)
from .pip_errors import install_failure
from .requirements import CPU, Parts, constraints, requirements, torch_index
from .runner import Runner, failure

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
        raise failure("The engine cannot be set up", [f"ERROR: {error}"], options.log) from error


def _set_up(options: SetupOptions, cancelled: threading.Event, report: Report) -> SetupRecord:
    check_disk(options)
    if options.wheels is not None and not options.wheels.is_dir():
        raise BadInputError(
            f"There is no folder of wheels {options.wheels}.", "Choose the folder that holds them."
        )
    options.log.parent.mkdir(parents=True, exist_ok=True)
    options.log.write_bytes(b"")
    runner = Runner(options.log, cancelled)
    wanted = requirements(options.parts)
    report(0.0, "Making the environment")
    (options.folder / RECORD).unlink(missing_ok=True)
    _make(options, runner)
    python = str(platforms.environment_program(options.folder))
    _install(options, wanted, runner, report)
    environ = engine_environment(options.cache)
    report(_INSTALLED, "Compiling kernels")
    runner.run([python, "-m", "engine", "warm-up"], environ, "The kernels could not be compiled")
    report(_COMPILED, "Checking the engine")
    runner.run([python, "-m", "engine", "doctor", "--json"], environ, "The engine does not run")
    record = SetupRecord(options.build, tuple(wanted), options.parts)
    write_text(options.folder / RECORD, json.dumps(asdict(record)))
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
            platforms.remove_tree(gone)
        platforms.replace(folder, gone)
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
        platforms.remove_tree(folder)
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
        options = {"capture_output": True, "text": True, "timeout": 20, "check": True}
        answer = platforms.run([python, "-c", test], **options).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return False
    return tuple(map(int, answer)) in PYTHONS


def _make(options: SetupOptions, runner: Runner) -> None:
    """An environment with a pip that works; one that is broken is made anew."""
    python = str(platforms.environment_program(options.folder))
    environ = of_another_python()
    if Path(python).is_file() and runner.works([python, "-m", "pip", "--version"], environ):
        return
    remove(options.folder)
    options.folder.parent.mkdir(parents=True, exist_ok=True)
    command = [options.python or base_python(), "-m", "venv", str(options.folder)]
    runner.run(command, environ, "The environment could not be made")


def _install(options: SetupOptions, wanted: Sequence[str], runner: Runner, report: Report) -> None:
    command = [str(platforms.environment_program(options.folder)), "-m", "pip", "install"]
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
        [*command, *wanted],
        of_another_python(),
        "Libraries could not be installed",
        follow,
        partial(install_failure, wheels=options.wheels, environment=options.folder),
    )
