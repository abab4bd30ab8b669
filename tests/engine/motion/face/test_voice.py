# SPDX-License-Identifier: GPL-3.0-or-later
"""Stress and tone of voices whose pitch, loudness and length are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.motion.face.prosody import Accent, Prosody, Tone, phrases, prosody_of_phones
from engine.motion.face.voice import measure_prosody, pitch
from engine.phonemes import Phone, Word, normalize_segments

RATE = 16_000


def voice(hz, seconds, level=0.1):
    """A sawtooth, whose harmonics fall as those of a voice do."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * (2 * ((time * hz) % 1) - 1)).astype(np.float32)


def spoken(syllables):
    """(hz, seconds, level) of each vowel: samples and phones, a T of 60 ms between."""
    samples, phones, time = [], [], 0.0
    for hz, seconds, level in syllables:
        samples += [np.zeros(round(0.06 * RATE), np.float32), voice(hz, seconds, level)]
        phones += [Phone("T", time, time + 0.06), Phone("AA", time + 0.06, time + 0.06 + seconds)]
        time += 0.06 + seconds
    return np.concatenate(samples), normalize_segments(phones, time)


PLAIN = (120.0, 0.12, 0.1)


@pytest.mark.parametrize("hz", [75.0, 118.0, 220.0, 350.0])
def test_the_pitch_of_a_voice_is_found(hz):
    found = pitch(voice(hz, 1.0), RATE)[10:90]
    np.testing.assert_allclose(found, hz, rtol=0.01)


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    assert np.isfinite(pitch(noise, RATE)).mean() < 0.02
    assert not np.isfinite(pitch(np.zeros(RATE, np.float32), RATE)).any()


@pytest.mark.parametrize(
    "stressed",
    [(120.0, 0.12, 0.3), (170.0, 0.12, 0.1), (120.0, 0.30, 0.1)],
    ids=["louder", "higher", "longer"],
)
def test_what_is_louder_higher_or_longer_than_its_neighbours_is_stressed(stressed):
    samples, phones = spoken([*[PLAIN] * 5, stressed, *[PLAIN] * 5])
    found = measure_prosody(samples, RATE, phones, ()).accents
    vowel = [p for p in phones if p.label == "AA"][5]
    strongest = max(found, key=lambda accent: accent.strength)
    assert vowel.start < strongest.time < vowel.end


def test_a_whisper_in_which_here_and_there_something_hums_has_no_melody():
    rng = np.random.default_rng(0)
    _, phones = spoken([PLAIN] * 20)
    whisper = np.zeros(round(phones[-1].end * RATE), np.float32)
    humming = whisper.copy()
    for vowel in (phone for phone in phones if phone.label == "AA"):
        first, last = round(vowel.start * RATE), round(vowel.end * RATE)
        whisper[first:last] = rng.normal(0, 0.05, last - first)
        humming[first : first + 480] += voice(rng.uniform(150, 400), 0.03, 0.15)
    (plain,) = measure_prosody(whisper, RATE, phones, ()).tones
    (hummed,) = measure_prosody(whisper + humming, RATE, phones, ()).tones
    assert hummed.arousal == pytest.approx(plain.arousal, abs=0.1)
    assert hummed.valence == pytest.approx(plain.valence, abs=0.1)


def test_a_word_is_stressed_once():
    loud = (150.0, 0.2, 0.4)
    samples, phones = spoken([*[PLAIN] * 4, loud, PLAIN, loud, *[PLAIN] * 4])
    vowels = [p for p in phones if p.label == "AA"]
    assert len(measure_prosody(samples, RATE, phones, ()).accents) == 2
    word = Word("banana", vowels[4].start, vowels[6].end)
    assert len(measure_prosody(samples, RATE, phones, (word,)).accents) == 1


def test_an_excited_phrase_has_more_arousal_than_a_calm_one():
    excited = [(hz, 0.1, 0.4) for hz in (180.0, 240.0, 170.0, 260.0, 190.0, 230.0)]
    calm = [(hz, 0.3, 0.05) for hz in (110.0, 112.0, 108.0, 110.0)]
    first, phones = spoken(excited)
    second, more = spoken(calm)
    shift = len(first) / RATE + 1.0
    samples = np.concatenate([first, np.zeros(RATE, np.float32), second])
    later = [p._replace(start=p.start + shift, end=p.end + shift) for p in more]
    known = normalize_segments([*phones, *later], len(samples) / RATE)
    tones = measure_prosody(samples, RATE, known, ()).tones
    assert len(tones) == 2
    assert tones[0].arousal > tones[1].arousal + 0.5
    assert all(-1 <= tone.valence <= 1 for tone in tones)


def test_silence_and_clips_of_a_few_sounds_have_prosody_too():
    still = np.zeros(RATE, np.float32)
    assert measure_prosody(still, RATE, (Phone("SIL", 0, 1),), ()) == Prosody()
    phones = (Phone("SIL", 0, 0.3), Phone("AA", 0.3, 0.6), Phone("SIL", 0.6, 1.0))
    assert measure_prosody(still, RATE, phones, ()) == prosody_of_phones(phones)


def test_people_stress_words(recorded_clips):
    for clip in recorded_clips:
        known = normalize_segments(clip.phones, clip.speech.duration)
        prosody = measure_prosody(clip.speech.samples, RATE, known, ())
        rate = len(prosody.accents) / clip.speech.duration
        assert 0.5 < rate < 3
        assert all(0 < accent.strength <= 1 for accent in prosody.accents)


def test_phrases_lie_between_pauses():
    phones = (Phone("AA", 0, 1), Phone("SIL", 1, 1.1), Phone("T", 1.1, 2), Phone("SIL", 2, 3))
    assert phrases(phones) == [(0, 2)]


def test_prosody_survives_json():
    prosody = Prosody((Accent(0.5, 0.25),), (Tone(0.0, 1.0, -0.5, 0.125),))
    assert Prosody.from_json(json.loads(json.dumps(prosody.to_json()))) == prosody


@pytest.mark.parametrize(
    "bad",
    [
        None,
        {},
        {"accents": [[1]], "tones": []},
        {"accents": [["a", 1]], "tones": []},
        {"accents": [[float("nan"), 1]], "tones": []},
        {"accents": 3, "tones": []},
    ],
)
def test_other_json_is_refused(bad):
    with pytest.raises(BadInputError, match="prosody"):
        Prosody.from_json(bad)
