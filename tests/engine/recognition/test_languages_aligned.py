# SPDX-License-Identifier: GPL-3.0-or-later
"""Alignment of other languages than English, with voices of espeak-ng that name their sounds."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio.loading import SAMPLE_RATE, speech_from_samples
from engine.phonemes import BILABIALS
from engine.recognition.alignment import Aligner, chain_of
from engine.recognition.language import languages
from engine.recognition.pronunciation import pronunciations
from engine.recognition.recognizer import recognize
from engine.recognition.transcript import spoken_words
from tests.benchmarks.languages import TEXTS, VOICES
from training.assets.voices import Voice, speak

WRONG = {
    "de": "Gestern haben wir lange auf den Zug gewartet und dann etwas gegessen.",
    "es": "Ayer esperamos el tren durante mucho tiempo y luego comimos algo.",
    "zh": "昨天我们在车站等了很久，然后去吃饭。",
    "ja": "きのうは えきで でんしゃを ながく まちました。",
}


@pytest.fixture(scope="module", params=sorted(WRONG))
def spoken(request):
    language = request.param
    said = speak(Voice("espeak-ng", f"{VOICES.get(language, language)}+f3", 50.0), TEXTS[language])
    return language, speech_from_samples(said.samples, SAMPLE_RATE), said.phones


def test_the_words_of_a_language_are_found_where_they_are_spoken(spoken):
    language, speech, phones = spoken
    found = recognize(speech, TEXTS[language], language=language)
    assert found.warnings == ()
    assert found.language == language
    lips = [phone for phone in phones if phone.label in BILABIALS]
    ours = [phone for phone in found.phones if phone.label in BILABIALS]
    assert len(lips) <= len(ours) <= len(lips) + 1
    late = [min(abs(phone.start - our.start) for our in ours) for phone in lips]
    assert np.median(late) < 0.045
    assert np.quantile(late, 0.8) < 0.08


def test_another_text_of_the_language_is_reported(spoken):
    language, speech, _ = spoken
    found = recognize(speech, WRONG[language], language=language)
    assert "does not fit" in found.warnings[0]


def test_a_text_of_every_language_can_be_aligned():
    rng = np.random.default_rng(0)
    for language in languages():
        words = spoken_words("1 2 3 1984 & mama", language)
        said = [options for word in words if (options := pronunciations(word, language))]
        aligner = Aligner(chain_of(said))
        aligner.accept_scores(rng.integers(0, 200, (400, 5126)).astype(np.int16))
        assert said
        assert len(aligner.finish().words) == 400
