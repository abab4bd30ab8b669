# SPDX-License-Identifier: GPL-3.0-or-later
"""Mel-frequency cepstra as SyncNet was trained on them: the definition of python_speech_features.

Windows of 25 ms every 10 ms without taper, pre-emphasis, 26 mel bands to 8 kHz over a spectrum of
512 points, 13 cosine coefficients, sine lifter, and log energy in place of the first coefficient.
Davis and Mermelstein 1980; the details are that package's defaults, for weights depend on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from engine.audio.loading import SAMPLE_RATE

RATE = 100
"""Cepstra per second."""
COEFFICIENTS = 13

_WINDOW, _STEP, _POINTS, _BANDS = 400, 160, 512, 26
_PRE_EMPHASIS, _LIFTER = 0.97, 22
_FULL_SCALE = 32768.0
"""Samples were 16-bit integers."""


def cepstra(samples: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """(N, 13) cepstra of a clip.

    Args:
        samples: (n,) at 16 kHz, −1 to 1.
    """
    signal = np.rint(np.asarray(samples, np.float64) * _FULL_SCALE)
    signal = np.append(signal[:1], signal[1:] - _PRE_EMPHASIS * signal[:-1])
    count = 1 + max(0, -(-(len(signal) - _WINDOW) // _STEP))
    signal = np.pad(signal, (0, max(0, (count - 1) * _STEP + _WINDOW - len(signal))))
    frames = np.lib.stride_tricks.sliding_window_view(signal, _WINDOW)[::_STEP][:count]
    power = np.abs(np.fft.rfft(frames, _POINTS)) ** 2 / _POINTS
    bands = np.log(_positive(power @ _filters().T))
    cosines = dct(bands, type=2, axis=1, norm="ortho")[:, :COEFFICIENTS]
    order = np.arange(COEFFICIENTS)
    cosines *= 1.0 + _LIFTER / 2 * np.sin(np.pi * order / _LIFTER)
    cosines[:, 0] = np.log(_positive(power.sum(axis=1)))
    return np.asarray(cosines, np.float32)


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values == 0, np.finfo(np.float64).eps, values)


def _filters() -> NDArray[np.float64]:
    """(26, 257) triangles of equal width on the mel scale, their corners on whole bins."""
    highest = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    mel = np.linspace(0, highest, _BANDS + 2)
    corners = np.floor((_POINTS + 1) * 700 * (10 ** (mel / 2595) - 1) / SAMPLE_RATE)
    bins = np.arange(_POINTS // 2 + 1)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = (bins - low) / np.maximum(middle - low, 1)
    falling = (high - bins) / np.maximum(high - middle, 1)
    filters: NDArray[np.float64] = np.where(
        (bins >= low) & (bins < middle),
        rising,
        np.where((bins >= middle) & (bins < high), falling, 0.0),
    )
    return filters
