# SPDX-License-Identifier: GPL-3.0-or-later
"""Where sampled curves turn back. No bpy."""

from __future__ import annotations

import numpy as np

from ...engine.core.arrays import Double, Mask


def extremes(values: Double, prominence: Double) -> Mask:
    """(N, T) where (N, T) curves turn back by at least (N,) ``prominence``."""
    found = np.zeros(values.shape, bool)
    for row, (curve, least) in enumerate(zip(values, prominence, strict=True)):
        found[row, _turning_back(curve, float(least))] = True
    return found


def _turning_back(curve: Double, prominence: float) -> list[int]:
    """Where one curve turns back by at least ``prominence``: on flat ones at their first sample."""
    steps = np.diff(curve)
    moving = np.flatnonzero(steps)
    if not len(moving):
        return []
    turning = np.flatnonzero(np.diff(steps[moving] > 0.0))
    local = np.concatenate([moving[turning], moving[-1:]]) + 1
    found: list[int] = []
    high = low = 0
    top = bottom = float(curve[0])
    rising = falling = True
    for sample, value in zip(local.tolist(), curve[local].tolist(), strict=True):
        if rising and value > top:
            high, top = sample, value
        if falling and value < bottom:
            low, bottom = sample, value
        if rising and top - value > prominence:
            found.append(high)
            rising, falling, low, bottom = False, True, sample, value
        elif falling and value - bottom > prominence:
            found.append(low)
            rising, falling, high, top = True, False, sample, value
    return found
