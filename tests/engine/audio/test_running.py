# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from engine.audio.running import REACH, running_percentile, with_gain


def levels(frames, seed=1):
    return np.random.default_rng(seed).normal(-30, 5, frames).astype(np.float32)


def test_a_part_has_the_levels_of_the_whole_away_from_its_ends():
    level = levels(3000)
    whole, part = running_percentile(level, 95), running_percentile(level[1000:2500], 95)
    inner = slice(REACH + 50, -REACH - 50)
    np.testing.assert_allclose(part[inner], whole[1000:2500][inner], atol=1e-4)


def test_the_level_follows_a_recording_that_becomes_softer():
    level = levels(3000)
    level[1500:] -= 20
    found = running_percentile(level, 95)
    assert found[700] - found[2300] == pytest.approx(20, abs=1)
    assert np.abs(np.diff(found)).max() < 2


def test_only_what_counts_is_counted_and_the_nearest_is_taken_elsewhere():
    level = levels(4000)
    counted = np.zeros(4000, bool)
    counted[1000:1100] = True
    level[1000:1100] = -10
    np.testing.assert_allclose(running_percentile(level, 95, counted), -10, atol=1e-4)
    few = np.zeros(4000, bool)
    few[[5, 3990]] = True
    level[few] = -20
    np.testing.assert_allclose(running_percentile(level, 95, few), -20, atol=1e-4)
    assert running_percentile(level[:1], 95).tolist() == [level[0]]
    np.testing.assert_array_equal(
        running_percentile(level, 95, np.zeros(4000, bool)), running_percentile(level, 95)
    )


def test_gain_is_interpolated_and_silence_lies_beyond_the_ends():
    samples = np.full(480, 0.1, np.float32)
    gain = np.array([1.0, 2.0, 3.0], np.float32)
    louder = with_gain(samples, gain)
    np.testing.assert_allclose(louder[[80, 240, 400]], [0.1, 0.2, 0.3], atol=1e-3)
    wide = with_gain(samples, gain, -10, 500)
    assert not wide[:10].any()
    assert not wide[-20:].any()
    np.testing.assert_array_equal(wide[10:-20], louder)
    assert with_gain(samples, gain * 100).max() == 1.0
