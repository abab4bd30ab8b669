# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the mouth runs before or behind the sound."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfiltfilt

from engine.core.arrays import Double

RATE = 200.0
"""Hz at which sound and mouth are compared."""
REACH = 0.25
"""Seconds of lag looked at on both sides."""

_VOICE_BAND = (150.0, 1500.0)
_DYNAMIC_RANGE = 35.0
_SMOOTHING = 0.025
_LEAST_OVERLAP = 0.3


class Synchrony(NamedTuple):
    """Correlation of mouth opening with voiced energy at every lag.

    Attributes:
        lags: (L,) seconds; positive where the mouth is later than the sound.
        correlation: (L,) Pearson's r, −1 to 1; 0 where mouth or sound do not vary.
    """

    lags: Double
    correlation: Double

    @property
    def lag_ms(self) -> float | None:
        """Lag of the highest correlation, to a fraction of a frame; ``None`` without any.

        The peak is refined by the parabola through it and its neighbours.
        """
        best = int(self.correlation.argmax())
        if self.correlation[best] <= 0:
            return None
        shift = 0.0
        if 0 < best < len(self.lags) - 1:
            before, peak, after = self.correlation[best - 1 : best + 2]
            bend = before - 2 * peak + after
            shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
        return float((self.lags[best] + shift / RATE) * 1000.0)

    @property
    def strength(self) -> float:
        """The highest correlation."""
        return float(self.correlation.max())


def voiced_energy(samples: NDArray[np.floating[Any]], rate: int) -> Double:
    """Energy of the voice at :data:`RATE`: (M,) decibels above a floor, the first at 0 s.

    Band-passed to 150–1500 Hz, where vowels are strong and hiss is weak, squared, smoothed (a
    Gaussian of 25 ms, zero phase), in decibels above 35 dB under the clip's loudest moment: how
    open a mouth sounds follows the level, not the power. Digital silence gives zeros.
    """
    band = butter(2, _VOICE_BAND, "bandpass", fs=rate, output="sos")
    voice = np.asarray(samples, np.float64)
    if len(voice) > 64:
        voice = sosfiltfilt(band, voice)
    power = gaussian_filter1d(voice**2, _SMOOTHING * rate, mode="constant")
    moments = np.arange(int(len(voice) * RATE / rate)) / RATE
    sampled = np.interp(moments, np.arange(len(power)) / rate, power)
    level = 10.0 * np.log10(sampled + 1e-14)
    if not len(level) or level.max() <= -139:
        return np.zeros_like(level)
    above: Double = np.maximum(level - level.max() + _DYNAMIC_RANGE, 0.0)
    return above


def synchrony(energy: Double, opening: Double, fps: float) -> Synchrony:
    """Correlate voiced energy with mouth opening at lags of ±250 ms.

    Args:
        energy: (M,) as :func:`voiced_energy` gives it.
        opening: (T,) mouth opening; frame i is at i / fps seconds.
        fps: frames per second.
    """
    times = np.arange(len(energy)) / RATE
    frames = np.arange(len(opening)) / fps
    mouth = np.interp(times, frames, opening)
    mouth = gaussian_filter1d(mouth, _SMOOTHING * RATE, mode="nearest")
    steps = np.arange(-round(REACH * RATE), round(REACH * RATE) + 1)
    correlation = np.array([_at_lag(energy, mouth, int(step)) for step in steps])
    return Synchrony(steps / RATE, correlation)


def _at_lag(energy: Double, mouth: Double, step: int) -> float:
    """Pearson's r of the energy with the mouth ``step`` samples later."""
    n = len(energy) - abs(step)
    if n < _LEAST_OVERLAP * RATE:
        return 0.0
    sound = energy[max(-step, 0) :][:n]
    moved = mouth[max(step, 0) :][:n]
    sound, moved = sound - sound.mean(), moved - moved.mean()
    size = float(np.linalg.norm(sound) * np.linalg.norm(moved))
    return float(sound @ moved / size) if size > 1e-12 else 0.0
