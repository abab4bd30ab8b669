# SPDX-License-Identifier: GPL-3.0-or-later
"""Short-time features at 100 Hz: log-mel energies and loudness.

Frame i covers 25 ms centred on (i + 0.5) · 10 ms. Everything is computed in
blocks, so that an hour of speech costs the features' own memory and little more.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import fft

from engine.audio.level import LOG_FLOOR, band_level
from engine.audio.loading import SAMPLE_RATE, Speech
from engine.core.arrays import Float
from engine.core.progress import Progress, no_progress

FRAME_RATE = 100
"""Frames per second."""

MEL_BANDS = 40
MEL_RANGE = (80.0, 7600.0)
"""Hz between the outer edges of the first and the last mel band."""

HOP = SAMPLE_RATE // FRAME_RATE
"""Samples from one frame to the next."""
_WINDOW = 400
_FFT = 512
_BLOCK = 2_000


class Features(NamedTuple):
    """Features of N frames at 100 Hz.

    Attributes:
        mel: (N, 40) float32, natural log of mel-band power, at least log(1e-10).
        level: (N,) float32, power between 80 and 7600 Hz in dB.
    """

    mel: Float
    level: Float


def frame_total(speech: Speech) -> int:
    """N: feature frames of a clip, round(duration · 100), at least one."""
    return max(1, round(speech.duration * FRAME_RATE))


def features(samples: Float, frames: int, progress: Progress = no_progress) -> Features:
    """Features of ``frames`` frames of 16 kHz ``samples`` (n,)."""
    mel = np.empty((frames, MEL_BANDS), np.float32)
    level = np.empty(frames, np.float32)
    for first, count, window in _blocks(samples, frames, _WINDOW):
        progress(first / frames, "Measuring the sound")
        spectrum = fft.rfft(window * _hann(_WINDOW), _FFT, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2) @ _mel_filters()
        np.log(np.maximum(power, LOG_FLOOR), out=mel[first : first + count])
        level[first : first + count] = band_level(power)
    return Features(mel, level)


def _blocks(samples: Float, frames: int, width: int) -> Iterator[tuple[int, int, Float]]:
    """First frame, count and the (count, width) windows of each block."""
    for first in range(0, frames, _BLOCK):
        count = min(_BLOCK, frames - first)
        begin = first * HOP + (HOP - width) // 2
        end = begin + (count - 1) * HOP + width
        block = samples[max(begin, 0) : max(end, 0)]
        before = min(max(-begin, 0), end - begin)
        block = np.pad(block, (before, end - begin - before - len(block)))
        yield first, count, np.lib.stride_tricks.sliding_window_view(block, width)[::HOP]


@cache
def _hann(width: int) -> Float:
    return np.asarray(np.hanning(width + 1)[:-1], np.float32)


@cache
def _mel_filters() -> Float:
    """(257, 40) triangular filters on the mel scale of O'Shaughnessy, scaled to unit power."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in MEL_RANGE)
    edges = 700 * (10 ** (np.linspace(low, high, MEL_BANDS + 2) / 2595) - 1)
    bins = np.arange(_FFT // 2 + 1) * SAMPLE_RATE / _FFT
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    scale = 2 / (_FFT * np.square(_hann(_WINDOW)).sum())
    return np.asarray(np.clip(np.minimum(rising, falling), 0, None) * scale, np.float32)
