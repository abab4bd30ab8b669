# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.phonemes import Phone
from training.metrics.phone_means import OPENINGS
from training.metrics.synchrony import RATE, expected_opening, synchrony, voiced_energy

SAMPLE_RATE = 16_000


def syllables(times):
    """Loudness of a made-up phrase at any times: bumps at irregular times."""
    peaks = np.array([0.4, 0.75, 1.0, 1.5, 1.72, 2.2, 2.6])
    return np.exp(-(((times[:, None] - peaks) / 0.07) ** 2)).sum(axis=1)


def voice(duration=3.0):
    times = np.arange(int(duration * SAMPLE_RATE)) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * 200 * times) + 0.5 * np.sin(2 * np.pi * 600 * times)
    return (0.3 * syllables(times) * tone).astype(np.float32)


@given(st.floats(-0.15, 0.15), st.sampled_from([24.0, 25.0, 29.97, 60.0]))
@settings(deadline=None, max_examples=25)
def test_the_lag_of_a_shifted_mouth_is_found_to_a_fraction_of_a_frame(shift, fps):
    frames = np.arange(round(3 * fps)) / fps
    opening = np.sqrt(syllables(frames - shift))
    found = synchrony(np.sqrt(syllables(np.arange(600) / RATE)), opening, fps).lag_ms
    assert found == pytest.approx(shift * 1000, abs=4.0)


def test_a_mouth_that_follows_the_voice_has_no_lag():
    energy = voiced_energy(voice(), SAMPLE_RATE)
    frames = np.arange(180) / 60
    found = synchrony(energy, syllables(frames), 60.0)
    assert abs(found.lag_ms) < 8
    assert found.strength > 0.8


def test_a_late_mouth_has_a_positive_lag():
    energy = voiced_energy(voice(), SAMPLE_RATE)
    frames = np.arange(180) / 60
    assert synchrony(energy, syllables(frames - 0.1), 60.0).lag_ms == pytest.approx(100, abs=10)


def test_an_opposite_mouth_correlates_worse_than_a_true_one():
    energy = voiced_energy(voice(), SAMPLE_RATE)
    frames = np.arange(180) / 60
    true, opposite = syllables(frames), -syllables(frames)
    assert synchrony(energy, opposite, 60.0).strength < synchrony(energy, true, 60.0).strength - 0.3
    middle = len(synchrony(energy, true, 60.0).lags) // 2
    assert synchrony(energy, opposite, 60.0).correlation[middle] < -0.8


@pytest.mark.parametrize("opening", [np.zeros(75), np.ones(75)])
def test_a_still_mouth_has_no_lag(opening):
    assert synchrony(voiced_energy(voice(), SAMPLE_RATE), opening, 25.0).lag_ms is None


def test_silence_has_no_energy():
    assert not voiced_energy(np.zeros(16_000, np.float32), SAMPLE_RATE).any()


def test_hiss_counts_less_than_voice():
    hiss = np.random.default_rng(0).normal(size=16_000)
    spectrum = np.fft.rfft(hiss)
    spectrum[:4000] = 0
    hiss = np.fft.irfft(spectrum)
    both = np.concatenate([voice(1.0), 0.3 * hiss / hiss.std() / 3])
    energy = voiced_energy(both, SAMPLE_RATE)
    assert energy[220:380].mean() < 0.5 * energy[60:180].max()


def test_too_short_a_clip_gives_no_lag():
    assert synchrony(np.ones(10), np.ones(2), 25.0).lag_ms is None


PHONES = [
    Phone("SIL", 0.0, 0.5), Phone("M", 0.5, 0.6), Phone("AA", 0.6, 0.8), Phone("SIL", 0.8, 1.0),
    Phone("OW", 1.0, 1.2), Phone("S", 1.2, 1.4), Phone("SIL", 1.4, 2.4), Phone("AE", 2.4, 2.6),
    Phone("SIL", 2.6, 3.0),
]  # fmt: skip


def test_sounds_ask_for_what_people_do():
    asked = expected_opening(PHONES, 3.0)
    assert len(asked) == 3 * RATE
    for time, label in ((0.531, "M"), (0.7, "AA"), (0.9, "SIL"), (1.1, "OW"), (2.5, "AE")):
        assert asked[round(time * RATE)] == pytest.approx(OPENINGS[label], abs=0.05)
    for resting in (0.0, 1.7, 2.0, 2.95):
        assert asked[round(resting * RATE)] < 1.0


@given(st.floats(-0.15, 0.15), st.sampled_from([24.0, 25.0, 29.97, 60.0]))
@settings(deadline=None, max_examples=25)
def test_the_lag_behind_known_phones_is_found(shift, fps):
    later = [p._replace(start=p.start + shift, end=p.end + shift) for p in PHONES]
    times = np.arange(round(3 * fps)) / fps
    asked = expected_opening(later, 3.0)
    opening = np.interp(times, np.arange(len(asked)) / RATE, asked)
    found = synchrony(expected_opening(PHONES, 3.0), opening, fps)
    assert found.lag_ms == pytest.approx(1000 * shift, abs=8.0)
    assert found.strength > 0.95


def test_without_known_phones_there_is_no_lag():
    assert synchrony(expected_opening([], 3.0), np.arange(75.0), 25.0).lag_ms is None
