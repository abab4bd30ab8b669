# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion that phones and other programs recorded, as training data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.audio.loading import load_speech
from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.heads.flame_layouts import load_flame_layout
from engine.motion.interchange.curve_files import write_curves
from engine.motion.interchange.face_curves import FaceCurves, curves_of
from engine.motion.predict import predict
from training.data.captured_motion import CapturedHead
from training.data.recorded_motion import motion_alone, read_motion
from training.data.recordings import Recording, find_recordings, parameter_files

VOICE = Path("engine/assets/sample_voice.wav")
TEXT = json.loads(VOICE.with_suffix(".json").read_text())["text"]
BEFORE = 0.8


@pytest.fixture(scope="module")
def said():
    return predict(load_speech(VOICE), load_head("default"), 60.0, text=TEXT)


@pytest.fixture
def take(tmp_path, said):
    """A phone that was switched on 0.8 s before the microphone, and off later."""
    curves = curves_of(said)
    still = np.zeros((round(BEFORE * 60), 52), np.float32)
    weights = np.concatenate([still, curves.weights, still])
    shutil.copy(VOICE, tmp_path / "take.wav")
    (tmp_path / "take.txt").write_text(TEXT)
    write_curves(
        FaceCurves(60.0, weights, np.zeros((len(weights), 3), np.float32)), tmp_path / "take.csv"
    )
    return tmp_path


def read(folder):
    (recording,) = find_recordings(folder).every
    return read_motion(
        recording, CapturedHead.of(load_head("default")), load_speech(recording.audio)
    )


def test_the_sound_is_found_in_the_motion(take, said):
    motion = read(take)
    assert motion.offset == pytest.approx(BEFORE, abs=0.02)
    assert len(motion.weights) == said.frames
    apart = np.abs(motion.weights - said.weights).mean()
    assert apart < 0.01


def test_an_offset_that_is_given_counts(take, said):
    (take / "offsets.json").write_text(json.dumps({"take": BEFORE}))
    motion = read(take)
    assert motion.offset == BEFORE
    np.testing.assert_allclose(motion.weights, said.weights, atol=2e-3)


@pytest.mark.parametrize("content", ['{"other": 0}', '{"take": "soon"}', "[]"])
def test_a_damaged_list_of_offsets_is_named(take, content):
    (take / "offsets.json").write_text(content)
    with pytest.raises(BadInputError, match=r"offsets\.json"):
        find_recordings(take)


def test_motion_of_something_else_is_refused(take):
    generator = np.random.default_rng(0)
    weights = np.clip(generator.normal(0, 0.1, (900, 52)), 0, 1).astype(np.float32)
    write_curves(FaceCurves(60.0, weights, np.zeros((900, 3), np.float32)), take / "take.csv")
    with pytest.raises(BadInputError, match=r"take\.csv.*could not be found") as caught:
        read(take)
    assert "offsets.json" in caught.value.hint


def test_a_file_of_no_motion_is_named(take):
    (take / "take.csv").unlink()
    np.savez(take / "take.npz", words=np.zeros(3))
    with pytest.raises(BadInputError, match=r"take\.npz"):
        read(take)


@pytest.mark.parametrize("factor", [1000.0, 0.0], ids=["millimetres", "offsets"])
def test_vertices_that_are_not_where_the_head_is_are_refused(tmp_path, factor):
    head = load_head("default")
    shutil.copy(VOICE, tmp_path / "take.wav")
    frames = round(load_speech(VOICE).duration * 10.0)
    vertices = np.repeat(factor * head.template[None], frames, axis=0).astype(np.float32)
    np.savez(tmp_path / "take.motion.npz", fps=10.0, vertices=vertices)
    with pytest.raises(BadInputError, match=r"take\.motion\.npz.*mm away") as caught:
        read(tmp_path)
    assert "in metres" in caught.value.hint


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"vertices": np.float32(np.nan)}, "NaN"),
        ({"vertices": np.zeros((0, 8287, 3), np.float32)}, "holds no frame"),
        ({"expression": np.zeros((0, 52), np.float32)}, "holds no frame"),
    ],
    ids=["scalar", "vertices", "expression"],
)
def test_motion_that_is_none_is_named(tmp_path, arrays, said):
    path = tmp_path / "take.motion.npz"
    np.savez(path, fps=30.0, **arrays)
    recording = Recording("take", path, path)
    with pytest.raises(BadInputError, match=rf"take\.motion\.npz.*{said}"):
        motion_alone(recording, CapturedHead.of(load_head("default")))


@pytest.mark.parametrize("shape", [(0,), (4, 0), (0, 100)])
def test_an_identity_without_coefficients_is_named(tmp_path, shape):
    path = tmp_path / "take.npz"
    np.savez(path, expr=np.zeros((4, 50)), jaw_pose=np.zeros((4, 3)), shape=np.zeros(shape))
    with pytest.raises(BadInputError, match=r"take\.npz.*its shape has no coefficient"):
        load_flame_layout(path)


def test_frames_are_in_the_order_of_their_numbers(tmp_path):
    """And what macOS leaves beside each file is none of them."""
    for name in ("10", "9", "100", "._9"):
        np.savez(tmp_path / f"{name}.npz", expr=np.zeros((1, 50)))
    assert [path.stem for path in parameter_files(tmp_path)] == ["9", "10", "100"]


def test_hidden_files_are_no_recordings(take):
    for path in list(take.iterdir()):
        (take / f"._{path.name}").write_bytes(b"Mac OS X")
    (take / "._take.motion.npz").write_bytes(b"Mac OS X")
    assert find_recordings(take).names == ["take"]
