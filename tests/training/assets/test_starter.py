# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped model on speech that it was not trained on, beside its teacher."""

import numpy as np
import pytest

from engine.heads import load_head
from engine.motion.model.ids import MODELS, RULES, STARTER, STARTER_FILE
from engine.motion.predict import predict
from engine.motion.style import Style
from training.data.speech import find_speech, load_aligned_speech
from training.metrics.lip_sync import combined, lip_sync

STILL = Style(upper_face=0.0)


@pytest.fixture(scope="module")
def head():
    return load_head("default")


@pytest.fixture(scope="module")
def clips(recordings):
    return [load_aligned_speech(file) for file in find_speech([recordings])]


def _measured(performances, head, clips):
    return combined(
        [
            lip_sync(made, head, clip.phones, clip.speech.samples, 16_000)
            for made, clip in zip(performances, clips, strict=True)
        ]
    )


@pytest.fixture(scope="module", params=[False, True], ids=["guessed", "with transcript"])
def learned(request, head, clips):
    texts = [clip.transcript if request.param else None for clip in clips]
    made = [
        predict(clip.speech, head, 25.0, text=text, style=STILL)
        for clip, text in zip(clips, texts, strict=True)
    ]
    return _measured(made, head, clips)


@pytest.fixture(scope="module")
def taught(head, clips):
    made = [predict(clip.speech, head, 25.0, model=RULES, style=STILL) for clip in clips]
    return _measured(made, head, clips)


def test_p_b_and_m_close_the_lips(learned):
    assert learned.closed / learned.bilabials >= 0.93


def test_open_vowels_stay_open(learned):
    assert learned.falsely_closed / learned.open_vowels <= 0.03


def test_the_mouth_moves_with_the_voice(learned):
    assert abs(learned.synchrony.lag_ms) <= 15.0


def test_silence_is_still(learned):
    assert learned.silence_motion < 0.1


def test_the_model_is_smoother_than_its_teacher(learned, taught):
    assert learned.jitter <= taught.jitter


def test_the_mouth_follows_the_voice_more_closely_than_the_teachers(learned, taught, of_people):
    factor = 1.0 if of_people else 0.95
    assert learned.synchrony.strength > factor * taught.synchrony.strength


def test_f_and_v_bring_the_lip_to_the_teeth(learned, of_people):
    assert learned.contact_rate >= (1.0 if of_people else 0.75)


def test_lips_do_not_pass_through_each_other(learned):
    assert learned.overlap < 0.5


def test_rounded_and_spread_vowels_differ_as_the_teachers(learned, taught, of_people):
    factor = 0.95 if of_people else 0.6
    assert learned.rounding_contrast > factor * taught.rounding_contrast


def test_the_starter_is_among_the_models():
    assert STARTER in MODELS
    assert STARTER_FILE.stat().st_size < 3_000_000


def test_the_starter_speaks_through_predict(head):
    from engine.audio.loading import speech_from_samples

    rng = np.random.default_rng(0)
    speech = speech_from_samples(rng.normal(size=8_000).astype(np.float32) * 0.01, 16_000)
    made = predict(speech, head, 24.0, model=STARTER)
    assert (made.model, made.frames) == (STARTER, 12)
