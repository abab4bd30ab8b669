# SPDX-License-Identifier: GPL-3.0-or-later
"""How loud a clip is over time, in decibels relative to full scale.

:func:`loudness` is the power of the waveform, :func:`band_level` that of a spectrum's bands, in
which rumble and hiss outside speech do not count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOUDNESS_RATE = 100.0
"""Values per second of the loudness curve."""

LOG_FLOOR = 1e-10
"""Power under which a band counts as empty: 100 dB under full scale."""

DYNAMICS = 45.0
"""Decibels between relative level 0 and 1."""

_SILENCE = 1e-12


def loudness(samples: NDArray[np.floating[Any]], rate: int) -> NDArray[np.float64]:
    """Mean power in steps of 10 ms.

    Args:
        samples: (N,) mono samples.
        rate: samples per second, a multiple of 100.

    Returns:
        (ceil(N · 100 / rate),) float64 decibels; digital silence is −120.
    """
    hop = round(rate / LOUDNESS_RATE)
    whole = len(samples) // hop
    blocks, rest = samples[: whole * hop].reshape(whole, hop), samples[whole * hop :]
    # einsum squares in double precision without a copy, which for an hour is half a gigabyte.
    energy = np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64)
    if len(rest):
        energy = np.append(energy, np.square(rest, dtype=np.float64).sum())
    level: NDArray[np.float64] = 10.0 * np.log10(energy / hop + _SILENCE)
    return level


def band_level(power: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """Level of (N, B) powers of bands: (N,) decibels, at least −100."""
    level: NDArray[Any] = 10.0 * np.log10(np.maximum(power.sum(axis=1), LOG_FLOOR))
    return level


def relative_level(
    level: NDArray[np.floating[Any]], loud: float | NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """Levels (N,) as parts of the range of speech: 1 at ``loud`` decibels, 0 at 45 below.

    ``loud`` is one level, or (N,) one for each frame.
    """
    return np.clip((level - (loud - DYNAMICS)) / DYNAMICS, 0.0, 1.0).astype(np.float32)
