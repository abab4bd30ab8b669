# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.audio.loading import Speech
from engine.core.errors import BadInputError, CancelledError
from engine.motion.arkit import COLUMN, to_head_weights
from engine.motion.model.ids import MODELS
from engine.motion.performance import Performance
from engine.motion.predict import predict
from engine.phonemes import Phone
from tests.engine.heads.flame_faces import facing_backwards
from tests.engine.motion.known_phones import perform

PHONES = (Phone("SIL", 0, 0.3), Phone("M", 0.3, 0.4), Phone("AA", 0.4, 0.7), Phone("SIL", 0.7, 1))


@pytest.fixture
def speech():
    times = np.arange(16_000) / 16_000
    samples = np.where((times > 0.3) & (times < 0.7), 0.3 * np.sin(2 * np.pi * 150 * times), 0)
    return Speech(samples.astype(np.float32), 1.0, "abc123")


def test_a_performance_is_the_curves_on_the_heads_own_basis(head, speech):
    made = perform(PHONES, speech, head, 25.0)
    assert np.array_equal(made.weights, made.expression)
    assert made.basis is head.expression_basis
    assert made.expression_names == head.expression_names
    assert (made.head, made.model, made.source_sha256) == ("default", "rules", "abc123")
    assert made.phones == PHONES
    assert made.expression[:, head.expression_index("jawOpen")].max() > 0.2


@pytest.mark.parametrize("fps", [12.0, 23.976, 24000 / 1001, 25.0, 29.97, 60.0, 120.0])
def test_frames_are_the_rounded_duration(head, speech, fps):
    assert perform(PHONES, speech, head, fps).frames == round(1.0 * fps)


def test_prediction_needs_nothing_but_sound(head, speech):
    made = predict(speech, head, 25.0)
    assert isinstance(made, Performance)
    assert made.model == "corrected"
    assert made.frames == 25
    assert made.phones


def test_the_same_sound_gives_the_same_bytes(head, speech, tmp_path):
    for name in ("a", "b"):
        predict(speech, head, 25.0).save(tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_prediction_reports_how_far_it_is(head, speech):
    reported = []
    predict(speech, head, 25.0, progress=lambda fraction, _: reported.append(fraction))
    assert reported == sorted(reported)
    assert reported[-1] == 1.0


def test_prediction_can_be_cancelled(head, speech):
    def cancel(_fraction, _message):
        raise CancelledError

    with pytest.raises(CancelledError):
        predict(speech, head, 25.0, progress=cancel)


def test_warnings_of_the_clip_and_of_recognition_reach_the_caller(head, speech):
    clip = replace(speech, warnings=("The clip is short.",))
    made = predict(clip, head, 25.0, text="…")
    assert made.warnings[0] == "The clip is short."
    assert any("text" in warning for warning in made.warnings[1:])
    assert perform(PHONES, clip, head, 25.0).warnings == clip.warnings


def test_an_unknown_model_is_named(head, speech):
    with pytest.raises(BadInputError, match="faceformer"):
        predict(speech, head, 25.0, model="faceformer")


@pytest.mark.parametrize("model", MODELS)
def test_a_head_that_cannot_get_arkit_expressions_is_refused(head, speech, model):
    with pytest.raises(BadInputError, match="'backwards'"):
        predict(speech, facing_backwards(head), 25.0, model=model)


def test_an_impossible_frame_rate_is_refused(head, speech):
    with pytest.raises(BadInputError, match="5 frames"):
        perform(PHONES, speech, head, 5.0)


def test_expressions_that_a_head_lacks_are_left_out():
    curves = np.arange(52, dtype=np.float32)[None] / 52
    weights = to_head_weights(curves, ("other", "mouthPucker", "mouthClose"))
    assert weights[0].tolist() == pytest.approx(
        [0.0, COLUMN["mouthPucker"] / 52, COLUMN["mouthClose"] / 52]
    )


def test_a_head_without_mouth_close_shuts_its_lips_with_the_jaw():
    curves = np.zeros((2, 52), np.float32)
    curves[:, COLUMN["jawOpen"]] = 0.3
    curves[1, COLUMN["mouthClose"]] = 0.3
    assert to_head_weights(curves, ("jawOpen",))[:, 0].tolist() == pytest.approx([0.3, 0.0])


def test_rest_decides_how_closed_the_mouth_is_in_long_silences(head, speech):
    later = tuple(Phone(p.label, p.start + 0.6, p.end + 0.6) for p in PHONES[1:])
    known = (Phone("SIL", 0, 0.9), *later)
    speech = replace(speech, samples=np.zeros(25_600, np.float32), duration=1.6)
    jaw = head.expression_index("jawOpen")
    closed, plain = (perform(known, speech, head, 25.0, **style) for style in ({"rest": 1.0}, {}))
    assert np.array_equal(closed.weights, plain.weights)
    assert closed.weights[5, jaw] == 0
    open_, half = (perform(known, speech, head, 25.0, rest=rest) for rest in (0.0, 0.5))
    assert open_.weights[5, jaw] > 0.1
    assert half.weights[5, jaw] == pytest.approx(open_.weights[5, jaw] / 2, rel=0.01)
    vowel = round(1.15 * 25)
    assert np.array_equal(open_.weights[vowel], closed.weights[vowel])


def test_without_upper_face_only_the_mouth_moves(head, speech):
    made = perform(PHONES, speech, head, 25.0, upper_face=0)
    for name in ("eyeBlinkLeft", "browInnerUp", "browOuterUpRight"):
        assert not made.expression[:, head.expression_index(name)].any()


def test_saved_and_loaded_it_is_the_same(head, speech, tmp_path):
    made = perform(PHONES, speech, head, 24.0)
    made.save(tmp_path / "a.performance.npz")
    back = Performance.load(tmp_path / "a.performance.npz")
    assert np.array_equal(back.weights, made.weights)
    assert back.phones == made.phones
