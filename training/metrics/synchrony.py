# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the mouth runs before or behind the sound.

The sound's clock is the phones': the line through filmed people's mean openings at the middles of
the phones (:mod:`training.metrics.phone_means`). The level of the voice is no such clock. People
round their lips to 3 mm in loud vowels and hold them 9 mm apart in soft consonants, and their own
filmed openings peak 80 ms after the level, or nowhere near it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from engine.core.arrays import Double
from engine.phonemes import BILABIALS, SILENCE, Phone
from training.metrics.phone_means import OPENINGS

RATE = 200.0
"""Hz at which sound and mouth are compared."""
REACH = 0.25
"""Seconds of lag looked at on both sides."""

_RESTING = 0.6
"""Seconds of silence in which people's lips come to rest."""
_AT_REST = 0.6
"""Millimetres between their lips there."""
_EARLY = 0.019
"""Seconds before the middle of p, b and m at which people's lips are closest."""
_RELAXED, _PREPARED = 0.20, 0.30
"""Seconds after and before speech by which the mouth is at rest."""

_VOICE_BAND = (150.0, 1500.0)
_DYNAMIC_RANGE = 35.0
_SMOOTHING = 0.025
_LEAST_OVERLAP = 0.3


class Synchrony(NamedTuple):
    """Correlation of mouth opening with what the sounds ask for at every lag.

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
    Gaussian of 25 ms, zero phase), in decibels above 35 dB under the clip's loudest level: how
    open a mouth sounds follows the level, not the power. Digital silence gives zeros.
    """
    # Half a second of the processor, which only what measures it is to take.
    from scipy.signal import butter, sosfiltfilt

    band = butter(2, _VOICE_BAND, "bandpass", fs=rate, output="sos")
    voice = np.asarray(samples, np.float64)
    if len(voice) > 64:
        voice = sosfiltfilt(band, voice)
    power = gaussian_filter1d(voice**2, _SMOOTHING * rate, mode="constant")
    grid = np.arange(int(len(voice) * RATE / rate)) / RATE
    sampled = np.interp(grid, np.arange(len(power)) / rate, power)
    level = 10.0 * np.log10(sampled + 1e-14)
    if not len(level) or level.max() <= -139:
        return np.zeros_like(level)
    above: Double = np.maximum(level - level.max() + _DYNAMIC_RANGE, 0.0)
    return above


def expected_opening(phones: Sequence[Phone], duration: float) -> Double:
    """Filmed people's mean opening over time for known phones: (M,) mm at :data:`RATE`.

    A straight line through the means at the middles of the phones, of p, b and m 19 ms before;
    zeros without any phone that people were measured at. Long silences, and those at the clip's
    ends, rest.

    Args:
        phones: with times, in order.
        duration: seconds.
    """
    points: list[tuple[float, float]] = []
    for i, phone in enumerate(phones):
        first, last = i == 0, i == len(phones) - 1
        if phone.label == SILENCE and (first or last or phone.end - phone.start > _RESTING):
            half = (phone.end - phone.start) / 2
            start = phone.start + (0.0 if first else min(_RELAXED, half))
            points += [(start, _AT_REST), (phone.end - min(_PREPARED, half), _AT_REST)]
        elif phone.label in OPENINGS:
            early = _EARLY if phone.label in BILABIALS else 0.0
            points.append(((phone.start + phone.end) / 2 - early, OPENINGS[phone.label]))
    grid = np.arange(int(duration * RATE)) / RATE
    if not points:
        return np.zeros_like(grid)
    times, millimetres = np.array(points).T
    line: Double = np.interp(grid, times, millimetres)
    return line


def synchrony(expected: Double, opening: Double, fps: float) -> Synchrony:
    """Correlate what the sounds ask for with mouth opening at lags of ±250 ms.

    Args:
        expected: (M,) at :data:`RATE`, as :func:`expected_opening` gives it.
        opening: (T,) mouth opening; frame i is at i / fps seconds.
        fps: frames per second.
    """
    times = np.arange(len(expected)) / RATE
    frames = np.arange(len(opening)) / fps
    mouth = np.interp(times, frames, opening)
    mouth = gaussian_filter1d(mouth, _SMOOTHING * RATE, mode="nearest")
    steps = np.arange(-round(REACH * RATE), round(REACH * RATE) + 1)
    correlation = np.array([_at_lag(expected, mouth, int(step)) for step in steps])
    return Synchrony(steps / RATE, correlation)


def _at_lag(expected: Double, mouth: Double, step: int) -> float:
    """Pearson's r of the expected opening with the mouth ``step`` samples later."""
    n = len(expected) - abs(step)
    if n < _LEAST_OVERLAP * RATE:
        return 0.0
    sound = expected[max(-step, 0) :][:n]
    moved = mouth[max(step, 0) :][:n]
    sound, moved = sound - sound.mean(), moved - moved.mean()
    size = float(np.linalg.norm(sound) * np.linalg.norm(moved))
    return float(sound @ moved / size) if size > 1e-12 else 0.0
