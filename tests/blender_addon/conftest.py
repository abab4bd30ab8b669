# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests inside Blender run against the installed zip; the others load the add-on without Blender.

``GAUSSIANSPEECH_ZIP`` names the built extension (``build`` builds it from this checkout), and
``GAUSSIANSPEECH_PYTHON`` the engine's Python. The ``blender`` fixture installs and enables the zip
once, in a temporary user folder, and gives each test an empty scene.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.blender_addon.ramp_sound import RATE, SECONDS
from tests.blender_addon.undo_steps import state, unused

REPOSITORY = Path(__file__).resolve().parents[2]
ZIP_VARIABLE = "GAUSSIANSPEECH_ZIP"
PACKAGE = "bl_ext.user_default.gaussianspeech"

if os.environ.get(ZIP_VARIABLE):
    # bpy reads it when it is imported, which the first test module may do.
    os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="gaussianspeech-tests-")


_exit_status = 0


def pytest_sessionfinish(exitstatus):
    global _exit_status  # noqa: PLW0603 - pytest_unconfigure does not get it
    _exit_status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure():
    if not os.environ.get(ZIP_VARIABLE):
        return
    shutil.rmtree(os.environ["BLENDER_USER_RESOURCES"], ignore_errors=True)
    if "bpy" in sys.modules:
        # As a module, 4.5 may hang in its own clean-up: it destroys what its sound thread waits on.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_status)


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The extension's zip."""
    source = os.environ.get(ZIP_VARIABLE)
    if not source:
        pytest.skip(f"{ZIP_VARIABLE} does not name the built extension ('build' builds it)")
    bpy = pytest.importorskip("bpy", reason="Blender's Python module (bpy) is not installed")
    return build(bpy, tmp_path_factory.mktemp("zip")) if source == "build" else Path(source)


@pytest.fixture(scope="session")
def installed(package):
    """bpy with the extension installed from the zip and enabled."""
    import addon_utils
    import bpy

    addon_utils.enable("bl_pkg")
    result = bpy.ops.extensions.package_install_files(
        filepath=str(package), repo="user_default", enable_on_install=True
    )
    assert result == {"FINISHED"}
    yield bpy
    # A RenderEngine that is still registered at exit crashes 4.2 and hangs 4.5.
    addon_utils.disable(PACKAGE)


def build(bpy, folder: Path) -> Path:
    """The zip of this checkout, made by Blender's own tool."""
    tool = Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core/bl_pkg/cli/blender_ext.py"
    command = [sys.executable, tool, "build", "--source-dir", REPOSITORY, "--output-dir", folder]
    subprocess.run(command, check=True, capture_output=True)
    (package,) = folder.glob("*.zip")
    return package


@pytest.fixture
def blender(installed):
    """bpy with an empty scene; the engine process is shared by the tests."""
    installed.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return installed


@pytest.fixture
def engine_ready(blender):
    """bpy with a running engine; skips where no engine Python is named."""
    if not os.environ.get("GAUSSIANSPEECH_PYTHON"):
        pytest.skip("GAUSSIANSPEECH_PYTHON does not name the engine's Python")
    return blender


@pytest.fixture(scope="session")
def engine_file(tmp_path_factory):
    """Folder of something that the engine made (see ``engine_files``); do not write to it.

    With ``GAUSSIANSPEECH_MADE`` it was made for all Blenders; skips where no engine Python is
    named.
    """
    shared, python = os.environ.get("GAUSSIANSPEECH_MADE"), os.environ.get("GAUSSIANSPEECH_PYTHON")
    folder = Path(shared) if shared else tmp_path_factory.mktemp("made")

    def made(name: str) -> Path:
        if not python:
            pytest.skip("GAUSSIANSPEECH_PYTHON does not name the engine's Python")
        if not (shared or (folder / name).is_dir()):
            environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
            environment.pop("PYTHONHOME", None)
            command = [python, "-m", "tests.blender_addon.engine_files", str(folder), name]
            subprocess.run(command, check=True, env=environment, cwd=REPOSITORY)
        return folder / name

    return made


@pytest.fixture(scope="session")
def addon(installed):
    """Import a module of the installed add-on by its name inside ``blender_addon``."""

    def load(name: str):
        return importlib.import_module(f"{PACKAGE}.blender_addon.{name}")

    return load


@pytest.fixture
def engine_aside(blender, addon):
    """No engine, as far as the add-on knows: the one that the tests share waits for the next."""
    session = addon("engine_link.session")
    kept = session._engine, session._settings
    session._engine = None
    yield session
    session.stop_engine()
    session._engine, session._settings = kept


@pytest.fixture(scope="session")
def predict(installed, addon):
    """Predict for the active object; of equal requests the engine gets the first alone."""
    client = addon("engine_link.client").EngineClient
    request, asked = client.request, {}

    def once(self, method, params, arrays):
        parts = [method.encode(), json.dumps(params, sort_keys=True).encode()]
        for name, array in sorted(arrays.items()):
            parts += [f"{name} {array.dtype} {array.shape}".encode(), array.tobytes()]
        key = hashlib.sha256(b"\0".join(parts)).digest()
        if key not in asked:
            asked[key] = request(self, method, params, arrays)
        return asked[key]

    def predicted():
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(client, "request", once)
            assert installed.ops.gaussianspeech.predict() == {"FINISHED"}

    return predicted


@pytest.fixture
def jobs(blender, tmp_path):
    """The folder of the jobs, chosen in the preferences."""
    preferences = blender.context.preferences.addons[PACKAGE].preferences
    root = tmp_path / "jobs"
    root.mkdir()
    preferences.jobs_folder = str(root)
    yield root
    preferences.jobs_folder = preferences.engine_command = ""


@pytest.fixture
def listed(engine_ready, jobs, addon):
    """Ask the engine for the jobs and give the list's names."""
    blender = engine_ready

    def read() -> list[str]:
        blender.ops.gaussianspeech.refresh_jobs()
        addon("jobs.timer").sync(blender.context)
        return blender.context.window_manager.gaussianspeech_jobs.entries.keys()

    return read


@pytest.fixture
def one_step(blender):
    """Call an operator as the interface does; then one step back is the file as it was."""

    def called(operator, **options):
        blender.ops.ed.undo_push(message="before")
        before = state(blender)
        assert operator("EXEC_DEFAULT", True, **options) == {"FINISHED"}
        after = state(blender)
        assert after != before
        assert not unused(blender)
        blender.ops.ed.undo()
        assert state(blender) == before
        assert not unused(blender)
        blender.ops.ed.redo()
        assert state(blender) == after

    return called


@pytest.fixture
def add_plain_head(blender):
    """Make an object that the add-on takes for a head."""

    def add():
        blender.ops.mesh.primitive_cube_add()
        obj = blender.context.object
        known = obj.gaussianspeech_head
        known.id, known.source, known.vertex_count = "default", "default", len(obj.data.vertices)
        return obj

    return add


@pytest.fixture(scope="session")
def ramp(tmp_path_factory):
    """A sound whose loudness is the time: at t seconds its peak is t/4."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    samples = np.sign(np.sin(2 * np.pi * 400 * time)) * time / SECONDS
    path = tmp_path_factory.mktemp("sound") / "ramp.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((30000 * samples).astype("<i2").tobytes())
    return path


@pytest.fixture
def audible(blender, addon):
    """bpy with sound; skips in a Blender without."""
    if not addon("compat").has_audio():
        pytest.skip("this Blender module was built without its sound system")
    return blender


@pytest.fixture
def mixing(audible):
    """bpy that mixes sound down, whatever went before: 5.2 stops after a cancelled render."""
    scene = audible.context.scene
    camera = audible.data.objects.new("Camera", audible.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera, scene.render.engine, scene.cycles.samples = camera, "CYCLES", 1
    scene.render.resolution_x = scene.render.resolution_y = 4
    audible.ops.render.render()
    return audible
