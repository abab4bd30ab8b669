# SPDX-License-Identifier: GPL-3.0-or-later
"""Strength, smile and frown over a finished performance: lips still close, 0 changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.audio.loading import Speech
from engine.core.errors import BadInputError
from engine.motion.lip_contact import lip_gap
from engine.motion.model.ids import STARTER
from engine.motion.predict import predict
from engine.motion.style import Style, apply_style
from engine.phonemes import Phone
from tests.engine.motion.known_phones import perform
from training.data.speech import find_speech, load_aligned_speech
from training.metrics.lip_sync import combined, lip_sync

STYLES = (
    Style(),
    Style(smile=1.0),
    Style(smile=-1.0),
    Style(articulation=0.5),
    Style(articulation=2.0, smile=0.5),
)


@pytest.fixture(scope="module", params=["rules", "starter"])
def spoken(request, head, recordings, recognized):
    """Clips with what a model makes of their true sounds."""
    # The two with an f or v in them.
    clips = [load_aligned_speech(file) for file in find_speech([recordings])][::2]
    made = []
    for clip in clips:
        known = replace(recognized(clip.speech, recognizer="phones"), phones=clip.phones)
        made.append(predict(clip.speech, head, 25.0, recognized=known, model=request.param))
    return clips, made


def in_style(made, head, style):
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    weights = apply_style(made.weights, made.expression_names, style, gap)
    return replace(made, weights=weights, expression=weights)


def measured(spoken, head, style):
    return combined(
        [
            lip_sync(in_style(made, head, style), head, clip.phones)
            for clip, made in zip(*spoken, strict=True)
        ]
    )


def short(head):
    phones = (Phone("SIL", 0, 0.3), Phone("M", 0.3, 0.4), Phone("AA", 0.4, 0.7), Phone("W", 0.7, 1))
    speech = Speech(np.zeros(16_000, np.float32), 1.0, "abc")
    return perform(phones, speech, head, 25.0)


def column(made, name):
    return made.weights[:, made.expression_names.index(name)]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_p_b_and_m_close_and_open_vowels_open_in_every_style(spoken, head, style):
    found = measured(spoken, head, style)
    assert found.closure_rate == 1.0
    learned = spoken[1][0].model == STARTER
    # The starter shuts an AH of 40 ms before a b, and an AE with which a clip begins.
    assert found.falsely_closed <= (2 if learned else 0)
    assert found.overlap < (0.75 * max(style.articulation, 1.0) if learned else 0.5)
    assert found.silence_motion < 0.05


def test_f_and_v_touch_the_teeth_of_a_smile(spoken, head, of_people):
    rate = measured(spoken, head, Style(smile=1.0)).contact_rate
    assert rate >= (1.0 if of_people else 0.75)


def test_articulation_scales_what_is_seen(spoken, head):
    plain = measured(spoken, head, Style())
    for amplitude in (0.5, 1.5):
        found = measured(spoken, head, Style(articulation=amplitude))
        assert found.open_gap == pytest.approx(amplitude * plain.open_gap, rel=0.1)
        rounding = amplitude * plain.rounding_contrast
        assert found.rounding_contrast == pytest.approx(rounding, rel=0.2)


def test_the_default_changes_not_a_bit(head):
    made = short(head)
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    assert apply_style(made.weights, made.expression_names, Style(), gap) is made.weights


@pytest.mark.parametrize("model", ["rules", "starter"])
def test_a_prediction_in_the_default_style_is_the_prediction(head, model):
    noise = np.random.default_rng(0).normal(size=16_000) * 0.05
    speech = Speech(noise.astype(np.float32), 1.0, "abc")
    plain = predict(speech, head, 25.0, model=model)
    same = predict(speech, head, 25.0, model=model, style=Style())
    np.testing.assert_array_equal(plain.weights, same.weights)
    smiling = predict(speech, head, 25.0, model=model, style=Style(smile=1.0))
    assert column(smiling, "mouthSmileLeft").mean() > 0.3


def test_a_smile_lifts_the_corners_and_a_frown_lowers_them(head):
    corners = head.landmarks["mouth_corners"]
    plain, smile, frown = (
        in_style(short(head), head, Style(smile=s)).offsets()[0, corners, 1].mean()
        for s in (0.0, 1.0, -1.0)
    )
    assert smile > plain + 0.002
    assert frown < plain - 0.002


def test_a_smile_gives_way_to_rounded_lips(head):
    smiling = in_style(short(head), head, Style(smile=1.0))
    added = column(smiling, "mouthSmileLeft") - column(short(head), "mouthSmileLeft")
    rounded = column(short(head), "mouthPucker")
    assert added[rounded.argmax()] < added[rounded.argmin()] - 0.1


def test_a_still_mouth_leaves_blinks_alone(head):
    still = in_style(short(head), head, Style(articulation=0.0))
    mouth = [n for n in head.expression_names if n.startswith(("jaw", "mouth", "tongue"))]
    assert max(np.abs(column(still, name)).max() for name in mouth) == 0.0
    np.testing.assert_array_equal(column(still, "browInnerUp"), column(short(head), "browInnerUp"))


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"articulation": 2.5}, "articulation is 2.5"),
        ({"smile": -1.1}, "smile is -1.1"),
        ({"jaw": 4.0}, "jaw is 4"),
    ],
)
def test_a_style_out_of_range_is_refused(changed, word):
    with pytest.raises(BadInputError, match=word):
        Style(**changed)
