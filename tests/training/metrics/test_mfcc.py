# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from training.metrics.mfcc import cepstra

# 50 ms of a tone of 440 Hz at half of full scale, by python_speech_features 0.6.
TONE = {
    0: (20.495, 18.806, 1.7124, -14.1803, -27.1916, -33.5372, -29.6668, -18.5684, -3.2704,
        10.0504, 18.0191, 17.9755, 11.9388),
    3: (20.2623, 22.1601, 5.724, -10.0489, -22.9775, -29.2251, -25.3921, -14.7617, -0.4457,
        11.3339, 17.8873, 16.6398, 9.8626),
}  # fmt: skip


def test_a_tone_has_the_cepstra_of_the_reference():
    made = cepstra(0.5 * np.sin(2 * np.pi * 440 * np.arange(800) / 16_000))
    for frame, expected in TONE.items():
        np.testing.assert_allclose(made[frame], expected, atol=2e-4)


@pytest.mark.parametrize(
    ("samples", "frames"), [(300, 1), (400, 1), (401, 2), (560, 2), (561, 3), (16_000, 99)]
)
def test_there_is_a_frame_every_ten_milliseconds(samples, frames):
    assert cepstra(np.zeros(samples)).shape == (frames, 13)


def test_digital_silence_is_finite():
    assert np.isfinite(cepstra(np.zeros(1600))).all()


def test_noise_agrees_with_the_package():
    package = pytest.importorskip("python_speech_features", reason="the package is not installed")
    noise = np.rint(np.random.default_rng(0).normal(size=16_123) * 3000)
    np.testing.assert_allclose(cepstra(noise / 32768), package.mfcc(noise, 16_000), atol=1e-5)
