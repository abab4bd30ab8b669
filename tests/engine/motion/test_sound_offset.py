# SPDX-License-Identifier: GPL-3.0-or-later
"""The time between captured motion and its sound."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.audio.loading import load_speech
from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.motion.predict import predict
from engine.motion.sound_offset import (
    SoundOffset,
    captured_opening,
    estimate_offset,
    offset_or_refuse,
    spoken_opening,
    with_sound,
)
from engine.motion.style import Style

VOICE = Path("engine/assets/sample_voice.wav")
TEXT = json.loads(VOICE.with_suffix(".json").read_text())["text"]


@pytest.fixture(scope="module")
def spoken():
    return spoken_opening(load_speech(VOICE), TEXT)


@pytest.fixture(scope="module")
def captured():
    """The same sentence by somebody who moves the jaw more and the lips less, at 30 fps."""
    head, speech = load_head("default"), load_speech(VOICE)
    return predict(speech, head, 30.0, text=TEXT, style=Style(jaw=1.5, lips=0.6), model="starter")


@pytest.mark.parametrize("seconds", [-1.37, -0.2, 0.0, 0.45, 2.5])
def test_a_known_shift_is_found_within_a_frame(spoken, captured, seconds):
    opening = captured_opening(captured, load_head("default"))
    # The camera runs before and after the sound; the face is not quite still and not quite clean.
    generator = np.random.default_rng(3)
    before, after = round(max(seconds, 0) * 30), 40
    cut = round(max(-seconds, 0) * 30)
    filmed = np.concatenate([np.zeros(before), opening[cut:], np.zeros(after)])
    filmed = filmed + generator.normal(0, 0.05, len(filmed))
    found = estimate_offset(filmed, 30.0, spoken[0])
    assert found.found
    assert found.seconds == pytest.approx((before - cut) / 30, abs=0.035)


def test_a_strange_motion_is_not_believed(spoken):
    noise = np.random.default_rng(1).normal(size=400).cumsum()
    found = estimate_offset(noise, 30.0, spoken[0])
    assert not found.found
    with pytest.raises(BadInputError, match=r"take\.wav.*could not be found"):
        offset_or_refuse(found, "take.wav")


@pytest.mark.parametrize("frames", [0, 1, 20])
def test_too_little_motion_has_no_offset(spoken, frames):
    assert estimate_offset(np.ones(frames), 30.0, spoken[0]) == SoundOffset(0.0, 0.0, 0.0)


def test_a_still_mouth_has_no_offset(spoken):
    assert not estimate_offset(np.ones(300), 30.0, spoken[0]).found


def test_motion_takes_the_time_of_its_sound(spoken, captured):
    speech = load_speech(VOICE)
    later = with_sound(captured, speech, 0.5, spoken[1])
    assert later.frames == round(speech.duration * 30)
    np.testing.assert_allclose(later.weights[0], captured.weights[15], atol=1e-5)
    np.testing.assert_array_equal(later.weights[-1], captured.weights[-1])
    assert later.phones == spoken[1].phones
    earlier = with_sound(captured, speech, -0.5)
    np.testing.assert_array_equal(earlier.weights[:15], captured.weights[[0] * 15])
    np.testing.assert_allclose(earlier.weights[15], captured.weights[0], atol=1e-5)


def _mouths() -> list[Path]:
    return sorted(Path("../shared/mouths").glob("*.wav"))


@pytest.mark.skipif(not _mouths(), reason="no filmed mouths")
def test_a_filmed_mouth_is_found_where_it_was_recorded():
    sound = _mouths()[0]
    about = json.loads(sound.with_suffix(".json").read_text())
    spoken, _ = spoken_opening(load_speech(sound), about["text"])
    opening, fps = np.array(about["opening_mm"]), about["fps"]
    for seconds in (0.0, 0.7):
        filmed = np.concatenate([np.full(round(seconds * fps), opening[0]), opening])
        found = estimate_offset(filmed, fps, spoken)
        assert found.found
        assert found.seconds == pytest.approx(round(seconds * fps) / fps, abs=0.08)
