# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample voice and the times of its sounds are what flite makes of the sentence."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.audio.loading import load_speech
from engine.recognition.segmentation import load_segmentation
from training.assets.head.sample_voice import PACE, TEXT, VOICE
from training.assets.voices import Voice, speak

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_flite_speaks_the_sample_voice_with_these_sounds():
    said = speak(Voice("flite", VOICE, 0.0), TEXT, PACE)
    shipped = load_speech(REPOSITORY / "engine" / "assets" / "sample_voice.wav")
    phones, _, transcript, _ = load_segmentation(
        REPOSITORY / "tests/speech/sample_voice.phones.json"
    )
    np.testing.assert_array_equal(said.samples, shipped.samples)
    assert transcript == TEXT
    assert [phone.label for phone in phones] == [phone.label for phone in said.phones]
    times = [[(phone.start, phone.end) for phone in made] for made in (phones, said.phones)]
    np.testing.assert_allclose(*times, atol=0.0011)
