# SPDX-License-Identifier: GPL-3.0-or-later
"""Voices, codecs and sounds that nobody speaks: what training adds to clean speech."""

import numpy as np
import pytest

from engine.audio.loading import load_speech
from training.assets.augment import recorded
from training.assets.codecs import CODECS, available, through_codec
from training.assets.nonspeech import without_speech
from training.assets.phonation import disturbed_voice, whispered
from training.data.speech import find_speech


@pytest.fixture(scope="module")
def voice(recordings):
    return load_speech(find_speech([recordings])[0]).samples[:48_000].astype(np.float64)


def _energy(samples):
    """Energy at 100 Hz."""
    return np.square(samples[: len(samples) // 160 * 160]).reshape(-1, 160).mean(axis=1)


def _voicing(samples):
    """Strongest autocorrelation at periods of 60 to 400 Hz of the loudest tenth of a second."""
    loud = int(_energy(samples).argmax()) * 160
    part = samples[max(loud - 800, 0) : loud + 800]
    part = part - part.mean()
    product = np.correlate(part, part, "full")[len(part) - 1 :]
    return product[40:266].max() / product[0]


@pytest.mark.parametrize("codec", CODECS, ids=lambda c: f"{c.encoder}-{c.hertz}")
def test_a_codec_keeps_the_time_and_the_loudness_over_time(voice, codec):
    assert available(codec)
    for bits in codec.bits:
        coded = through_codec(voice, codec, bits)
        assert coded.shape == voice.shape
        assert not np.allclose(coded, voice, atol=1e-4)
        assert np.corrcoef(_energy(coded), _energy(voice))[0, 1] > 0.85


def test_a_telephone_keeps_nothing_above_4_khz(voice):
    coded = through_codec(voice, next(c for c in CODECS if c.hertz == 8_000), 12_200)
    spectrum = np.square(np.abs(np.fft.rfft(coded)))
    assert spectrum[len(spectrum) * 5 // 8 :].sum() < 1e-3 * spectrum.sum()


def test_a_whisper_has_the_times_of_the_voice_and_no_voice(voice):
    made = whispered(voice, np.random.default_rng(0))
    assert made.shape == voice.shape
    assert np.corrcoef(np.sqrt(_energy(made)), np.sqrt(_energy(voice)))[0, 1] > 0.5
    assert _voicing(made) < 0.4 < _voicing(voice)


def test_disturbed_voices_keep_the_level(voice):
    for seed in range(12):
        made = disturbed_voice(voice, np.random.default_rng(seed))
        assert made.shape == voice.shape
        assert np.square(made).mean() == pytest.approx(np.square(voice).mean(), rel=1e-3)


def test_sounds_without_speech_differ_and_fill_their_time():
    made = [without_speech(1.5, np.random.default_rng(seed)) for seed in range(30)]
    assert {sound.shape for sound in made} == {(24_000,)}
    assert all(np.abs(sound).max() == pytest.approx(0.9) for sound in made)
    assert len({sound.tobytes() for sound in made}) == 30


def test_a_recording_repeats_with_its_seed(voice):
    samples = voice.astype(np.float32)
    first, again, other = (recorded(samples, np.random.default_rng(s)) for s in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
