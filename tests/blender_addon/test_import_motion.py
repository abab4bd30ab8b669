# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion comes in as a line."""

from __future__ import annotations

import os
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.blender_addon.motion_recordings import FPS, recording
from tests.blender_addon.speaking import action_of, frames_of


@pytest.fixture
def head(engine_ready):
    blender = engine_ready
    blender.context.scene.render.fps = FPS
    blender.ops.gaussianspeech.add_head(with_avatar=False, frame=False)
    return blender.context.object


def jaw_at(blender, obj, frame):
    blender.context.scene.frame_set(frame)
    keys = obj.data.shape_keys.evaluated_get(blender.context.evaluated_depsgraph_get())
    return keys.key_blocks["jawOpen"].value


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_curves_become_a_line_at_the_current_frame(head, engine_ready, tmp_path, suffix):
    blender = engine_ready
    jaw, turned = recording(tmp_path / f"take{suffix}")
    blender.context.scene.frame_set(11)
    blender.ops.gaussianspeech.import_motion(filepath=str(tmp_path / f"take{suffix}"))
    (line,) = head.gaussianspeech_lines
    assert (line.name, line.source) == ("take", "MOTION")
    assert frames_of(head) == (11.0, 59.0)
    for index in (0, 7, 20, 48):
        assert jaw_at(blender, head, 11 + index) == pytest.approx(jaw[index], abs=0.02)
    empty = head.constraints[0].target
    blender.context.scene.frame_set(11 + 8)
    axis, angle = empty.matrix_world.to_quaternion().to_axis_angle()
    assert abs(axis.x * angle) == pytest.approx(abs(turned[8, 0]), abs=0.005)


def test_of_motion_alone_nothing_can_be_predicted(head, engine_ready, addon):
    operators = engine_ready.ops.gaussianspeech
    words = addon("speech.panel").GAUSSIANSPEECH_PT_words
    assert operators.predict.poll()
    addon("speech.line_list").add_line(head, "take").source = "MOTION"
    with pytest.raises(RuntimeError, match="motion without a sound: add one"):
        operators.predict()
    assert not words.poll(engine_ready.context)
    head.gaussianspeech_lines[0].source = "FILE"
    assert operators.predict.poll()
    assert words.poll(engine_ready.context)


def test_an_irregular_recording_is_put_at_the_scenes_frames(head, engine_ready, tmp_path):
    lines = [f"00:00:01:{frame:02}.0,1,{frame / 60}" for frame in (0, 7, 12, 31, 59)]
    text = "\n".join(["Timecode,BlendshapeCount,JawOpen", *lines, ""])
    (tmp_path / "take.csv").write_text(text)
    engine_ready.ops.gaussianspeech.import_motion(filepath=str(tmp_path / "take.csv"), rate=60)
    assert frames_of(head) == (1.0, 25.0)
    for frame in (1, 6, 13, 24):
        expected = (frame - 1) / FPS
        assert jaw_at(engine_ready, head, frame) == pytest.approx(expected, abs=0.02)


def test_what_was_exported_comes_in_again(head, engine_ready, tmp_path):
    blender = engine_ready
    recording(tmp_path / "take.csv")
    blender.ops.gaussianspeech.import_motion(filepath=str(tmp_path / "take.csv"))
    path = tmp_path / "take.performance.npz"
    blender.ops.gaussianspeech.export(filepath=str(path), format="NPZ")
    before = [jaw_at(blender, head, frame) for frame in (4, 20, 40)]
    blender.ops.gaussianspeech.remove_line()
    blender.context.scene.frame_set(1)
    blender.ops.gaussianspeech.import_motion(filepath=str(path))
    after = [jaw_at(blender, head, frame) for frame in (4, 20, 40)]
    np.testing.assert_allclose(after, before, atol=0.02)


def test_a_character_follows_by_its_table(head, engine_ready, tmp_path):
    blender = engine_ready
    blender.data.objects.remove(head)
    blender.ops.mesh.primitive_cube_add()
    obj = blender.context.object
    for key in ("Basis", "A", "I", "U", "E", "O"):
        obj.shape_key_add(name=key)
    blender.ops.gaussianspeech.use_character()
    recording(tmp_path / "take.json", rotation=False)
    blender.ops.gaussianspeech.import_motion(filepath=str(tmp_path / "take.json"))
    assert action_of(obj) is not None
    blender.context.scene.frame_set(20)
    keys = obj.data.shape_keys.evaluated_get(blender.context.evaluated_depsgraph_get())
    assert keys.key_blocks["A"].value > 0.3


def test_a_damaged_file_leaves_no_line(head, engine_ready, tmp_path):
    (tmp_path / "take.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RuntimeError, match="no timecodes or no ARKit weights"):
        engine_ready.ops.gaussianspeech.import_motion(filepath=str(tmp_path / "take.csv"))
    with pytest.raises(RuntimeError, match="There is no file"):
        engine_ready.ops.gaussianspeech.import_motion(filepath=str(tmp_path / "other.csv"))
    assert len(head.gaussianspeech_lines) == 0


def test_the_menus_offer_both(blender, addon):
    menus = addon("export.menus")
    for name, draw in menus._ENTRIES:
        assert draw in getattr(blender.types, name)._dyn_ui_initialize()


@pytest.fixture
def flame_head(engine_ready, engine_file):
    """A head of a made-up FLAME file."""
    path = engine_file("flame_pickle") / "flame2023.pkl"
    engine_ready.ops.gaussianspeech.add_head(head=str(path), with_avatar=False, frame=False)
    return engine_ready.context.object


def test_flame_parameters_go_out_of_a_flame_head_and_come_in(flame_head, engine_ready, tmp_path):
    blender, keys = engine_ready, flame_head.data.shape_keys.key_blocks
    scene = blender.context.scene
    scene.frame_start, scene.frame_end = 1, 5
    for frame, amount in ((1, 0.0), (5, 1.0)):
        for name, most in (("jawOpen", 1.0), ("expr_002", 0.5)):
            keys[name].value = most * amount
            keys[name].keyframe_insert("value", frame=frame)
    path = tmp_path / "take"
    blender.ops.gaussianspeech.export(filepath=str(path), format="FLAME", frames="SCENE")
    path = tmp_path / "take.flame_param.npz"
    with np.load(path) as data:
        jaw, expression = data["jaw_pose"], data["expr"]
    assert jaw.shape == (5, 3)
    assert jaw[4, 0] == pytest.approx(0.3, abs=1e-4)
    assert expression[4, 2] == pytest.approx(0.5, abs=1e-4)
    flame_head.data.shape_keys.animation_data_clear()
    scene.render.fps = 25
    blender.ops.gaussianspeech.import_motion(filepath=str(path))
    assert len(flame_head.gaussianspeech_lines) == 1
    assert jaw_at(blender, flame_head, 5) > 0.5


@pytest.fixture
def captured(head, engine_ready, tmp_path):
    """The sample voice, and its motion with 0.4 s of silence before it."""
    voice = Path(__file__).parents[2] / "engine" / "assets" / "sample_voice.wav"
    write = (
        "import sys, dataclasses, numpy as np\n"
        "from engine.audio.loading import load_speech\n"
        "from engine.heads import load_head\n"
        "from engine.motion.interchange.curve_files import write_curves\n"
        "from engine.motion.interchange.face_curves import FaceCurves\n"
        "from engine.motion.arkit import ARKIT_NAMES\n"
        "from engine.motion.predict import predict\n"
        "made = predict(load_speech(sys.argv[1]), load_head('default'), 30.0, model='rules')\n"
        "order = [made.expression_names.index(name) for name in ARKIT_NAMES]\n"
        "weights = np.pad(made.expression[:, order], ((12, 0), (0, 0)))\n"
        "still = np.zeros((len(weights), 3), np.float32)\n"
        "write_curves(FaceCurves(30.0, weights, still), sys.argv[2])\n"
    )
    take = tmp_path / "take.csv"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    python = os.environ["GAUSSIANSPEECH_PYTHON"]
    subprocess.run([python, "-c", write, voice, take], check=True, env=environment)
    return take, voice


def said_last(blender):
    return blender.context.window_manager.gaussianspeech_status.message


@pytest.mark.one_blender
def test_where_the_sound_lies_in_the_motion_is_found_and_said(captured, head, engine_ready, addon):
    blender, (take, voice) = engine_ready, captured
    scene = blender.context.scene
    scene.frame_set(11)
    blender.ops.gaussianspeech.import_motion(filepath=str(take), sound=str(voice))
    assert "The sound begins 0.4" in said_last(blender)
    assert "after the motion (the mouth follows it with correlation 0." in said_last(blender)
    first, last = frames_of(head)
    assert first == 11.0
    with wave.open(str(voice)) as sound:
        seconds = sound.getnframes() / sound.getframerate()
    assert (last - first + 1) / FPS == pytest.approx(seconds, abs=1 / FPS)
    if addon("compat").has_audio():
        strips = addon("compat").strips(scene.sequence_editor)
        assert [addon("compat").strip_range(strip)[0] for strip in strips] == [11]


def test_motion_comes_in_without_the_strip_of_a_sound_that_blender_cannot_read(
    head, engine_ready, addon, tmp_path, monkeypatch
):
    recording(tmp_path / "take.csv", frames=97)
    voice = Path(__file__).parents[2] / "engine" / "assets" / "sample_voice.wav"
    importing = addon("export.import_ops")

    def refuse(_scene, path, _frame):
        raise importing.BadInputError(f"Blender cannot read {path} as sound.", "Convert it.")

    monkeypatch.setattr(importing, "add_sound_strip", refuse)
    monkeypatch.setattr(importing.compat, "has_audio", lambda: True)
    take = str(tmp_path / "take.csv")
    give = {"sound": str(voice), "know_offset": True, "offset": 0.5}
    engine_ready.ops.gaussianspeech.import_motion(filepath=take, **give)
    assert said_last(engine_ready).startswith("Imported")
    assert "Blender cannot read" in said_last(engine_ready)
    assert len(head.gaussianspeech_lines) == 1


def test_the_offset_of_a_sound_can_be_given(head, engine_ready, tmp_path):
    blender = engine_ready
    jaw, _ = recording(tmp_path / "take.csv", frames=97)
    voice = Path(__file__).parents[2] / "engine" / "assets" / "sample_voice.wav"
    give = {"filepath": str(tmp_path / "take.csv"), "know_offset": True, "offset": 0.5}
    with pytest.raises(RuntimeError, match="An offset is of a sound"):
        blender.ops.gaussianspeech.import_motion(**give)
    with pytest.raises(RuntimeError, match="There is no sound"):
        blender.ops.gaussianspeech.import_motion(**give, sound=str(tmp_path / "none.wav"))
    blender.ops.gaussianspeech.import_motion(**give, sound=str(voice))
    assert "The sound begins 0.50 s after the motion (as given)" in said_last(blender)
    for index in (0, 7, 20):
        expected = jaw[index + FPS // 2]
        assert jaw_at(blender, head, 1 + index) == pytest.approx(expected, abs=0.02)
