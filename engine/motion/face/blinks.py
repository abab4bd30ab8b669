# SPDX-License-Identifier: GPL-3.0-or-later
"""Blinks: at irregular intervals, drawn to pauses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.arrays import Double
from ...phonemes import SILENCE, Phone
from .movement import pulses

_EVERY = 3.6
_SPREAD = 0.45
_FIRST = 0.7
_FALL, _SHUT, _RISE = 0.09, 0.03, 0.17
"""Seconds; lids fall about twice as fast as they rise (Evinger et al. 1991)."""
_PAUSE_DRAWS = 0.6
"""A blink moves to a pause no further away than this: speakers blink at phrase ends."""


def blink_times(phones: Sequence[Phone], duration: float, seed: int) -> list[float]:
    """Seconds at which the lids are shut.

    Args:
        phones: spoken sounds with times.
        duration: seconds.
        seed: the same phones and seed blink at the same times.
    """
    rng = np.random.default_rng(seed)
    pauses = np.array([p.start + 0.05 for p in phones if p.label == SILENCE and p.start > 0])
    times: list[float] = []
    time = _FIRST + rng.uniform(0.0, 1.0)
    while time < duration - (_RISE + _SHUT):
        middle = time
        if len(pauses):
            nearest = pauses[np.argmin(np.abs(pauses - time))]
            if abs(nearest - time) < _PAUSE_DRAWS and (
                not times or nearest - times[-1] > _PAUSE_DRAWS
            ):
                middle = float(nearest)
        times.append(middle)
        time = middle + max(1.0, float(rng.lognormal(np.log(_EVERY), _SPREAD)))
    return times


def lids(times: Sequence[float], frames: int, fps: float) -> Double:
    """How far blinks shut the lids: (T,) float64, 0 to 1, each shut for at least one frame.

    Args:
        times: of the blinks, seconds.
        frames: T.
        fps: frames per second.
    """
    half = max(_SHUT / 2, 0.5 / fps + 1e-6)
    shut = pulses(times, [1.0] * len(times), _FALL, _RISE, frames, fps, hold=half)
    return np.minimum(shut, 1.0)
