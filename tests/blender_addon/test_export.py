# SPDX-License-Identifier: GPL-3.0-or-later
"""What plays leaves Blender as performances and ARKit weights, with its sound."""

from __future__ import annotations

import json
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.blender_addon.conftest import PACKAGE
from tests.blender_addon.exporting import FRAMES, PHONES, WORDS, add_head, left_as_it_was, turning
from tests.blender_addon.speaking import action_of


@pytest.fixture
def head(blender, addon):
    return add_head(blender, addon)


@pytest.fixture(scope="module")
def performance(installed, addon, tmp_path_factory):
    """The head's performance with its dense offsets; each export starts another Blender."""
    installed.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    add_head(installed, addon)
    path = tmp_path_factory.mktemp("exported") / "anna.performance.npz"
    installed.ops.gaussianspeech.export(filepath=str(path), format="NPZ", dense=True)
    return path


@pytest.fixture(scope="module")
def turning_performance(installed, addon, tmp_path_factory):
    """The performance of the head as it turns, in a scene that the export leaves as it was."""
    installed.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    path = tmp_path_factory.mktemp("exported") / "turning"
    with left_as_it_was(installed, turning(add_head(installed, addon))):
        installed.ops.gaussianspeech.export(filepath=str(path), format="NPZ")
    return path.with_name("turning.performance.npz")


def test_a_performance_holds_the_heads_rotation(blender, turning_performance, head):
    with np.load(turning_performance) as data:
        rotation = data["head_rotation"]
    empty = turning(head).constraints[0].target
    for index in (0, 7, 23):
        blender.context.scene.frame_set(5 + index)
        axis, angle = empty.matrix_world.to_quaternion().to_axis_angle()
        x, y, z = np.array(axis) * angle
        np.testing.assert_allclose(rotation[index], (x, z, -y), atol=1e-5)
    assert np.abs(rotation).max() > 0.01


@pytest.mark.parametrize("kind", ["ABC", "USD", "GLB", "FBX", "NPZ", "CSV", "JSON"])
def test_only_a_whole_file_takes_the_name(blender, head, addon, tmp_path, kind, monkeypatch):
    old = addon("export.formats").with_suffix(tmp_path / "anna", kind)
    old.write_bytes(b"an older file")
    child = tmp_path / "child.py"
    child.write_text(
        "import sys, json, pathlib\n"
        "request = json.loads(pathlib.Path(sys.argv[-1]).read_text())\n"
        "pathlib.Path(request['out']).write_bytes(b'half')\n"
        "print('GAUSSIANSPEECH', json.dumps({'error': 'disk full'}))\n"
    )
    monkeypatch.setattr(addon("export.background_blender"), "_SCRIPT", child)
    with pytest.raises(RuntimeError, match="Blender's exporter failed: disk full"):
        blender.ops.gaussianspeech.export(filepath=str(old), format=kind)
    assert old.read_bytes() == b"an older file"
    assert set(tmp_path.iterdir()) == {old, child}
    assert not list(Path(blender.app.tempdir).glob("gaussianspeech-export-*"))


def test_a_performance_holds_what_plays(performance):
    with np.load(performance, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    assert arrays["weights"].shape == (FRAMES, 3)
    assert (str(arrays["head"]), str(arrays["model"])) == ("default", "rules")
    assert arrays["expression_names"].tolist() == ["jawOpen", "mouthClose"]
    assert str(arrays["source_sha256"]) == "ab" * 32
    factored = np.einsum("tk,kvc->tvc", arrays["weights"], arrays["basis"])
    np.testing.assert_allclose(factored, arrays["offsets"], atol=1e-6)


def test_a_performance_is_in_head_space(blender, performance, head):
    with np.load(performance) as data:
        offset = data["offsets"][7, 11]
    blender.context.scene.frame_set(5 + 7)
    keys = head.data.shape_keys
    evaluated = head.evaluated_get(blender.context.evaluated_depsgraph_get()).data
    moved = np.array(evaluated.vertices[11].co - keys.reference_key.data[11].co)
    # Blender's (x, y, z) is (x, z, -y) in head space.
    np.testing.assert_allclose(offset, moved[[0, 2, 1]] * [1, 1, -1], atol=1e-6)


def test_a_performance_is_read_by_the_engine(performance, turning_performance):
    module = pytest.importorskip("engine.motion.performance")
    for path in (performance, turning_performance):
        loaded = module.Performance.load(path)
        assert (loaded.frames, loaded.fps, loaded.head) == (FRAMES, 24.0, "default")


def test_an_artists_edit_is_exported(blender, head, addon, tmp_path):
    curves = addon("compat").fcurves(action_of(head))
    curve = next(curve for curve in curves if "jawOpen" in curve.data_path)
    for point in curve.keyframe_points:
        point.co.y = point.handle_left.y = point.handle_right.y = 0.25
    path = tmp_path / "anna.performance.npz"
    blender.ops.gaussianspeech.export(filepath=str(path), format="NPZ")
    with np.load(path) as data:
        np.testing.assert_allclose(data["expression"][:, 0], 0.25, atol=1e-6)


def exported(path, name) -> list:
    with np.load(path) as data:
        return [tuple(timed) for timed in json.loads(str(data[name]))]


def test_the_sounds_of_the_speech_are_exported(turning_performance):
    assert exported(turning_performance, "phones") == list(PHONES)
    assert exported(turning_performance, "words") == list(WORDS)
    with np.load(turning_performance) as data:
        assert str(data["language"]) == "en"


def test_the_scenes_range_can_be_exported_and_its_sounds_are_timed_from_its_first_frame(
    blender, head, tmp_path
):
    scene = blender.context.scene
    # The speech begins at frame 5; six frames later is the middle of its second sound.
    scene.frame_start, scene.frame_end = 11, 19
    path = tmp_path / "anna.performance.npz"
    blender.ops.gaussianspeech.export(filepath=str(path), format="NPZ", frames="SCENE")
    with np.load(path) as data:
        assert data["weights"].shape[0] == 9
    assert exported(path, "phones") == [("AY", 0.0, 0.25), ("SIL", 0.25, 0.375)]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("anna.abc", "GLB", "anna.glb"),
        ("anna", "USD", "anna.usdc"),
        ("anna.v2", "ABC", "anna.v2.abc"),
        ("anna.performance.npz", "ABC", "anna.abc"),
        ("anna.npz", "NPZ", "anna.performance.npz"),
    ],
)
def test_the_suffix_follows_the_format(blender, addon, tmp_path, name, kind, expected):
    assert addon("export.formats").with_suffix(tmp_path / name, kind).name == expected


# What Blender plays is sampled alike for both; Python writes it.
@pytest.mark.parametrize("kind", ["CSV", pytest.param("JSON", marks=pytest.mark.one_blender)])
def test_arkit_weights_are_what_plays(blender, turning_performance, head, tmp_path, kind):
    turning(head)
    path = tmp_path / "anna"
    blender.ops.gaussianspeech.export(filepath=str(path), format=kind)
    curves = pytest.importorskip("engine.motion.interchange.curve_files")
    found = curves.read_curves(tmp_path / f"anna.{kind.lower()}", rate=24.0)
    assert (found.fps, found.frames) == (24.0, FRAMES)
    with np.load(turning_performance) as data:
        expression, rotation = data["expression"], data["head_rotation"]
    arkit = pytest.importorskip("engine.motion.arkit")
    for column, name in enumerate(("jawOpen", "mouthClose")):
        shown = found.weights[:, arkit.COLUMN[name]]
        np.testing.assert_allclose(shown, expression[:, column], atol=1e-5)
    np.testing.assert_allclose(found.head_rotation, rotation, atol=1e-5)


def test_a_head_without_arkit_names_has_no_arkit_weights(blender, head, tmp_path):
    for key in head.data.shape_keys.key_blocks[1:]:
        key.name = f"expr_{key.name}"
    with pytest.raises(RuntimeError, match="'Anna' has no ARKit expressions"):
        blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a.csv"), format="CSV")


def test_flame_parameters_are_of_flame_heads(blender, head, tmp_path):
    with pytest.raises(RuntimeError, match="'Anna' is no FLAME head"):
        blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a"), format="FLAME")


def test_without_an_engine_no_other_blender_begins(blender, engine_aside, head, tmp_path):
    head.gaussianspeech_head.id = "flame-1"
    preferences = blender.context.preferences.addons[PACKAGE].preferences
    named, preferences.engine_python = preferences.engine_python, str(tmp_path / "python")
    try:
        with pytest.raises(RuntimeError, match="python"):
            blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a"), format="FLAME")
    finally:
        preferences.engine_python = named
    assert not list(Path(blender.app.tempdir).glob("gaussianspeech-export-*"))


def tone(path, frames, frequency=440.0, rate=48000, fps=24):
    samples = np.sin(2 * np.pi * frequency * np.arange(round(frames / fps * rate)) / rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 20000).astype("<i2").tobytes())


@pytest.mark.parametrize("strip", [True, False])
def test_the_sound_goes_along_cut_to_the_frames(blender, head, addon, tmp_path, strip):
    if not addon("compat").has_audio():
        with pytest.raises(RuntimeError, match="no sound system"):
            blender.ops.gaussianspeech.export(
                filepath=str(tmp_path / "a.json"), format="JSON", sound=True
            )
        return
    scene = blender.context.scene
    tone(tmp_path / "tone.wav", 12)
    if strip:
        addon("speech.strip").add_sound_strip(scene, tmp_path / "tone.wav", 17)
    else:
        (line,) = head.gaussianspeech_lines
        line.source, line.filepath = "FILE", str(tmp_path / "tone.wav")
        line.start_frame = 17
    scene.frame_start, scene.frame_end = 5, 28
    blender.ops.gaussianspeech.export(
        filepath=str(tmp_path / "a.json"), format="JSON", frames="SCENE", sound=True
    )
    with wave.open(str(tmp_path / "a_sound.wav")) as file:
        rate = file.getframerate()
        channels = file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    loud = np.abs(samples.reshape(-1, channels)[:, 0]) > 1000
    # The strip begins twelve frames after the first of the export and lasts twelve.
    assert np.flatnonzero(loud)[0] / rate == pytest.approx(0.5, abs=0.01)
    assert np.flatnonzero(loud)[-1] / rate == pytest.approx(1.0, abs=0.05)
    assert [known.name for known in blender.data.scenes] == [scene.name]


def test_no_sound_in_the_sequencer_is_said(blender, head, addon, tmp_path):
    if not addon("compat").has_audio():
        pytest.skip("This Blender has no sound system.")
    with pytest.raises(RuntimeError, match="There is no sound in the sequencer"):
        blender.ops.gaussianspeech.export(
            filepath=str(tmp_path / "a.json"), format="JSON", sound=True
        )
    assert list(tmp_path.iterdir()) == []


def test_several_lines_go_out_together_with_the_artists_layer(blender, head, addon, tmp_path):
    read = addon("speech.action").read_prediction
    later = replace(read(action_of(head)), clip="later", start=41.0)
    line = addon("speech.line_list").add_line(head, "later")
    vertices = len(head.data.vertices)
    addon("speech.bake").bake(blender.context, line, later, np.zeros((1, vertices, 3), np.float32))
    key = head.data.shape_keys.key_blocks["mouthClose"]
    key.value = 0.75
    key.keyframe_insert("value", frame=1)
    path = tmp_path / "a"
    blender.ops.gaussianspeech.export(filepath=str(path), format="NPZ")
    with np.load(tmp_path / "a.performance.npz") as data:
        names, values = data["expression_names"].tolist(), data["expression"]
    assert len(values) == 41 - 5 + FRAMES
    assert values[0, names.index("mouthClose")] == pytest.approx(0.75, abs=0.01)
    for frame in (7, 20, 35, 50):
        blender.context.scene.frame_set(frame)
        evaluated = head.data.shape_keys.evaluated_get(blender.context.evaluated_depsgraph_get())
        for name in ("jawOpen", "mouthClose"):
            expected = evaluated.key_blocks[name].value
            assert values[frame - 5, names.index(name)] == pytest.approx(expected, abs=1e-5)
    seconds = (41 - 5) / 24
    said = exported(tmp_path / "a.performance.npz", "words")
    assert said == [("Hi", 0.0, 0.25), ("Hi", seconds, seconds + 0.25)]
