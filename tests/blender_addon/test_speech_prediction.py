# SPDX-License-Identifier: GPL-3.0-or-later
"""How predictions are kept and adjusted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blender_addon.standalone import addon_module

pytest.importorskip("bpy", reason="Blender's Python module (bpy) is not installed")
adjust = addon_module("speech.adjust")
stored = addon_module("speech.prediction")

NAMES = ("browInnerUp", "eyeBlinkLeft", "jawOpen", "mouthClose", "mouthPressLeft", "mouthPucker")


def make(values, correctives=0):
    values = np.asarray(values, np.float32)
    return stored.Prediction(
        clip="voice",
        head="default",
        model="rules",
        fps=25.0,
        start=1.0,
        strip_start=1.0,
        expressions=NAMES,
        correctives=tuple(f"voice corrective {i:02d}" for i in range(correctives)),
        ranges=((0.0, 1.0),) * len(NAMES) + ((-1.0, 1.0),) * correctives,
        values=values,
    )


def settings(**changed):
    return adjust.Adjustments(**changed)


def column(values, name):
    return values[:, NAMES.index(name)]


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.just(len(NAMES) + 1)),
        elements=st.floats(-1, 1, width=32),
    )
)
def test_a_packed_prediction_comes_back_to_16_bits(values):
    before = make(values, correctives=1)
    after = stored.Prediction.unpack(*before.pack())
    assert after.names == before.names
    assert (after.clip, after.fps, after.start) == (before.clip, before.fps, before.start)
    np.testing.assert_allclose(after.values, before.values, atol=1.6e-5)


def test_components_that_go_both_ways_come_back():
    wide = replace(make([[-4.0, 4.0, 0.0, 1.5, -1.0, 2.0]]), ranges=((-4.0, 4.0),) * len(NAMES))
    after = stored.Prediction.unpack(*wide.pack())
    np.testing.assert_allclose(after.values, wide.values, atol=1e-4)
    np.testing.assert_allclose(adjust.adjusted(wide, settings(strength=2)).values.min(), -4)


def test_rest_and_full_stay_exact():
    values = np.tile([0, 1, 0, 1, 0, 1], (3, 1))
    after = stored.Prediction.unpack(*make(values).pack())
    np.testing.assert_array_equal(after.values, values)


def test_a_minute_of_speech_packs_small():
    time = np.arange(1500)[:, None] / 25
    values = 0.5 + 0.5 * np.sin(time * np.arange(2, 2 + len(NAMES)))
    assert len(make(values).pack()[1]) < 1500 * len(NAMES) * 2


@pytest.mark.parametrize("about", ["", "{}", "[]", '{"shape": [1, 2]}'])
def test_a_damaged_prediction_says_so(about):
    _, packed = make(np.zeros((2, len(NAMES)))).pack()
    with pytest.raises(Exception, match="cannot be read") as caught:
        stored.Prediction.unpack(about, packed)
    assert caught.value.hint == "Predict again."


def test_sounds_and_words_are_kept_with_the_values():
    spoken = replace(
        make(np.zeros((2, len(NAMES)))),
        phones=(("HH", 0.1, 0.15), ("AY", 0.15, 0.4)),
        words=(("Hi!", 0.1, 0.4),),
        language="en",
    )
    kept = stored.Prediction.unpack(*spoken.pack())
    assert (kept.phones, kept.words, kept.language) == (spoken.phones, spoken.words, "en")


def test_a_prediction_of_before_sounds_were_kept_is_read():
    about, packed = make(np.zeros((2, len(NAMES)))).pack()
    older = json.loads(about)
    for name in ("phones", "words", "language"):
        del older[name]
    kept = stored.Prediction.unpack(json.dumps(older), packed)
    assert (kept.phones, kept.words, kept.language) == ((), (), "")


def test_default_settings_change_nothing():
    values = np.random.default_rng(0).random((20, len(NAMES)), np.float32)
    np.testing.assert_array_equal(adjust.adjusted(make(values), settings()).values, values)


def test_strength_scales_everything_within_bounds():
    values = np.full((4, len(NAMES) + 1), 0.4)
    values[:, -1] = -0.9
    result = adjust.adjusted(make(values, correctives=1), settings(strength=2)).values
    np.testing.assert_allclose(result[:, :-1], 0.8, rtol=1e-6)
    np.testing.assert_allclose(result[:, -1], -1)


def test_upper_face_leaves_the_mouth_alone():
    values = np.full((4, len(NAMES)), 0.4)
    result = adjust.adjusted(make(values), settings(upper_face=0)).values
    assert not column(result, "browInnerUp").any()
    assert not column(result, "eyeBlinkLeft").any()
    np.testing.assert_allclose(column(result, "mouthPucker"), 0.4, rtol=1e-6)


def test_lip_closure_closes_no_further_than_the_jaw_is_open():
    values = np.zeros((2, len(NAMES)))
    values[:, NAMES.index("jawOpen")] = 0.5
    values[:, NAMES.index("mouthClose")] = 0.4
    result = adjust.adjusted(make(values), settings(lip_closure=2)).values
    np.testing.assert_allclose(column(result, "mouthClose"), 0.5)
    np.testing.assert_allclose(column(result, "jawOpen"), 0.5)


def test_no_lip_closure_opens_the_lips():
    values = np.full((2, len(NAMES)), 0.4)
    result = adjust.adjusted(make(values), settings(lip_closure=0)).values
    assert not column(result, "mouthClose").any()
    assert not column(result, "mouthPressLeft").any()


def test_smoothing_keeps_the_sum_of_an_inner_peak_and_lowers_it():
    values = np.zeros((101, len(NAMES)))
    values[50] = 1
    result = adjust.adjusted(make(values), settings(smoothing=0.08)).values
    np.testing.assert_allclose(result.sum(axis=0), 1, rtol=1e-4)
    assert result.max() < 0.3


def test_smoothing_keeps_what_is_constant():
    values = np.full((30, len(NAMES)), 0.7, np.float32)
    result = adjust.adjusted(make(values), settings(smoothing=0.2)).values
    np.testing.assert_allclose(result, 0.7, rtol=1e-5)


def test_sliders_bake_what_the_engine_predicts_with_the_same_style():
    """Gaze, head motion and emotion need no engine, and are the engine's."""
    predict = pytest.importorskip("engine.motion.predict").predict
    from engine.audio.loading import load_speech
    from engine.heads import load_head
    from engine.motion.lip_contact import lip_gap
    from engine.recognition.recognizer import recognize

    head = load_head("default")
    voice = Path(__file__).parents[2] / "engine" / "assets" / "sample_voice.wav"
    speech = load_speech(voice)
    known = recognize(speech, recognizer="phones")
    style = adjust.Style(
        smile=0.5, gaze=1.0, gaze_target=(8.0, 3.0), head_motion=1.0, emotion="auto"
    )
    plain, asked = (
        predict(speech, head, 25.0, recognized=known, model="rules", style=wanted)
        for wanted in (adjust.NEUTRAL, style)
    )
    kept = stored.Prediction(
        clip="voice",
        head="default",
        model="rules",
        fps=25.0,
        start=1.0,
        strip_start=None,
        expressions=head.expression_names,
        correctives=(),
        ranges=((0.0, 1.0),) * len(head.expression_names),
        values=plain.weights,
        phones=plain.phones,
        prosody=plain.prosody,
    )
    again = stored.Prediction.unpack(*kept.pack())
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    made = adjust.adjusted(again, settings(style=style), gap)
    np.testing.assert_allclose(made.values, asked.weights, atol=2e-3)
    np.testing.assert_allclose(made.head_rotation, asked.head_rotation, atol=2e-4)
    assert np.abs(made.values - plain.weights).max() > 0.3
