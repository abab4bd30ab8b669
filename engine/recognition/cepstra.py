# SPDX-License-Identifier: GPL-3.0-or-later
"""Cepstra as PocketSphinx's acoustic model takes them, less the mean of the speech around.

PocketSphinx computes the same from samples but subtracts the mean of the whole utterance, by which
what is recognised at one time depends on all others. Here a frame is compared with the nearest
seconds of speech, so that a part of a recording sounds to the model as it does in the whole.

Every 10 ms, 25.6 ms with a Hamming window: pre-emphasis 0.97, power in 25 triangles of the mel
scale from 130 to 6800 Hz with corners on the bins of the Fourier transform, noise removal,
logarithm, orthonormal cosine transform, lifter of 22 (the model's ``feat.params``). The noise
removal is that of Kim and Stern (2012, "Power-normalized cepstral coefficients"), with the
library's constants: the lower envelope of each band's power is subtracted, and what follows a peak
is masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy import fft

from engine.audio.loading import SAMPLE_RATE
from engine.core.arrays import Double, Float

CEPSTRA = 13
MEAN_REACH = 300
"""Frames of speech before and after a frame over which the mean is taken: three seconds."""

_HOP, _WINDOW, _FFT = 160, 410, 512
_BANDS, _LOWEST, _HIGHEST = 25, 130.0, 6800.0
_EMPHASIS = 0.97
_LIFTER = 22
_FULL_SCALE = 32767.0
"""The model knows samples of 16 bits."""
_FLOOR = 1e-4
BLOCK = 2_000

ADVANCE = 60
"""Samples by which the model places phones early, from synthetic speech of known times."""

_SMOOTHING = 0.7
_RISE, _FALL = 0.995, 0.5
_MASKED, _MASK = 0.85, 0.2
_MOST = 20.0
_NEIGHBOURS = 4


def cepstra(samples: Float, gain: Float) -> Float:
    """Cepstra of a recording, their mean not yet subtracted.

    Args:
        samples: (n,) at 16 kHz.
        gain: (N,) factor for each frame of 10 ms that brings speech to an ordinary level.

    Returns:
        (N, 13) float32.
    """
    found = np.empty((len(gain), CEPSTRA), np.float32)
    noise: _NoiseRemoval | None = None
    for first in range(0, len(gain), BLOCK):
        count = min(BLOCK, len(gain) - first)
        power = _band_power(samples, first, count)
        power *= np.square(_FULL_SCALE * gain[first : first + count].astype(np.float64))[:, None]
        noise = noise or _NoiseRemoval(power[0])
        log = np.log(noise.removed(power) + _FLOOR)
        found[first : first + count] = log @ _transform()
    return found


def subtract_mean(cepstra: Float, spoken: Sequence[tuple[int, int]]) -> Float:
    """Each frame less the mean of the :data:`MEAN_REACH` frames of speech before and after it.

    Args:
        cepstra: (N, 13).
        spoken: frames [start, stop) of speech, in order; all frames where there are none.
    """
    frames = np.concatenate([np.arange(*region) for region in spoken or [(0, len(cepstra))]])
    sums = np.cumsum(cepstra[frames], axis=0, dtype=np.float64)
    sums = np.concatenate([np.zeros((1, CEPSTRA)), sums])
    here = np.searchsorted(frames, np.arange(len(cepstra)))
    first, last = np.maximum(here - MEAN_REACH, 0), np.minimum(here + MEAN_REACH, len(frames))
    mean = (sums[last] - sums[first]) / (last - first)[:, None]
    return np.asarray(cepstra - mean, np.float32)


def _band_power(samples: Float, first: int, count: int) -> Double:
    """Power of ``count`` frames from frame ``first`` on: (count, 25)."""
    begin = first * _HOP - ADVANCE - 1
    end = begin + 1 + (count - 1) * _HOP + _WINDOW
    sound = samples[max(begin, 0) : max(end, 0)].astype(np.float64)
    before = min(max(-begin, 0), end - begin)
    sound = np.pad(sound, (before, end - begin - before - len(sound)))
    emphasised = sound[1:] - _EMPHASIS * sound[:-1]
    window = np.lib.stride_tricks.sliding_window_view(emphasised, _WINDOW)[::_HOP]
    spectrum = fft.rfft(window * np.hamming(_WINDOW), _FFT, axis=1)
    power: Double = (spectrum.real**2 + spectrum.imag**2) @ _filters()
    return power


class _NoiseRemoval:
    """What is remembered of the frames before, band by band.

    Args:
        power: (25,) of the first frame.
    """

    def __init__(self, power: Double) -> None:
        self._power = power
        self._noise = power / _MOST
        self._floor = power / _MOST
        self._peak = np.zeros_like(power)

    def removed(self, power: Double) -> Double:
        """The (T, 25) powers of the next frames without the noise."""
        weights = np.array([self._weight(frame) for frame in power])
        sums = np.cumsum(np.pad(weights, ((0, 0), (1, 0))), axis=1)
        low = np.maximum(np.arange(_BANDS) - _NEIGHBOURS, 0)
        high = np.minimum(np.arange(_BANDS) + _NEIGHBOURS + 1, _BANDS)
        smooth: Double = power * (sums[:, high] - sums[:, low]) / (high - low)
        return smooth

    def _weight(self, frame: Double) -> Double:
        """(25,) the part of each band that is no noise, 1/20 to 20."""
        self._power = _SMOOTHING * self._power + (1 - _SMOOTHING) * frame
        self._noise = _lower_envelope(self._noise, self._power)
        signal = np.maximum(self._power - self._noise, 1.0)
        self._floor = _lower_envelope(self._floor, signal)
        self._peak *= _MASKED
        masked = np.where(signal < _MASKED * self._peak, _MASK * self._peak, signal)
        self._peak = np.maximum(self._peak, signal)
        left = np.maximum(masked, self._floor)
        part = left / np.maximum(self._power, left / _MOST)
        return np.asarray(np.clip(part, 1 / _MOST, _MOST), np.float64)


def _lower_envelope(envelope: Double, value: Double) -> Double:
    """The envelope after another value: it rises slowly and falls quickly."""
    slow = np.where(value >= envelope, _RISE, _FALL)
    return np.asarray(slow * envelope + (1 - slow) * value, np.float64)


@cache
def _filters() -> Double:
    """(257, 25) triangles of unit area."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (_LOWEST, _HIGHEST))
    edges = 700 * (10 ** (np.linspace(low, high, _BANDS + 2) / 2595) - 1)
    step = SAMPLE_RATE / _FFT
    edges = np.floor(edges / step + 0.5) * step
    bins = np.arange(_FFT // 2 + 1) * step
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    area = (edges[2:] - edges[:-2]) / 2
    return np.asarray(np.clip(np.minimum(rising, falling), 0, None) / area, np.float64)


@cache
def _transform() -> Double:
    """(25, 13) cosine transform and lifter."""
    order = np.arange(CEPSTRA)
    cosine = np.cos(order * np.pi / _BANDS * (np.arange(_BANDS)[:, None] + 0.5))
    cosine *= np.where(order == 0, np.sqrt(1 / _BANDS), np.sqrt(2 / _BANDS))
    return np.asarray(cosine * (1 + _LIFTER / 2 * np.sin(order * np.pi / _LIFTER)), np.float64)
