# SPDX-License-Identifier: GPL-3.0-or-later
"""How predictions are kept and adjusted."""

from __future__ import annotations

import contextlib
import json
import random
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blender_addon.standalone import addon_module
from tests.fuzz.damage import damage
from tests.fuzz.structure import damage_json

pytest.importorskip("bpy", reason="Blender's Python module (bpy) is not installed")
adjust = addon_module("speech.adjust")
stored = addon_module("speech.prediction")
BadInputError = stored.BadInputError

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


def test_a_kept_prediction_does_not_become_larger_than_it_says():
    about, packed = make(np.zeros((4, len(NAMES)))).pack()
    with pytest.raises(BadInputError, match="unpacks to more"):
        stored.Prediction.unpack(about, zlib.compress(bytes(1 << 20)))
    large = json.dumps(json.loads(about) | {"shape": [2**31, 2**31]})
    with pytest.raises(BadInputError, match="larger than any prediction"):
        stored.Prediction.unpack(large, packed)


@pytest.mark.parametrize("seed", range(200))
def test_a_damaged_prediction_is_refused_in_a_line_or_read(seed):
    about, packed = make(np.zeros((4, len(NAMES) + 1)), correctives=1).pack()
    rng = random.Random(seed)
    changed = damage_json(about.encode(), rng).decode("utf-8", "replace")
    with contextlib.suppress(BadInputError):
        stored.Prediction.unpack(changed, packed if seed % 4 else damage(packed, rng))


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
    asked_for = {"smile": 0.5, "gaze": 1.0, "gaze_target": (8.0, 3.0), "head_motion": 1.0}
    style = adjust.Style(**asked_for, emotion="auto")
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
    made = adjust.adjusted(again, settings(**asked_for, emotion_from_voice=1.0), gap)
    np.testing.assert_allclose(made.values, asked.weights, atol=2e-3)
    np.testing.assert_allclose(made.head_rotation, asked.head_rotation, atol=2e-4)
    assert np.abs(made.values - plain.weights).max() > 0.3


CONTROLS = {
    "strength": (0.0, 2.0),
    "smoothing": (0.0, 0.2),
    "lip_closure": (1.0, 2.0),
    "upper_face": (0.0, 2.0),
    "blinks": (0.0, 1.0),
    "articulation": (0.0, 2.0),
    "jaw": (0.0, 2.0),
    "lips": (0.0, 2.0),
    "smile": (-1.0, 1.0),
    "rest": (0.0, 1.0),
    "gaze": (0.0, 2.0),
    "head_motion": (0.0, 2.0),
    "emotion_from_voice": (0.0, 1.0),
}


@pytest.fixture(scope="module")
def sample():
    """The sample voice on the default head by the rules, and how its expressions part the lips."""
    pytest.importorskip("engine.motion.predict")
    from engine.audio.loading import load_speech
    from engine.heads import load_head
    from engine.motion.lip_contact import lip_gap
    from engine.motion.predict import predict
    from engine.recognition.recognizer import recognize

    head = load_head("default")
    names = head.expression_names
    speech = load_speech(Path(__file__).parents[2] / "engine" / "assets" / "sample_voice.wav")
    known = recognize(speech, recognizer="phones")
    plain = predict(speech, head, 25.0, recognized=known, model="rules")
    prediction = replace(
        make(np.zeros((1, len(NAMES)))),
        expressions=names,
        ranges=((0.0, 1.0),) * len(names),
        values=plain.weights,
        phones=plain.phones,
        prosody=plain.prosody,
        head_rotation=plain.head_rotation,
    )
    return prediction, lip_gap(head.expression_basis, names, head.landmarks)


def assert_lips_close(sample, **changed):
    prediction, gap = sample
    before = gap.apart(prediction.values).max(axis=1)
    # At less rest the lips part in silence, as they are asked to.
    spoken = np.zeros(len(before), bool)
    for label, start, end in prediction.phones:
        if label in ("P", "B", "M"):
            spoken[int(np.ceil(25 * start)) : int(25 * end) + 1] = True
    closed = (before <= 0.0003) & spoken
    assert closed.sum() > 8
    after = gap.apart(adjust.adjusted(prediction, settings(**changed), gap).values).max(axis=1)
    assert after[closed].max() < 0.0005


@pytest.mark.parametrize("name", [*CONTROLS, "emotions"])
def test_lips_that_close_still_do_at_every_setting(sample, name):
    values = CONTROLS.get(name)
    if values is None:
        for emotion in range(6):
            amounts = np.zeros((len(sample[0].values), 6))
            amounts[:, emotion] = 1.0
            assert_lips_close(sample, emotions=amounts)
        return
    for value in values:
        assert_lips_close(sample, **{name: value})


@pytest.mark.parametrize("seed", range(12))
def test_lips_that_close_still_do_with_many_settings_that_change_in_time(sample, seed):
    random = np.random.default_rng(seed)
    frames = len(sample[0].values)

    def curve(low, high):
        at = random.uniform(low, high, 8)
        return np.interp(np.arange(frames), np.linspace(0, frames, 8), at)

    chosen = {name: curve(*limits) for name, limits in CONTROLS.items()}
    emotions = np.stack([curve(0.0, 0.4) for _ in range(6)], axis=1)
    assert_lips_close(sample, **chosen, emotions=emotions)


@pytest.mark.parametrize("name", [*CONTROLS, "delay"])
def test_a_control_over_time_does_in_each_frame_what_it_does_alone(sample, name):
    prediction, gap = sample
    first, second = CONTROLS.get(name, (3.0, -2.0))
    half = len(prediction.values) // 2
    over_time = np.full(len(prediction.values), first)
    over_time[half:] = second
    if name == "smoothing":
        first = 0.02
        over_time[:half] = first
    before, after, both = (
        adjust.adjusted(prediction, settings(**{name: value}), gap)
        for value in (first, second, over_time)
    )
    # A blink that goes along with a glance lasts a few frames.
    late = half + 8
    np.testing.assert_allclose(both.values[:half], before.values[:half], atol=2e-4)
    np.testing.assert_allclose(both.values[late:], after.values[late:], atol=2e-4)
    np.testing.assert_allclose(both.head_rotation[:half], before.head_rotation[:half], atol=1e-5)
    np.testing.assert_allclose(both.head_rotation[late:], after.head_rotation[late:], atol=1e-5)
    changed = np.abs(after.values - before.values).max()
    assert max(changed, np.abs(after.head_rotation - before.head_rotation).max()) > 0.01


def test_a_delay_comes_later_and_holds_the_ends():
    values = np.arange(6.0, dtype=np.float32)[:, None]
    np.testing.assert_allclose(adjust.delayed(values, 2.0)[:, 0], [0, 0, 0, 1, 2, 3])
    np.testing.assert_allclose(adjust.delayed(values, -0.5)[:, 0], [0.5, 1.5, 2.5, 3.5, 4.5, 5])
