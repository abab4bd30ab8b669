# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check of the project: ``nox`` runs the tests, side by side.

``nox -s tests`` is the engine and the training, ``nox -s addon-5.2`` the add-on inside that
Blender, ``nox -s lint`` style and types, ``nox -s demo`` the README's first command on an installed
project, ``nox -s lpips`` the agreement with the package of that name, ``nox -s tracking`` tracking
with MediaPipe, ``nox -s cluster`` batches and trainings on a Ray cluster, ``nox -s extension`` the
zip that users install, ``nox -s repository`` a folder that Blender installs and updates it from.
The sessions ``environment`` and ``blender-VERSION``, which the others require, make the
environments; compiled kernels and byte code are kept in ``.nox`` and shared by all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2026.10.20"

ENGINE_PYTHON = "3.11"

BLENDERS = {
    "5.2": ("3.13", "bpy==5.2.3"),
    "5.0": ("3.11", "bpy==5.0.1"),
    "4.5": ("3.11", "bpy==4.5.15"),
    "4.2": ("3.11", "bpy==4.2.23"),
}
"""Supported Blenders: the Python they bring, and their module on PyPI."""

SHARED_BLENDER = "5.0"
"""The Blender that is in the environment of the engine: the extra ``blender``."""

BUILDER = "5.2"
"""The Blender whose tool builds the zip."""

LPIPS = ("lpips==0.1.4", "torchvision==0.28.0")
"""The packages of the extra ``perceptual``; torchvision is the one for the pinned torch."""

nox.options.sessions = ["tests", *(f"addon-{version}" for version in BLENDERS)]
# One more than there are processors: each session waits for other processes now and then.
nox.options.parallel = (os.cpu_count() or 1) + 1
nox.options.allow_parallel = True

REPOSITORY = Path(__file__).resolve().parent
SHARED = REPOSITORY / ".nox"
COMPILED = {
    "NUMBA_CACHE_DIR": str(SHARED / "kernels"),
    "PYTHONPYCACHEPREFIX": str(SHARED / "bytecode"),
    # Containers often set it; each of hundreds of processes would then compile torch again.
    "PYTHONDONTWRITEBYTECODE": "",
}
"""Environment variables: what is compiled once is there for all."""

MADE = SHARED / "made"
"""What the sessions in Blender need of the engine; the session ``environment`` leaves it there."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
"""Environment variables of sessions that share the processors with others."""


def python_of(version: str) -> str:
    """A Python of a version: this one, one that pyenv has installed, or one from the PATH."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        return sys.executable
    program = f"python{version}"
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = sorted(root.glob(f"versions/{version}*/bin/{program}"))
    if installed:
        return str(installed[-1])
    return shutil.which(program) or version


def location(environment: str) -> Path:
    """The folder of the environment that a session has made; nox may shorten its name."""
    made = (SHARED / f"{environment}.made").read_text(encoding="utf-8")
    return Path(made.splitlines()[1])


def program(environment: str, name: str) -> str:
    """A program of the environment that a session has made."""
    windows = sys.platform == "win32"
    folder = location(environment) / ("Scripts" if windows else "bin")
    return str(folder / (f"{name}.exe" if windows else name))


def install(session: nox.Session, *arguments: str) -> None:
    """Install with pip, unless the session's environment has been made from the same files.

    Byte code is left to the first import: of most modules none is ever needed.
    """
    files = [REPOSITORY / name for name in ("pyproject.toml", "constraints.txt", "noxfile.py")]
    made_from = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    record = f"{made_from}\n{session.virtualenv.location}\n"
    made = SHARED / f"{session.name}.made"
    if made.is_file() and made.read_text(encoding="utf-8") == record:
        session.log("The environment is up to date.")
        return
    made.unlink(missing_ok=True)
    session.install("--no-compile", *arguments)
    made.write_text(record, encoding="utf-8")


@nox.session(python=python_of(ENGINE_PYTHON), reuse_venv=True)
def environment(session: nox.Session) -> None:
    """The environment of the engine, the training and their tests, and what these share."""
    install(session, "-c", "constraints.txt", "-e", ".[blender,dev,english,training]")
    session.run("python", "-m", "tests.compile_kernels", str(MADE), env=COMPILED)


@nox.session(python=False, requires=["environment"])
def tests(session: nox.Session) -> None:
    """All but the add-on: the engine and the training."""
    session.run(
        program("environment", "pytest"),
        "-n=auto",
        "--maxprocesses=8",
        "--dist=worksteal",
        "--durations=20",
        *(session.posargs or ("tests", "--ignore=tests/blender_addon")),
        env=COMPILED,
        external=True,
    )


def environment_of(version: str) -> str:
    """The session that makes the environment of one Blender."""
    return "environment" if version == SHARED_BLENDER else f"blender-{version}"


def newest_blender() -> str:
    """The newest Blender whose Python is there; it alone runs the tests marked ``one_blender``."""
    return next(name for name, (python, _) in BLENDERS.items() if shutil.which(python_of(python)))


def addon(session: nox.Session, version: str) -> None:
    """The installed zip inside one Blender, with the engine of the session ``environment``."""
    if not (SHARED / f"{environment_of(version)}.made").is_file():
        session.skip(f"Blender {version} needs Python {BLENDERS[version][0]}.")
    python = program(environment_of(version), "python")
    package = build_extension(session, version, Path(session.create_tmp()).resolve())
    session.run(
        python,
        "-m",
        "pytest",
        "--durations=20",
        *(() if version == newest_blender() else ("-m", "not one_blender")),
        *(session.posargs or ("tests/blender_addon",)),
        env=COMPILED
        | ONE_THREAD
        | {
            "GAUSSIANSPEECH_ZIP": str(package),
            "GAUSSIANSPEECH_PYTHON": program("environment", "python"),
            "GAUSSIANSPEECH_MADE": str(MADE),
        },
        external=True,
    )


def add_blender(version: str) -> None:
    """Make the sessions ``blender-VERSION``, the environment, and ``addon-VERSION``, the tests."""
    python, package = BLENDERS[version]

    if version != SHARED_BLENDER:

        @nox.session(name=f"blender-{version}", python=python_of(python), reuse_venv=True)
        def _environment(session: nox.Session) -> None:
            """Blender as a Python module, with what the add-on's tests need."""
            # The constraints pin one Blender alone; numpy follows it.
            install(session, package, "numpy", *test_requirements())

    requires = list(dict.fromkeys(["environment", environment_of(version)]))

    @nox.session(name=f"addon-{version}", python=False, requires=requires)
    def _tests(session: nox.Session) -> None:
        """The add-on, installed from the zip, inside one Blender."""
        addon(session, version)


def test_requirements() -> list[str]:
    """What the add-on's tests need beside Blender, as the constraints pin it."""
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith(("pytest==", "hypothesis=="))]


for blender in BLENDERS:
    add_blender(blender)


@nox.session(python=False, requires=["environment"])
def lint(session: nox.Session) -> None:
    """Style, format and types."""
    session.run(program("environment", "ruff"), "check", ".", external=True)
    session.run(program("environment", "ruff"), "format", "--check", ".", external=True)
    session.run(program("environment", "mypy"), external=True)
    session.run(program("environment", "lint-imports"), external=True)


@nox.session(python=False, requires=["environment"])
def demo(session: nox.Session) -> None:
    """The README's first command, on the project as pip installs it, away from the checkout."""
    folder = SHARED / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    python, project = program("environment", "python"), folder / "project"
    session.run(
        *(python, "-m", "pip", "install", "-q", "--no-deps", "--target", str(project), "."),
        external=True,
    )
    session.chdir(folder)
    session.run(
        *(python, str(project / "bin" / "gaussianspeech"), "demo", "--out", "out"),
        # Before the checkout, which the environment knows as well.
        env=COMPILED | {"PYTHONPATH": str(project)},
        external=True,
    )
    for name in ("talk.mp4", "talk.blend", "still.png", "talk.performance.npz"):
        if not (folder / "out" / name).is_file():
            session.error(f"The demo left no {name}.")


@nox.session(python=False, requires=["environment"])
def lpips(session: nox.Session) -> None:
    """LPIPS against the package ``lpips``, which needs a torchvision that nothing else may see."""
    folder = SHARED / "lpips"
    python = program("environment", "python")
    session.run(
        *(python, "-m", "pip", "install", "-q", "--no-deps", "--upgrade", "--no-compile"),
        *("--target", str(folder), *LPIPS),
        external=True,
    )
    session.run(
        *(python, "-m", "pytest", "tests/training/metrics/test_image_lpips.py"),
        env=COMPILED | {"PYTHONPATH": str(folder)},
        external=True,
    )


@nox.session(python=python_of(ENGINE_PYTHON), reuse_venv=True)
def tracking(session: nox.Session) -> None:
    """Tracking with MediaPipe, which the other sessions do without."""
    extras = ".[tracking,training]"
    install(session, "-c", "constraints.txt", "-e", extras, "pytest", "hypothesis")
    session.run("pytest", "tests/training/tracking", *session.posargs, env=COMPILED)


@nox.session(python=python_of(ENGINE_PYTHON), reuse_venv=True)
def cluster(session: nox.Session) -> None:
    """Batches and trainings on a real Ray cluster of two nodes on this machine."""
    install(session, "-c", "constraints.txt", "-e", ".[cluster,training]", "pytest", "hypothesis")
    tests = ("tests/engine/batch", "tests/training/commands/test_ray_trainings.py")
    session.run("pytest", "-s", *(session.posargs or tests), env=COMPILED)


@nox.session(python=False, requires=[environment_of(BUILDER)])
def extension(session: nox.Session) -> None:
    """Build the zip and validate it with Blender's own tool."""
    package = build_extension(session, BUILDER, Path("dist"))
    python = program(environment_of(BUILDER), "python")
    session.run(python, build_tool(BUILDER), "validate", str(package), external=True)
    session.log(f"The extension is {package}")


@nox.session(python=False, requires=[environment_of(BUILDER)])
def repository(session: nox.Session) -> None:
    """A static extension repository in dist/repository: the zip, and the index for Blender."""
    folder = Path("dist") / "repository"
    folder.mkdir(parents=True, exist_ok=True)
    build_extension(session, BUILDER, folder)
    python = program(environment_of(BUILDER), "python")
    session.run(
        *(python, build_tool(BUILDER), "server-generate", "--repo-dir", str(folder), "--html"),
        external=True,
    )
    session.log(f"Serve {folder}, or give Blender the URL of its index.json")


def build_extension(session: nox.Session, version: str, folder: Path) -> Path:
    """The zip of this checkout, built by one Blender's tool in a folder."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.zip"):
        old.unlink()
    session.run(
        *(program(environment_of(version), "python"), build_tool(version)),
        *("build", "--source-dir", ".", "--output-dir", str(folder)),
        external=True,
    )
    (package,) = folder.glob("*.zip")
    return package


def build_tool(version: str) -> str:
    """Blender's tool for extensions, which works without Blender."""
    pattern = "**/site-packages/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"
    (tool,) = location(environment_of(version)).glob(pattern)
    return str(tool)
