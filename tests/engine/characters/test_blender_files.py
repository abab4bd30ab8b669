# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.characters import (
    blender_file,
    load_mapping,
    open_character,
    proposed_mapping,
    speak,
)
from engine.characters.character import Clip, Values
from engine.core.errors import BadInputError, GaussianSpeechError, MissingDependencyError
from engine.heads.axes import head_to_blender
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.bones import BoneRow
from engine.motion.characters.mapping_file import save_mapping
from engine.motion.interchange.face_curves import FaceCurves
from tests.engine.characters.bone_files import rigged_character, world_turn
from tests.engine.gltf_files import ARKIT, arkit_character, glb_parts

REPOSITORY = Path(__file__).resolve().parents[3]

needs_blender = pytest.mark.skipif(
    importlib.util.find_spec("bpy") is None, reason="Blender's Python module is not installed"
)


@functools.cache
def blender_process():
    """A Blender for all tests; it ends with this process, whose pipe it reads."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.engine.characters.in_blender"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )


def blender(*arguments):
    """What an action of ``in_blender.py`` returns."""
    process = blender_process()
    process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
    process.stdin.flush()
    for line in process.stdout:
        kind, _, answer = line.partition(" ")
        if kind in {"DONE", "FAILED"}:
            assert kind == "DONE", json.loads(answer)
            return json.loads(answer)
    raise AssertionError("Blender has ended.")


@pytest.fixture
def one_blender(monkeypatch):
    """Let the Blender of all tests answer what each character starts a process for."""

    def answered(request, _log):
        blender("answer", request)
        return 0

    monkeypatch.setattr(blender_file, "run_blender", answered)


def sampled(path, fps, count):
    found = blender("sample", path, fps, count)
    return {name: np.array(values) for name, values in found["values"].items()}, found


def posed(path, count, rig, bone):
    """How a bone is turned, frame by frame, as Blender shows it."""
    return blender("turns", path, count, rig, bone)


def talk(frames=40, fps=25.0):
    """Every expression moves differently."""
    weights = np.random.default_rng(4).random((frames, len(ARKIT_NAMES)), np.float32)
    return FaceCurves(fps, weights, np.zeros((frames, 3), np.float32))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for name in ("anna.blend", "anna.fbx"):
        blender("make", folder / name)
    blender("make", folder / "busy.blend", "busy")
    return folder


@pytest.fixture(scope="module")
def characters(made):
    """The characters of the two files; a Blender reads each."""
    return {name: open_character(made / name) for name in ("anna.blend", "anna.fbx")}


def expected(performance, key):
    return performance.weights[:, ARKIT_NAMES.index(key)]


@needs_blender
@pytest.mark.parametrize("fps", [24.0, 29.97, 60.0])
def test_blender_shows_a_glb_as_it_was_meant_at_every_frame(tmp_path, fps):
    character = open_character(arkit_character().written(tmp_path / "a.glb"))
    performance = talk(fps=fps)
    character.save(tmp_path / "b.glb", [speak(performance, proposed_mapping(character), "talk")])
    values, _ = sampled(tmp_path / "b.glb", fps, 40)
    for key in ARKIT:
        np.testing.assert_allclose(values[f"Face/{key}"], expected(performance, key), atol=1e-4)
    np.testing.assert_allclose(values["Teeth/jawOpen"], values["Face/jawOpen"], atol=1e-6)
    assert not values["Face/artist's own"].any()


@needs_blender
@pytest.mark.parametrize(
    ("source", "out", "fps"),
    [
        ("anna.blend", "out.blend", 25.0),
        ("anna.blend", "out.blend", 29.97),
        ("anna.fbx", "out.fbx", 25.0),
        ("anna.fbx", "out.blend", 29.97),
    ],
)
def test_files_of_blender_speak_and_keep_what_is_in_them(characters, tmp_path, source, out, fps):
    character = characters[source]
    assert [(part.name, len(part.keys)) for part in character.parts] == [("Face", 9), ("Teeth", 1)]
    performance = talk(fps=fps)
    clip = speak(performance, proposed_mapping(character), "talk")
    assert character.save(tmp_path / out, [clip]) == ()
    assert [path.name for path in tmp_path.iterdir()] == [out]
    values, found = sampled(tmp_path / out, fps, 40)
    for key in ARKIT:
        np.testing.assert_allclose(values[f"Face/{key}"], expected(performance, key), atol=2e-4)
    np.testing.assert_allclose(values["Teeth/jawOpen"], values["Face/jawOpen"], atol=1e-4)
    np.testing.assert_allclose(values["Face/artist's own"], 0.25, atol=1e-6)
    assert found["materials"] == ["Skin"]
    # An artist's scene keeps its time; what an .fbx had of it is nobody's.
    assert found["rate"] == pytest.approx(24.0 if source == "anna.blend" else fps, rel=1e-5)


@needs_blender
def test_keys_that_cannot_move_are_said_and_the_artists_own_animation_stays(
    made, tmp_path, one_blender
):
    character = open_character(made / "busy.blend")
    clip = speak(talk(), proposed_mapping(character), "talk")
    left_out = character.save(tmp_path / "out.blend", [clip])
    assert sorted(left_out) == [
        "The shape key 'mouthFunnel' of 'Face' is muted: left alone.",
        "The shape key 'mouthPucker' of 'Face' is driven: left alone.",
    ]
    values, _ = sampled(tmp_path / "out.blend", 25.0, 40)
    # The artist's own Action lies above the strip.
    np.testing.assert_allclose(values["Face/jawOpen"], 0.9)
    assert np.ptp(values["Face/mouthClose"]) > 0.5
    assert not list(made.rglob("*.ran"))


@needs_blender
def test_several_recordings_need_a_file_each(characters, tmp_path):
    character = characters["anna.blend"]
    clip = speak(talk(), proposed_mapping(character), "talk")
    with pytest.raises(BadInputError, match="one recording at a time, not 2"):
        character.save(tmp_path / "out.blend", [clip, clip])
    with pytest.raises(BadInputError, match=r"out\.glb. End it in \.blend"):
        character.save(tmp_path / "out.glb", [clip])
    assert not list(tmp_path.iterdir())


@needs_blender
@pytest.mark.parametrize("mode", ["quaternion", "euler"])
def test_the_head_of_an_armature_turns(tmp_path, mode, one_blender):
    blender("make", tmp_path / "rig.blend", "rigged", mode)
    character = open_character(tmp_path / "rig.blend")
    vectors = np.linspace([0, 0, 0], [0.3, -0.5, 0.1], 20).astype(np.float32)
    clip = Clip("talk", 25.0, {}, vectors)
    assert character.save(tmp_path / "out.blend", [clip]) == ()
    found = posed(tmp_path / "out.blend", 20, "Rig", "Head")["turns"]
    np.testing.assert_allclose(found, head_to_blender(vectors), atol=2e-4)


OPEN = np.linspace(0, 1, 20)


def opening():
    """A jaw that opens."""
    weights = np.zeros((20, len(ARKIT_NAMES)), np.float32)
    weights[:, ARKIT_NAMES.index("jawOpen")] = OPEN
    return FaceCurves(25.0, weights, np.zeros((20, 3), np.float32))


def animated(path, out, rows):
    """The character of a file, its bones moved by a table; what was left out."""
    table = path.with_name("mapping.json")
    save_mapping(table, "Rig", {}, {"Rig": rows})
    character = open_character(path)
    clip = speak(opening(), load_mapping(character, table), "talk", character.rigs)
    return character.save(out, [clip])


@needs_blender
def test_blender_shows_the_bones_of_a_glb_at_the_angles_asked_for(tmp_path):
    path = rigged_character()[0].written(tmp_path / "rig.glb")
    rows = [BoneRow("jaw", "rotation z", "jawOpen", np.radians(-20))]
    assert animated(path, tmp_path / "out.glb", rows) == ()
    found = posed(tmp_path / "out.glb", 20, "Armature", "jaw")
    # Blender's bone has the axes of the node, so that tables fit both.
    rest, _, _ = world_turn(glb_parts(path)[0], {}, "jaw", 0)
    axes = head_to_blender(rest.as_matrix().T.astype(np.float32)).T
    np.testing.assert_allclose(found["axes"], axes, atol=1e-5)
    own = np.array(found["turns"]) @ np.array(found["axes"])
    np.testing.assert_allclose(np.degrees(own), OPEN[:, None] * [0, 0, -20], atol=0.01)


@needs_blender
@pytest.mark.parametrize("mode", ["quaternion", "euler"])
@pytest.mark.parametrize("out", ["out.blend", "out.fbx"])
def test_the_bones_of_a_rig_turn_by_the_angles_asked_for(tmp_path, mode, out, one_blender):
    kind = out.rpartition(".")[2]
    blender("make", tmp_path / f"rig.{kind}", "rigged", mode)
    rows = [BoneRow("jaw", "rotation x", "jawOpen", np.radians(20))]
    if kind == "blend":
        rows.append(BoneRow("jaw", "property open", "jawOpen", 1.0))
    assert animated(tmp_path / f"rig.{kind}", tmp_path / out, rows) == ()
    found = posed(tmp_path / out, 20, "Rig", "jaw")
    own = np.array(found["turns"]) @ np.array(found["axes"])
    np.testing.assert_allclose(np.degrees(own), OPEN[:, None] * [20, 0, 0], atol=0.02)
    if kind == "blend":
        np.testing.assert_allclose(found["open"], 0.25 + 0.75 * OPEN, atol=1e-5)


@needs_blender
def test_bones_that_cannot_move_are_said(tmp_path, one_blender):
    blender("make", tmp_path / "rig.blend", "rigged", "stuck")
    rows = [
        BoneRow("jaw", "rotation x", "jawOpen", 0.3),
        BoneRow("Neck", "location y", "jawOpen", 0.3),
        BoneRow("Head", "rotation x", "jawOpen", 0.3),
    ]
    left_out = animated(tmp_path / "rig.blend", tmp_path / "out.blend", rows)
    assert left_out == (
        "The bone 'Head' of 'Rig' turns by axis and angle: left alone.",
        "pose.bones[\"jaw\"].rotation_quaternion of 'Rig' is driven: left alone.",
    )


@needs_blender
def test_head_motion_without_an_armature_is_said_to_be_left_out(characters, tmp_path, one_blender):
    character = characters["anna.blend"]
    values = Values(("jawOpen",), np.full((2, 1), 0.5, np.float32))
    clip = Clip("talk", 25.0, {0: values}, np.full((2, 3), 0.1, np.float32))
    (left_out,) = character.save(tmp_path / "out.blend", [clip])
    assert "head does not move" in left_out


@needs_blender
@pytest.mark.parametrize("name", ["broken.blend", "broken.fbx"])
def test_what_blender_cannot_read_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"BLENDER-v500 and then nothing")
    with pytest.raises(GaussianSpeechError, match=name):
        open_character(tmp_path / name)


def test_without_bpy_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "a.fbx").write_bytes(b"")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        MissingDependencyError, match=r"a\.fbx needs Blender.*pip install"
    ) as caught:
        open_character(tmp_path / "a.fbx")
    assert "gaussianspeech[blender]" in caught.value.hint
    with pytest.raises(BadInputError, match=r"no file .*b\.blend"):
        open_character(tmp_path / "b.blend")


def test_the_engine_holds_no_blender():
    code = (
        "import sys, engine.characters, engine.characters.blender_file; print('bpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
