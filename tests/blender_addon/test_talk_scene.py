# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's .blend, opened in a Blender that knows nothing of the add-on."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
VOICE = REPOSITORY / "engine/assets/sample_voice.wav"
FRAMES = (1, 30, 77)

INSPECT = f"""
import json, sys
import bpy
import numpy as np

bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
scene = bpy.context.scene
head = next(obj for obj in scene.objects if obj.type == "MESH" and obj.data.shape_keys)
offsets, rows = [], []
for frame in {FRAMES}:
    scene.frame_set(frame)
    mesh = head.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    flat = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", flat)
    rest = np.empty_like(flat)
    head.data.shape_keys.reference_key.points.foreach_get("co", rest)
    offsets.append((flat - rest).reshape(-1, 3))
    matrix = head.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world
    axis, angle = matrix.to_quaternion().to_axis_angle()
    keys = head.data.shape_keys.key_blocks
    eyes = sum(keys[name].value for name in ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookUpLeft"))
    rows.append([*(axis * angle), eyes])
np.save(sys.argv[2], np.array(offsets))
tree = getattr(scene, "compositing_node_group", None) or scene.node_tree
editor = scene.sequence_editor
strips = list(getattr(editor, "strips", None) or getattr(editor, "sequences", ())) if editor else []
views = [
    area.spaces.active.region_3d.view_perspective
    for screen in bpy.data.screens for area in screen.areas if area.type == "VIEW_3D"
]
print("FOUND" + json.dumps(dict(
    scene=scene.name, fps=scene.render.fps / scene.render.fps_base,
    frames=[scene.frame_start, scene.frame_end], sync=scene.sync_mode,
    engine=scene.render.engine, camera=scene.camera is not None,
    lights=sum(obj.type == "LIGHT" for obj in scene.objects),
    scenes=sorted(s.name for s in bpy.data.scenes),
    nodes=[node.label for node in tree.nodes],
    sounds=[strip.sound.packed_file is not None for strip in strips if strip.type == "SOUND"],
    start=[getattr(strip, "left_handle", None) or strip.frame_final_start for strip in strips],
    views=views, moves=rows, audio=bool(bpy.app.build_options.audaspace),
)))
"""


def run(*command, check=True):
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=check,
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        timeout=600,
    )


@pytest.fixture(scope="module")
def engine_python():
    if importlib.util.find_spec("bpy") is None:
        pytest.skip("Blender's Python module (bpy) is not installed")
    python = os.environ.get("GAUSSIANSPEECH_PYTHON")
    if not python:
        pytest.skip("GAUSSIANSPEECH_PYTHON does not name the engine's Python")
    return python


@pytest.fixture(scope="module")
def performance(engine_file):
    return engine_file("performance") / "sample_voice.performance.npz"


def talk_scene(engine_python, performance, out, *more, check=True):
    command = [sys.executable, "-m", "blender_addon.talk_scene"]
    command += ["--performance", performance, "--audio", VOICE, "--out", out]
    return run(*command, "--engine-python", engine_python, *more, check=check)


@pytest.fixture(scope="module")
def blend(engine_python, performance, tmp_path_factory):
    folder = tmp_path_factory.mktemp("talk")
    talk_scene(engine_python, performance, folder / "talk.blend")
    assert [path.name for path in folder.iterdir()] == ["talk.blend"]
    return folder / "talk.blend"


@pytest.fixture(scope="module")
def found(blend, tmp_path_factory):
    return inspected(blend, tmp_path_factory.mktemp("found"))


def inspected(blend, folder):
    """What a plain Blender sees in the file, and the head's offsets at some frames."""
    output = run(sys.executable, "-c", INSPECT, blend, folder / "offsets.npy").stdout
    line = next(line for line in output.splitlines() if line.startswith("FOUND"))
    return json.loads(line.removeprefix("FOUND")), np.load(folder / "offsets.npy")


def test_the_mesh_plays_the_performance_to_a_tenth_of_a_millimetre(found, performance):
    with np.load(performance) as data:
        weights = data["weights"][np.array(FRAMES) - 1]
        offsets = np.einsum("tk,kvc->tvc", weights, data["basis"])
    # Head space (x, y, z) is Blender's (x, -z, y).
    expected = np.stack([offsets[..., 0], -offsets[..., 2], offsets[..., 1]], axis=-1)
    assert np.abs(expected).max() > 1e-3
    assert np.linalg.norm(found[1] - expected, axis=-1).max() < 1.5e-4


def test_time_is_the_performances(found, performance):
    with np.load(performance) as data:
        frames, fps = len(data["weights"]), float(data["fps"])
    assert found[0]["fps"] == pytest.approx(fps, rel=1e-6)
    assert found[0]["frames"] == [1, frames]


def test_the_sound_is_in_the_file_and_leads_playback(found):
    if not found[0]["audio"]:
        pytest.skip("This Blender has no sound system (the PyPI module of 4.2)")
    assert found[0]["sounds"] == [True]
    assert found[0]["start"] == [1]
    assert found[0]["sync"] == "AUDIO_SYNC"


def test_f12_is_set_up_to_composite_the_avatar_over_a_lit_stage(found):
    about = found[0]
    assert about["engine"] == "CYCLES"
    assert about["camera"]
    assert about["lights"] >= 2
    assert about["scenes"] == ["Talk", "Talk Avatar", "Talk Foreground"]
    assert {"Avatar", "Avatar over Scene"} <= set(about["nodes"])


def test_it_opens_on_the_head(found):
    assert found[0]["scene"] == "Talk"
    assert set(found[0]["views"]) == {"CAMERA"}


@pytest.mark.one_blender
def test_a_missing_performance_is_one_line_and_exit_code_2(engine_python, tmp_path):
    done = talk_scene(engine_python, tmp_path / "none.npz", tmp_path / "talk.blend", check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == f"There is no file {tmp_path / 'none.npz'}. Check the path."
    assert not list(tmp_path.iterdir())


@pytest.mark.one_blender
def test_a_file_that_is_no_performance_is_refused_and_nothing_is_written(engine_python, tmp_path):
    wrong = tmp_path / "wrong.npz"
    wrong.write_bytes(b"not a performance")
    done = talk_scene(engine_python, wrong, tmp_path / "talk.blend", check=False)
    assert done.returncode == 2
    assert str(wrong) in done.stderr
    assert list(tmp_path.iterdir()) == [wrong]


@pytest.mark.one_blender
def test_an_avatar_that_is_not_there_is_named(engine_python, performance, tmp_path):
    missing = tmp_path / "none.safetensors"
    done = talk_scene(
        engine_python, performance, tmp_path / "t.blend", "--avatar", missing, check=False
    )
    assert done.returncode == 2
    assert str(missing) in done.stderr
    assert not list(tmp_path.iterdir())


def moves(found):
    """Rotation vector of the head in Blender's axes and what the eyes do, at some frames."""
    return np.array(found[0]["moves"])


# That head motion and gaze play in each Blender is seen in test_speech_face.py and test_gaze.py;
# what follows is that they reach the file.
@pytest.mark.one_blender
def test_the_head_turns_as_the_performance_says(engine_python, performance, tmp_path):
    with np.load(performance) as data:
        arrays = {name: data[name] for name in data.files}
    turned = np.random.default_rng(0).normal(0, 0.05, (len(arrays["weights"]), 3))
    arrays["head_rotation"] = turned.astype(np.float32)
    np.savez(tmp_path / "turned.npz", **arrays)
    talk_scene(engine_python, tmp_path / "turned.npz", tmp_path / "talk.blend")
    x, y, z = turned[np.array(FRAMES) - 1].T
    found = moves(inspected(tmp_path / "talk.blend", tmp_path))[:, :3]
    np.testing.assert_allclose(found, np.stack([x, -z, y], axis=1), atol=2e-4)


@pytest.mark.one_blender
def test_gaze_and_head_motion_can_be_baked_into_it(engine_python, performance, found, tmp_path):
    options = ["--gaze", "0.7", "--head-motion", "0.8"]
    talk_scene(engine_python, performance, tmp_path / "talk.blend", *options)
    moved, still = moves(inspected(tmp_path / "talk.blend", tmp_path)), moves(found)
    assert not still[:, :3].any()
    assert np.abs(moved[1:, :3]).max() > 0.005
    assert moved[:, 3].max() > still[:, 3].max()
