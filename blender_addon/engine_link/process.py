# SPDX-License-Identifier: GPL-3.0-or-later
"""How the engine process is started: its Python, its command line and its environment. No bpy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ...engine.core import platforms
from ...engine.core.errors import BadInputError, MissingDependencyError

ROOT = Path(__file__).resolve().parents[2]
"""The extension's folder; it is put on the engine's PYTHONPATH, so both sides are one version."""

PYTHON_VARIABLE = "GAUSSIANSPEECH_PYTHON"
"""Environment variable that names the engine's Python where the preferences do not."""

RECORD = "gaussianspeech.json"
"""File in an environment that the add-on has set up; its last, so that what has it is whole."""

SET_UP_HINT = "Press Set Up Engine in the GaussianSpeech panel or the add-on's preferences."
"""What to do where there is no engine."""

OWN_PYTHON_HINT = (
    "Install the libraries into it (Copy Install Command in the add-on's preferences), or clear "
    "Engine Python there and press Set Up Engine."
)
"""What to do where the Python that the preferences name lacks libraries."""

ENVIRONMENT_NAMES = ("gaussianspeech", ".gaussianspeech")
"""Folders in the home folder that are looked into for an engine's Python."""


def find_python(
    configured: str = "", environ: Mapping[str, str] = os.environ, installed: Path | None = None
) -> str:
    """The engine's Python: one that was named or set up, or the PATH's.

    Args:
        configured: path from the preferences, or empty.
        environ: environment variables.
        installed: Python of the environment that the add-on has set up.

    Raises:
        BadInputError: the configured path is not absolute, or not a file.
        MissingDependencyError: there is no Python at all.
    """
    known = known_python(configured, environ, installed)
    if known is not None:
        return known
    for name in ("python3", "python"):
        found = platforms.find_program(name, environ)
        if found:
            return found
    raise MissingDependencyError("No Python was found for the engine.", SET_UP_HINT)


def known_python(
    configured: str = "", environ: Mapping[str, str] = os.environ, installed: Path | None = None
) -> str | None:
    """The preferences' Python, the variable's, the one that was set up, or an environment's.

    Args and errors are those of :func:`find_python`.
    """
    for source, path in (
        ("Engine Python in the preferences", configured),
        (PYTHON_VARIABLE, environ.get(PYTHON_VARIABLE, "")),
    ):
        if path:
            return _checked_program(source, path)
    if installed is not None:
        return str(installed)
    for folder in _environment_folders(environ):
        python = platforms.environment_program(folder)
        if python.is_file():
            return str(python)
    return None


def installed_python(folder: Path) -> Path | None:
    """The Python of an environment that was set up to its end; ``None`` where it is not whole."""
    python = platforms.environment_program(folder)
    return python if (folder / RECORD).is_file() and python.is_file() else None


def engine_command(
    python: str, override: str = "", environ: Mapping[str, str] = os.environ
) -> list[str]:
    """The command line that starts the engine; its program is an absolute path.

    Args:
        python: the engine's Python.
        override: a whole command line instead, for example ``ssh host python -m engine serve``.
        environ: environment variables.

    Raises:
        BadInputError: unbalanced quotes in the override, or a relative path to its program.
        MissingDependencyError: its program is not on the PATH.
    """
    if not override.strip():
        return [python, "-m", "engine", "serve"]
    try:
        program, *arguments = platforms.split_command(override)
    except ValueError as error:
        raise BadInputError(
            f"Engine Command in the preferences cannot be read: {error}.", "Check its quotes."
        ) from error
    if Path(program).name != program:
        return [_checked_program("The program of Engine Command", program), *arguments]
    found = platforms.find_program(program, environ)
    if found is None:
        raise MissingDependencyError(
            f"The engine cannot be started: there is no program {program!r} on the PATH.",
            "Install it, or give its whole path in Engine Command in the preferences.",
        )
    return [found, *arguments]


def _checked_program(source: str, path: str) -> str:
    """The absolute path of a program that was configured.

    Relative paths are refused: they would start what lies beside the open file, or in the folder
    that Blender was started from, and both can come from a download.
    """
    program = Path(path).expanduser()
    if not program.is_absolute() or path.startswith("//"):
        wrong = "not an absolute path"
    elif not program.is_file():
        wrong = "not a file"
    else:
        return str(program)
    raise BadInputError(
        f"{source} is {path!r}, which is {wrong}.",
        "Give the whole path of the program: the python of the engine's environment.",
    )


def of_another_python(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Blender's environment for another Python than its own."""
    # Blender's launchers set these for Blender's own Python, and they would break another one.
    dropped = {
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONEXECUTABLE",
        "__PYVENV_LAUNCHER__",
    }
    kept = {key: value for key, value in environ.items() if key.upper() not in dropped}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


def engine_environment(
    cache: Path, device: str = "auto", environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Environment of the engine process.

    Args:
        cache: folder for compiled code, unless Blender's environment names another; the extension's
            own folder stays unwritten.
        device: ``auto``, ``cuda`` or ``cpu``.
        environ: Blender's environment.
    """
    env = of_another_python(environ)
    env.setdefault("PYTHONPYCACHEPREFIX", str(cache / "pycache"))
    env.setdefault("NUMBA_CACHE_DIR", str(cache / "numba"))
    env.setdefault("OPENBLAS_NUM_THREADS", "1")  # See engine.core.runtime; numpy reads it first.
    env |= {
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",  # The working folder must not stand before the extension's.
        "OMP_WAIT_POLICY": "PASSIVE",  # torch's and numba's thread pools compete otherwise.
        "GAUSSIANSPEECH_DEVICE": device,
    }
    return env


def _environment_folders(environ: Mapping[str, str]) -> list[Path]:
    active = (Path(environ.get(name, "")) for name in ("VIRTUAL_ENV", "CONDA_PREFIX"))
    folders = [folder for folder in active if folder.is_absolute()]
    return folders + [platforms.home(environ) / name for name in ENVIRONMENT_NAMES]
