# SPDX-License-Identifier: GPL-3.0-or-later
"""How loud a clip is from moment to moment."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOUDNESS_RATE = 100.0
"""Values per second of the loudness curve."""

_FLOOR = 1e-12


def loudness(samples: NDArray[np.floating[Any]], rate: int) -> NDArray[np.float64]:
    """Mean power in steps of 10 ms, in decibels relative to full scale.

    Args:
        samples: (N,) mono samples.
        rate: samples per second, a multiple of 100.

    Returns:
        (ceil(N · 100 / rate),) float64; digital silence is −120.
    """
    hop = round(rate / LOUDNESS_RATE)
    steps = -(-len(samples) // hop)
    power = np.zeros(steps * hop)
    power[: len(samples)] = np.square(samples, dtype=np.float64)
    level: NDArray[np.float64] = 10.0 * np.log10(power.reshape(steps, hop).mean(axis=1) + _FLOOR)
    return level
