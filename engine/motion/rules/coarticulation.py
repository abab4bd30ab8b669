# SPDX-License-Identifier: GPL-3.0-or-later
"""Coarticulation: how neighbouring sounds share the articulators over time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.arrays import Double  # noqa: TID252
from ..lip_contact import smoothstep  # noqa: TID252

_REACH = 4.5
"""Widths after which a dominance (below 2e-9) is left out."""
_REST_DOMINANCE = 0.02
"""Dominance of neutral, to which an articulator without a target returns."""
ROWS = 100_000
"""Pairs of sound and frame worked on at once; bounds the memory of a long clip."""


class TargetIntervals(NamedTuple):
    """Intervals with articulator targets.

    Attributes:
        start, end: (P,) seconds in which a target holds fully.
        target: (P, C) target of each articulator.
        dominance: (P, C); 0 leaves the articulator free.
        lead, lag: (P, C) seconds over which dominance builds up before and fades after.
    """

    start: Double
    end: Double
    target: Double
    dominance: Double
    lead: Double
    lag: Double


def blend_targets(intervals: TargetIntervals, frames: int, fps: float) -> Double:
    """Articulators at the frame times ``i / fps``.

    Cohen and Massaro (1993, eq. 2 to 4): each interval has a dominance that falls off
    with the distance τ from it, and an articulator takes the mean of all targets weighted by
    dominance. Their exponential has a kink at τ = 0; the falloff here is Gaussian,
    ``α·exp(−(τ/σ)²)`` with σ the lead before and the lag after the segment, so the curves have
    continuous first derivatives. Every sound reaches a bounded number of frames: O(T + P) time.

    Args:
        intervals: P intervals of C articulators.
        frames: T.
        fps: frames per second.

    Returns:
        (T, C) float64 within the hull of the targets and 0.
    """
    C = intervals.target.shape[1]
    weighted = np.zeros((frames, C))
    total = np.full((frames, C), _REST_DOMINANCE)
    for rows, frame in _pairs(intervals, frames, fps):
        first, last = int(frame.min()), int(frame.max()) + 1
        time = frame / fps
        before = np.maximum(intervals.start[rows] - time, 0.0)[:, None]
        after = np.maximum(time - intervals.end[rows], 0.0)[:, None]
        distance = before / intervals.lead[rows] + after / intervals.lag[rows]
        dominance = intervals.dominance[rows] * np.exp(-(distance**2))
        pull = dominance * intervals.target[rows]
        local = frame - first
        for c in range(C):
            size = last - first
            weighted[first:last, c] += np.bincount(local, pull[:, c], size)
            total[first:last, c] += np.bincount(local, dominance[:, c], size)
    blend: Double = weighted / total
    return blend


def _pairs(
    intervals: TargetIntervals, frames: int, fps: float
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Blocks of (segment, frame) pairs within each other's reach."""
    lead = _REACH * intervals.lead.max(axis=1)
    lag = _REACH * intervals.lag.max(axis=1)
    first = np.clip(np.ceil((intervals.start - lead) * fps), 0, frames).astype(np.intp)
    stop = np.clip(np.floor((intervals.end + lag) * fps) + 1, 0, frames).astype(np.intp)
    counts = np.maximum(stop - first, 0)
    begin, P = 0, len(counts)
    ends = np.cumsum(counts)
    while begin < P:
        done = ends[begin - 1] if begin else 0
        upto = max(int(np.searchsorted(ends, done + ROWS, side="right")), begin + 1)
        count = counts[begin:upto]
        if count.any():
            rows = np.repeat(np.arange(begin, upto), count)
            within = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
            yield rows, first[rows] + within
        begin = upto


class ContactIntervals(NamedTuple):
    """Intervals in which a contact is complete, with ramps on both sides.

    Attributes:
        start, end: (N,) seconds of the complete contact.
        rise, fall: (N,) seconds of the ramps before and after, > 0.
        amount: (N,) how completely, 0 to 1.
    """

    start: Double
    end: Double
    rise: Double
    fall: Double
    amount: Double


def envelope(intervals: ContactIntervals, frames: int, fps: float) -> Double:
    """The contacts at the frame times: (T,) float64, inside exactly the amount.

    Ramps are quintic smoothsteps (first and second derivative continuous). Overlapping contacts
    join as ``1 − Π(1 − hᵢ)``, which is as smooth as they are and merges neighbours into one.
    """
    open_ = np.ones(frames)
    slack = 1e-9
    for start, end, rise, fall, amount in zip(*intervals, strict=True):
        first = max(0, int(np.ceil((start - rise) * fps)))
        stop = min(frames, int(np.floor((end + fall) * fps)) + 1)
        if stop <= first:
            continue
        time = np.arange(first, stop) / fps
        up = smoothstep(1.0 - np.maximum(start - slack - time, 0.0) / rise)
        down = smoothstep(1.0 - np.maximum(time - end - slack, 0.0) / fall)
        open_[first:stop] *= 1.0 - amount * up * down
    return 1.0 - open_
