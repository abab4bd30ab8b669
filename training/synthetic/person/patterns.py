# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns over space: smooth steps, and noise that is the same each time."""

from __future__ import annotations

import numpy as np

from engine.core.arrays import Double


def step(low: float, high: float, value: Double) -> Double:
    """Smooth step from 0 at ``low`` to 1 at ``high``; falling where ``high`` < ``low``."""
    t: Double = ((value - low) / (high - low)).clip(0, 1)
    return t * t * (3 - 2 * t)


def noise(points: Double, wavelength: float, seed: int) -> Double:
    """(N,) smooth value noise of about −1 to 1 with features of ``wavelength`` metres."""
    scaled = points / wavelength + 100
    cell = np.floor(scaled).astype(np.int64)
    part = scaled - cell
    part = part * part * (3 - 2 * part)
    total = np.zeros(len(points))
    for corner in np.ndindex(2, 2, 2):
        lattice = (cell + np.array(corner)).astype(np.uint64)
        bits = (
            lattice[:, 0] * np.uint64(0x9E3779B97F4A7C15)
            ^ lattice[:, 1] * np.uint64(0xC2B2AE3D27D4EB4F)
            ^ lattice[:, 2] * np.uint64(0x165667B19E3779F9)
        ) + np.uint64(seed)
        bits = (bits ^ (bits >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (bits >> np.uint64(40)).astype(np.float64) / 2**23 - 1
        weight = np.where(np.array(corner), part, 1 - part).prod(1)
        total += weight * value
    return total
