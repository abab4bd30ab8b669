# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped model on speech that it was not trained on, beside its teacher."""

import numpy as np
import pytest

from engine.audio.loading import speech_from_samples
from engine.motion.model.ids import MODELS, RULES, STARTER, STARTER_FILE
from engine.motion.model.loaded import loaded_model
from engine.motion.performance import Performance
from engine.motion.predict import predict
from engine.motion.style import Style
from engine.recognition.ids import PHONES
from engine.recognition.recognizer import recognize
from training.data.speech import find_speech, load_aligned_speech
from training.metrics.lip_sync import combined, lip_speed, lip_sync
from training.metrics.mouth import mouth_track

STILL = Style(upper_face=0.0)


@pytest.fixture(scope="module")
def clips(recordings):
    return [load_aligned_speech(file) for file in find_speech([recordings])]


def _measured(performances, head, clips):
    return combined(
        [lip_sync(made, head, clip.phones) for made, clip in zip(performances, clips, strict=True)]
    )


@pytest.fixture(scope="module", params=[False, True], ids=["guessed", "with transcript"])
def learned(request, head, clips, recognized):
    made = []
    for clip in clips:
        known = recognized(clip.speech, clip.transcript if request.param else None)
        made.append(predict(clip.speech, head, 25.0, recognized=known, model=STARTER, style=STILL))
    return _measured(made, head, clips)


@pytest.fixture(scope="module")
def taught(head, clips, recognized):
    made = []
    for clip in clips:
        known = recognized(clip.speech)
        made.append(predict(clip.speech, head, 25.0, recognized=known, model=RULES, style=STILL))
    return _measured(made, head, clips)


def test_p_b_and_m_close_the_lips(learned):
    assert learned.closed / learned.bilabials >= 0.93


@pytest.mark.parametrize("given", [False, True], ids=["guessed", "with transcript"])
def test_p_b_and_m_close_before_the_lip_contact(head, clips, recognized, given):
    loaded = loaded_model(STARTER_FILE, head)
    made = []
    for clip in clips:
        known = (
            recognized(clip.speech, clip.transcript)
            if given
            else recognized(clip.speech, recognizer=PHONES)
        )
        weights = np.clip(loaded.motion(clip.speech, known, 25.0, STILL).weights, 0.0, 1.0)
        basis = (weights, head.expression_basis, weights, head.expression_names, head.id)
        made.append(Performance(25.0, *basis))
    alone = _measured(made, head, clips)
    assert alone.closed / alone.bilabials >= (0.95 if given else 0.9)


@pytest.mark.parametrize("sound", ["tone", "chord", "noise"])
def test_what_is_not_speech_does_not_move_the_mouth(head, sound):
    time = np.arange(48_000) / 16_000
    made = {
        "tone": np.sin(2 * np.pi * 440 * time),
        "chord": sum(np.sin(2 * np.pi * hertz * time) for hertz in (220.0, 277.2, 329.6)) / 3,
        "noise": np.random.default_rng(0).normal(size=len(time)) / 3,
    }[sound]
    speech = speech_from_samples((0.4 * made).astype(np.float32), 16_000)
    known = recognize(speech, recognizer=PHONES)
    performance = predict(speech, head, 25.0, recognized=known, model=STARTER, style=STILL)
    assert mouth_track(performance, head).gap.max() < 0.5
    assert lip_speed(performance, head).mean() < 0.05


def test_open_vowels_stay_open(learned):
    assert learned.falsely_closed / learned.open_vowels <= 0.08


def test_the_mouth_moves_with_the_voice(learned):
    assert abs(learned.synchrony.lag_ms) <= 15.0


def test_silence_is_still(learned):
    assert learned.silence_motion < 0.1


def test_the_model_is_nearly_as_smooth_as_its_teacher(learned, taught):
    assert learned.jitter <= 1.15 * taught.jitter


def test_the_mouth_follows_the_sounds_nearly_as_closely_as_its_teacher(learned, taught):
    # The sounds' clock is people's mean opening at each phone, which the rules are made of.
    assert learned.synchrony.strength > 0.85 * taught.synchrony.strength


def test_f_and_v_bring_the_lip_to_the_teeth(learned, of_people):
    assert learned.contact_rate >= (1.0 if of_people else 0.75)


def test_lips_do_not_pass_through_each_other(learned):
    assert learned.overlap < 0.8


def test_rounded_and_spread_vowels_differ_as_the_teachers(learned, taught, of_people):
    factor = 0.8 if of_people else 0.5
    assert learned.rounding_contrast > factor * taught.rounding_contrast


def test_the_starter_is_among_the_models():
    assert STARTER in MODELS
    assert STARTER_FILE.stat().st_size < 3_000_000


def test_the_starter_speaks_through_predict(head):
    rng = np.random.default_rng(0)
    speech = speech_from_samples(rng.normal(size=8_000).astype(np.float32) * 0.01, 16_000)
    made = predict(speech, head, 24.0, model=STARTER)
    assert (made.model, made.frames) == (STARTER, 12)
