# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check of the project, each in an environment of its own: ``nox`` runs the tests.

``nox -s tests`` is the engine and the training, ``nox -s addon-5.2`` the add-on inside that
Blender, ``nox -s lint`` style and types, ``nox -s demo`` the README's first command on an installed
project, ``nox -s extension`` the zip that users install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"

ENGINE_PYTHON = "3.11"

BLENDERS = {
    "4.2": ("3.11", "bpy==4.2.23"),
    "4.5": ("3.11", "bpy==4.5.15"),
    "5.0": ("3.11", "bpy==5.0.1"),
    "5.2": ("3.13", "bpy==5.2.3"),
}
"""Supported Blenders: the Python they bring, and their module on PyPI."""

BUILDER = "5.2"
"""The Blender whose tool builds the zip."""

nox.options.sessions = ["tests", *(f"addon-{version}" for version in BLENDERS)]

BUILD_TOOL = """
import bpy, pathlib
print(pathlib.Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core/bl_pkg/cli/blender_ext.py")
"""


def python_of(version: str) -> str:
    """A Python of a version: from the PATH, or one that pyenv has installed."""
    program = f"python{version}"
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = sorted(root.glob(f"versions/{version}*/bin/{program}"))
    if installed:
        return str(installed[-1])
    return shutil.which(program) or version


@nox.session(python=python_of(ENGINE_PYTHON))
def tests(session: nox.Session) -> None:
    """The engine and the training."""
    install_engine(session)
    session.run("pytest", "tests/engine", "tests/training", *session.posargs)


def addon(session: nox.Session, version: str) -> None:
    """The installed zip inside one Blender, with the engine of the session ``tests``."""
    engine = Path(session.virtualenv.location).with_name("tests") / (
        "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    )
    if not engine.is_file():
        session.error("The engine's environment is missing: run 'nox -s tests' first.")
    session.install(BLENDERS[version][1], "numpy")  # The constraints pin one Blender alone.
    session.install("-c", "constraints.txt", "pytest", "hypothesis")
    package = build_extension(session, Path(session.create_tmp()).resolve())
    session.run(
        "pytest",
        "tests/blender_addon",
        *session.posargs,
        env={"GAUSSIANSPEECH_ZIP": str(package), "GAUSSIANSPEECH_PYTHON": str(engine)},
    )


def add_addon_session(version: str) -> None:
    """Make the session ``addon-VERSION``."""

    @nox.session(name=f"addon-{version}", python=python_of(BLENDERS[version][0]))
    def session(session: nox.Session) -> None:
        addon(session, version)


for blender in BLENDERS:
    add_addon_session(blender)


@nox.session(python=python_of(ENGINE_PYTHON))
def lint(session: nox.Session) -> None:
    """Style, format and types."""
    install_engine(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session(python=python_of(ENGINE_PYTHON))
def demo(session: nox.Session) -> None:
    """The README's first command, on the project as pip installs it, away from the checkout."""
    session.install("-c", "constraints.txt", ".[blender]")
    folder = Path(session.create_tmp()).resolve() / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    session.chdir(folder.parent)
    session.run("gaussianspeech", "demo", "--out", str(folder))
    for name in ("talk.mp4", "talk.blend", "still.png", "talk.performance.npz"):
        if not (folder / name).is_file():
            session.error(f"The demo left no {name}.")


@nox.session(python=python_of(BLENDERS[BUILDER][0]))
def extension(session: nox.Session) -> None:
    """Build the zip and validate it with Blender's own tool."""
    session.install(BLENDERS[BUILDER][1], "numpy")
    package = build_extension(session, Path("dist"))
    session.run("python", build_tool(session), "validate", str(package))
    session.log(f"The extension is {package}")


def install_engine(session: nox.Session) -> None:
    """The project with everything its tests need."""
    session.install("-c", "constraints.txt", "-e", ".[blender,dev]")


def build_extension(session: nox.Session, folder: Path) -> Path:
    """The zip of this checkout, in a folder."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.zip"):
        old.unlink()
    session.run(
        "python", build_tool(session), "build", "--source-dir", ".", "--output-dir", str(folder)
    )
    (package,) = folder.glob("*.zip")
    return package


def build_tool(session: nox.Session) -> str:
    """Blender's tool for extensions, which works without Blender."""
    output = session.run("python", "-c", BUILD_TOOL, silent=True, stderr=subprocess.DEVNULL)
    assert isinstance(output, str)
    return output.strip().splitlines()[-1]
