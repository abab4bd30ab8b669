# SPDX-License-Identifier: GPL-3.0-or-later
"""Emotions over a speaking face: what they show, when, and that the lips still meet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.motion.arkit import ARKIT_NAMES, COLUMN, sides
from engine.motion.face.emotion import EMOTIONS, PROTOTYPES, EmotionKey, emotion_amounts
from engine.motion.face.emotion_curve import read_emotion_curve
from engine.motion.face.prosody import Tone
from engine.motion.lip_contact import fit_mouth_close, lip_gap
from engine.motion.model.ids import BY_RULE, MODELS
from engine.motion.predict import predict
from engine.motion.style import Style, apply_style
from training.data.speech import find_speech, load_aligned_speech
from training.metrics.lip_sync import combined, lip_sync

STYLES = [
    Style(emotion=emotion, smile=smile, articulation=articulation)
    for emotion in EMOTIONS
    for smile, articulation in ((0.0, 1.0), (1.0, 0.5), (-1.0, 2.0), (1.0, 2.0), (-1.0, 0.5))
]


@pytest.fixture(scope="module", params=MODELS)
def spoken(request, head, recordings, recognized):
    """Clips, and what a model makes of their true sounds."""
    clips = [load_aligned_speech(file) for file in find_speech([recordings])][::2]
    made = []
    for clip in clips:
        known = replace(recognized(clip.speech, recognizer="phones"), phones=clip.phones)
        made.append(predict(clip.speech, head, 25.0, recognized=known, model=request.param))
    return clips, made


def in_style(made, head, style):
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    amounts = emotion_amounts(
        style.emotion, style.emotion_amount, style.emotion_keys, (), made.frames, made.fps
    )
    weights = apply_style(made.weights, made.expression_names, style, gap, amounts)
    return replace(made, weights=weights, expression=weights)


def measured(spoken, head, style):
    return combined(
        [
            lip_sync(in_style(made, head, style), head, clip.phones)
            for clip, made in zip(*spoken, strict=True)
        ]
    )


@pytest.mark.parametrize(
    "style", STYLES, ids=[f"{s.emotion} {s.smile:g} {s.articulation:g}" for s in STYLES]
)
def test_lips_close_and_open_and_reach_the_teeth_in_every_emotion(spoken, head, style):
    found, plain = measured(spoken, head, style), measured(spoken, head, Style())
    assert found.closure_rate == 1.0
    assert found.touching >= plain.touching
    if spoken[1][0].model in BY_RULE:
        assert found.false_closure_rate == 0.0
        assert found.overlap < 0.5
    else:
        # The learned model's lips overlap by more where they articulate twice as much.
        unmoved = measured(spoken, head, replace(style, emotion_amount=0.0))
        assert found.false_closure_rate <= plain.false_closure_rate
        assert found.overlap < max(0.5, unmoved.overlap + 0.2)
    assert found.open_gap > 0.8 * style.articulation * plain.open_gap


@given(data=st.data())
def test_lips_that_met_meet_in_any_mixture_of_emotions(data):
    head = load_head("default")
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    seed = data.draw(st.integers(0, 2**32 - 1))
    mixture = np.array([data.draw(st.tuples(*[st.floats(0, 1)] * 6))] * 40)
    rng = np.random.default_rng(seed)
    weights = np.zeros((40, len(head.expression_names)), np.float32)
    for name in ("jawOpen", "mouthPucker", "mouthStretchLeft", "mouthStretchRight"):
        weights[:, head.expression_index(name)] = rng.uniform(0, 0.3, 40)
    weights = fit_mouth_close(weights, gap, np.ones(40))
    weights[:, gap.close] = np.clip(weights[:, gap.close] + touching(weights, gap), 0, 1)
    met = np.abs(gap.apart(weights).max(axis=1)) < 1e-4
    style = Style(smile=data.draw(st.floats(-1, 1)), articulation=data.draw(st.floats(0.5, 2)))
    made = apply_style(weights, head.expression_names, style, gap, mixture)
    assert met.sum() > 20
    assert np.abs(gap.apart(made[met]).max(axis=1)).max() < 3e-4


def touching(weights, gap):
    """(T,) what mouthClose lacks for the widest pair to touch."""
    return (gap.apart(weights) / -gap.parting[gap.close]).max(axis=1)


def amounts(emotion="neutral", amount=1.0, keys=(), tones=(), frames=100):
    return emotion_amounts(emotion, amount, keys, tones, frames, 25.0)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_each_shows_its_action_units_by_its_amount(emotion):
    still = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    still[0, COLUMN["jawOpen"]] = 0.5
    for amount in (1.0, 0.5):
        made = apply_style(still, ARKIT_NAMES, Style(), None, amounts(emotion, amount, frames=1))
        for name, weight in PROTOTYPES[emotion].items():
            shown = made[0, COLUMN[sides(name)[0]]] - still[0, COLUMN[sides(name)[0]]]
            # What presses the lips leaves an open mouth alone.
            pressing = name in {"mouthPress", "mouthShrugLower"}
            assert shown == pytest.approx(0.0 if pressing else amount * weight, abs=1e-6)


def test_neutral_or_no_amount_changes_not_a_bit(head):
    assert amounts() is None
    assert amounts("joy", 0.0) is None
    weights = np.random.default_rng(0).uniform(0, 1, (5, 52)).astype(np.float32)
    assert apply_style(weights, ARKIT_NAMES, Style(), None, None) is weights


def test_keys_are_joined_by_lines_and_held_beyond():
    keys = (EmotionKey(1.0, (0, 0.2, 0, 0, 0, 0)), EmotionKey(2.0, (0, 1.0, 0, 0, 0, 0)))
    anger = amounts(keys=keys)[:, EMOTIONS.index("anger")]
    np.testing.assert_allclose(anger[[0, 25, 50, 99]], (0.2, 0.2, 1.0, 1.0))
    assert anger[37] == pytest.approx(0.2 + 0.8 * 12 / 25)


def test_the_voice_decides_in_the_automatic_mode_and_never_shouts():
    excited = amounts("auto", tones=(Tone(1.0, 3.0, 0.9, 0.6),))[50]
    furious = amounts("auto", tones=(Tone(1.0, 3.0, 0.9, -0.6),))[50]
    dejected = amounts("auto", tones=(Tone(1.0, 3.0, -0.9, -0.6),))[50]
    assert EMOTIONS[excited.argmax()] == "joy"
    assert EMOTIONS[furious.argmax()] == "anger"
    assert EMOTIONS[dejected.argmax()] == "sadness"
    assert max(excited.max(), furious.max(), dejected.max()) < 0.6
    assert amounts("auto") is None


def test_an_automatic_emotion_comes_and_goes_smoothly():
    curve = amounts("auto", tones=(Tone(1.0, 3.0, 0.9, 0.6),))
    assert np.abs(np.diff(curve, axis=0)).max() < 0.1
    assert not curve[0].any()


@pytest.mark.parametrize("bad", [{"emotion": "bored"}, {"emotion_amount": 1.1}])
def test_an_unknown_emotion_is_refused(bad):
    with pytest.raises(BadInputError, match="emotion"):
        Style(**bad)


def test_a_curve_is_read_from_a_table(tmp_path):
    file = tmp_path / "curve.csv"
    file.write_text("seconds,Joy,surprise\n0,0,0\n1.5,0.5,1\n\n", encoding="utf-8")
    keys = read_emotion_curve(file)
    assert keys == (
        EmotionKey(0.0, (0.0,) * 6),
        EmotionKey(1.5, (0.5, 0.0, 0.0, 0.0, 0.0, 1.0)),
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "none"),
        ("seconds\n1\n", "seconds"),
        ("seconds,bored\n0,1\n", "bored"),
        ("joy,seconds\n0,1\n", "joy, seconds"),
        ("seconds,joy\n", "no key"),
        ("seconds,joy\n0,1\n0,0\n", "do not rise"),
        ("seconds,joy\n0,2\n", "Line 2"),
        ("seconds,joy\n0\n", "Line 2"),
        ("seconds,joy\n0,much\n", "Line 2"),
        ("seconds,joy\nnan,1\n", "Line 2"),
    ],
)
def test_another_table_is_refused(tmp_path, text, word):
    file = tmp_path / "curve.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=word):
        read_emotion_curve(file)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"none\.csv"):
        read_emotion_curve(tmp_path / "none.csv")
    file = tmp_path / "b.csv"
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(BadInputError, match=r"b\.csv"):
        read_emotion_curve(file)
