# SPDX-License-Identifier: GPL-3.0-or-later
"""Short-time features at 100 Hz: log-mel energies, loudness and voicing.

Frame i covers 25 ms (voicing: 40 ms) centred on (i + 0.5) · 10 ms. Everything is computed in
blocks, so that an hour of speech costs the features' own memory and little more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from engine.audio.level import LOG_FLOOR, band_level
from engine.audio.loading import SAMPLE_RATE, Speech
from engine.core.progress import Progress, no_progress

Float = NDArray[np.float32]

FRAME_RATE = 100
"""Frames per second."""

MEL_BANDS = 40
MEL_RANGE = (80.0, 7600.0)
"""Hz between the outer edges of the first and the last mel band."""

_HOP = SAMPLE_RATE // FRAME_RATE
_WINDOW = 400
_FFT = 512
_VOICING_WINDOW = 640
_PITCH_RANGE = (70.0, 400.0)
_BLOCK = 2_000


@dataclass(frozen=True, eq=False)
class Features:
    """Features of N frames at 100 Hz.

    Attributes:
        mel: (N, 40) float32, natural log of mel-band power, at least log(1e-10).
        level: (N,) float32, power between 80 and 7600 Hz in dB.
        voicing: (N,) float32 in [0, 1], the height of the autocorrelation's peak at a pitch lag.
    """

    mel: Float
    level: Float
    voicing: Float


def frame_total(speech: Speech) -> int:
    """N: feature frames of a clip, round(duration · 100), at least one."""
    return max(1, round(speech.duration * FRAME_RATE))


def features(samples: Float, frames: int, progress: Progress = no_progress) -> Features:
    """Features of ``frames`` frames of 16 kHz ``samples`` (n,)."""
    mel, level = mel_and_level(samples, frames, progress)
    voicing = np.empty(frames, np.float32)
    band = signal.butter(2, (100.0, 1500.0), "bandpass", fs=SAMPLE_RATE, output="sos")
    for first, count, window in _blocks(samples, frames, _VOICING_WINDOW):
        progress(0.5 + 0.5 * first / frames, "Measuring the sound")
        voicing[first : first + count] = _pitch_peak(
            signal.sosfilt(band, window, axis=1).astype(np.float32)
        )
    return Features(mel, level, voicing)


def mel_and_level(
    samples: Float, frames: int, progress: Progress = no_progress
) -> tuple[Float, Float]:
    """The first two of :func:`features`: (N, 40) and (N,)."""
    mel = np.empty((frames, MEL_BANDS), np.float32)
    level = np.empty(frames, np.float32)
    for first, count, window in _blocks(samples, frames, _WINDOW):
        progress(0.5 * first / frames, "Measuring the sound")
        spectrum = fft.rfft(window * _hann(_WINDOW), _FFT, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2) @ _mel_filters()
        np.log(np.maximum(power, LOG_FLOOR), out=mel[first : first + count])
        level[first : first + count] = band_level(power)
    return mel, level


def _blocks(samples: Float, frames: int, width: int) -> Iterator[tuple[int, int, Float]]:
    """First frame, count and the (count, width) windows of each block."""
    for first in range(0, frames, _BLOCK):
        count = min(_BLOCK, frames - first)
        begin = first * _HOP + (_HOP - width) // 2
        end = begin + (count - 1) * _HOP + width
        block = samples[max(begin, 0) : max(end, 0)]
        before = min(max(-begin, 0), end - begin)
        block = np.pad(block, (before, end - begin - before - len(block)))
        yield first, count, np.lib.stride_tricks.sliding_window_view(block, width)[::_HOP]


def _pitch_peak(window: Float) -> Float:
    """Height of the highest true peak of the normalised autocorrelation at a pitch lag: (n,)."""
    width = window.shape[1]
    taper = _hann(width)
    spectrum = fft.rfft(window * taper, 2 * width, axis=1)
    correlation = fft.irfft(spectrum.real**2 + spectrum.imag**2, axis=1)
    # Dividing by the taper's own autocorrelation makes a periodic signal peak at 1 (Boersma 1993).
    shape = fft.irfft(np.abs(fft.rfft(taper, 2 * width)) ** 2)
    shortest, longest = (int(SAMPLE_RATE / pitch) for pitch in reversed(_PITCH_RANGE))
    lags = slice(shortest - 1, longest + 2)
    power = correlation[:, :1] + 1e-8
    normal = correlation[:, lags] / power / (shape[lags] / shape[0])
    inner = normal[:, 1:-1]
    peak = (inner >= normal[:, :-2]) & (inner >= normal[:, 2:])
    return np.asarray(np.clip(np.where(peak, inner, 0.0).max(axis=1), 0.0, 1.0), np.float32)


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
