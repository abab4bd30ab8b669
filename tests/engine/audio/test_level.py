# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from engine.audio.level import band_level, loudness, relative_level


def test_a_full_scale_square_wave_is_zero_decibels():
    assert loudness(np.ones(1600, np.float32), 16_000) == pytest.approx(np.zeros(10), abs=1e-6)


def test_a_tenth_of_the_amplitude_is_twenty_decibels_less():
    assert loudness(np.full(160, 0.1), 16_000)[0] == pytest.approx(-20.0, abs=1e-6)


def test_silence_is_finite():
    assert loudness(np.zeros(500, np.float32), 16_000).tolist() == [-120.0] * 4


def test_each_step_is_ten_milliseconds():
    samples = np.zeros(480, np.float32)
    samples[160:320] = 1.0
    level = loudness(samples, 16_000)
    assert level.argmax() == 1
    assert level[0] == level[2] == -120.0


def test_the_level_of_bands_is_that_of_their_sum():
    power = np.array([[0.004, 0.006], [0.0, 0.0]])
    assert band_level(power).tolist() == pytest.approx([-20.0, -100.0])


def test_speech_has_45_decibels_of_range_under_its_loud_sounds():
    level = np.float32([-10.0, -20.0, -42.5, -65.0, -100.0])
    assert relative_level(level, -20.0).tolist() == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0])
