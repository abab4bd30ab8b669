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
    whole = len(samples) // hop
    blocks, rest = samples[: whole * hop].reshape(whole, hop), samples[whole * hop :]
    # einsum squares in double precision without a copy, which for an hour is half a gigabyte.
    energy = np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64)
    if len(rest):
        energy = np.append(energy, np.square(rest, dtype=np.float64).sum())
    level: NDArray[np.float64] = 10.0 * np.log10(energy / hop + _FLOOR)
    return level
