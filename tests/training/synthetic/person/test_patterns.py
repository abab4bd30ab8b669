# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np

from training.synthetic.person.patterns import noise


def test_noise_is_smooth_bounded_and_the_same_each_time():
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (2000, 3))
    first = noise(points, 0.01, 3)
    assert np.array_equal(first, noise(points, 0.01, 3))
    assert np.abs(first).max() <= 1
    assert first.std() > 0.2
    assert np.abs(noise(points + 1e-6, 0.01, 3) - first).max() < 2e-3
