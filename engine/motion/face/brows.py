# SPDX-License-Identifier: GPL-3.0-or-later
"""Brows that rise with stressed words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.arrays import Double
from .movement import pulses
from .prosody import Accent

_APART = 1.3
"""Seconds between two raises: brows mark few of the stressed words (Cavé et al. 1996 find one with
about 70 % of the rises of the pitch, and most rises without)."""
_WITHIN = 0.6
"""Seconds within which the strongest of several stresses is the one that is marked."""
_RISE, _HOLD, _FALL = 0.18, 0.05, 0.32
_AHEAD = 0.04
"""Seconds by which the peak comes before the middle of the vowel (Flecha-García 2010: brows start
to rise 60 ms before the pitch does)."""


def brow_raises(accents: Sequence[Accent], frames: int, fps: float, seed: int) -> Double:
    """How far the brows are raised: (T,) float64, 0 to 1.

    Args:
        accents: stressed sounds.
        frames: T.
        fps: frames per second.
        seed: of how far each raise goes.
    """
    rng = np.random.default_rng([seed, 1])
    chosen: list[Accent] = []
    for accent in accents:
        if chosen and accent.time - chosen[-1].time < _APART:
            if accent.time - chosen[-1].time < _WITHIN and accent.strength > chosen[-1].strength:
                chosen[-1] = accent
            continue
        chosen.append(accent)
    amounts = [accent.strength * rng.uniform(0.6, 1.2) for accent in chosen]
    peaks = [accent.time - _AHEAD for accent in chosen]
    return np.clip(pulses(peaks, amounts, _RISE, _FALL, frames, fps, hold=_HOLD), 0.0, 1.0)
