# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves over time that are made of single movements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...core.arrays import Double
from ..lip_contact import smoothstep


class Movement(NamedTuple):
    """One movement from a pose to the next.

    Attributes:
        start: seconds at which it begins.
        duration: seconds that it takes, > 0.
        pose: C values at its end.
    """

    start: float
    duration: float
    pose: tuple[float, ...]


def path(movements: Sequence[Movement], frames: int, fps: float, axes: int) -> Double:
    """The curve that goes from pose to pose, beginning at zero and holding between movements.

    Each movement has minimum jerk (Flash and Hogan 1985), ``6x⁵ − 15x⁴ + 10x³``. One that begins
    before another has ended adds to it, so that the curve stays smooth.

    Args:
        movements: in the order of their start.
        frames: T.
        fps: frames per second; frame t stands at ``t / fps``.
        axes: C.

    Returns:
        (T, C) float64.
    """
    curve, jumps = np.zeros((frames, axes)), np.zeros((frames + 1, axes))
    before = np.zeros(axes)
    for start, duration, pose in movements:
        change = np.array(pose) - before
        before = np.array(pose)
        first = min(max(int(np.ceil(start * fps)), 0), frames)
        stop = min(max(int(np.ceil((start + duration) * fps)), 0), frames)
        part = (np.arange(first, stop) / fps - start) / duration
        curve[first:stop] += smoothstep(part)[:, None] * change
        jumps[stop] += change
    whole: Double = curve + np.cumsum(jumps[:frames], axis=0)
    return whole


def pulses(
    peaks: Sequence[float],
    amounts: Sequence[float],
    rise: float,
    fall: float,
    frames: int,
    fps: float,
    *,
    hold: float = 0.0,
) -> Double:
    """The sum of movements that leave zero, peak and return.

    Args:
        peaks: N seconds of the peaks.
        amounts: N heights.
        rise: seconds from zero to the peak.
        fall: seconds from the peak to zero.
        frames: T.
        fps: frames per second.
        hold: seconds before and after the peak for which it holds.

    Returns:
        (T,) float64.
    """
    curve = np.zeros(frames)
    for peak, amount in zip(peaks, amounts, strict=True):
        first = min(max(int(np.ceil((peak - hold - rise) * fps)), 0), frames)
        stop = min(max(int(np.ceil((peak + hold + fall) * fps)), 0), frames)
        time = np.arange(first, stop) / fps - peak
        before, after = np.minimum(time + hold, 0.0), np.maximum(time - hold, 0.0)
        curve[first:stop] += amount * smoothstep(1.0 + before / rise - after / fall)
    return curve
