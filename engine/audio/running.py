# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels of a recording from what is around: a part that is cut out has the same ones."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from engine.audio.features import HOP
from engine.core.arrays import Float, Mask

REACH = 300
"""Frames before and after a frame that its running level is taken from: three seconds."""

_BLOCK = 1 << 20
"""Samples worked on at a time."""

_STEP = 10
"""Frames from one percentile to the next; the level between them is interpolated."""
_SMOOTH = 50
"""Frames over which it is averaged."""
_FEWEST = 10
"""Frames that a percentile needs; where there are fewer, its neighbours' is taken."""


def running_percentile(level: Float, percent: float, counted: Mask | None = None) -> Float:
    """A percentile of the frames within :data:`REACH` of each frame.

    Args:
        level: (N,) decibels.
        percent: 0 to 100.
        counted: (N,) which frames count; all by default. Where none are within reach, the level
            of the nearest that has some is taken.

    Returns:
        (N,) float32 decibels, smooth; of all counted frames where there are few, of all frames
        where none are counted.
    """
    centres = np.arange(0, len(level), _STEP)
    places = np.arange(len(level)) if counted is None else np.flatnonzero(counted)
    if not len(places):
        places = np.arange(len(level))
    values = level[places]
    first = np.searchsorted(places, centres - REACH)
    stop = np.searchsorted(places, centres + REACH + 1)
    enough = stop - first >= min(_FEWEST, len(places))
    if not enough.any():
        # Few are counted, and far from each other.
        return np.full(len(level), np.percentile(values, percent), np.float32)
    spans = zip(first[enough], stop[enough], strict=True)
    found = [np.percentile(values[begin:end], percent) for begin, end in spans]
    between = np.interp(np.arange(len(level)), centres[enough], found)
    return np.asarray(uniform_filter1d(between, _SMOOTH, mode="nearest"), np.float32)


def with_gain(samples: Float, gain: Float, begin: int = 0, end: int | None = None) -> Float:
    """Sound times the gain of its frames.

    Args:
        samples: (n,) at 16 kHz.
        gain: (N,) factor at the centre of each frame of 10 ms, interpolated between them.
        begin: of the samples that are wanted; before the recording there is silence.
        end: of them, the recording's end by default; beyond it there is silence.

    Returns:
        (end − begin,) float32 within ±1.
    """
    end = len(samples) if end is None else end
    louder = np.zeros(end - begin, np.float32)
    for first in range(max(begin, 0), min(end, len(samples)), _BLOCK):
        last = min(first + _BLOCK, end, len(samples))
        times = (np.arange(first, last) + 0.5) / HOP - 0.5
        factor = np.interp(times, np.arange(len(gain)), gain)
        louder[first - begin : last - begin] = np.clip(samples[first:last] * factor, -1, 1)
    return louder
