# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion from one frame rate to another, as a stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float

_COARSE = 4 / 3
"""Ratio of the rates above which values are smoothed first."""
_ASIDE = 0.25
"""Weight of each neighbour then: a triangle that is two steps of half the rate wide."""


class Resampler:
    """Frames at the model's rate in, frames at any other rate out, as a stream.

    Catmull and Rom's cubic through the two frames on each side: the curve passes through the
    frames, and equal rates give them back untouched. To much lower rates it passes through means
    of neighbouring frames: what moves faster than the rate can show would come out as jitter.

    Args:
        rate: frames per second that come in.
        fps: frames per second that go out.
        columns: size of a frame.
    """

    def __init__(self, rate: float, fps: float, columns: int) -> None:
        self._rate, self._fps = rate, fps
        self._aside = _ASIDE if rate / fps > _COARSE else 0.0
        self._held = np.zeros((0, columns), np.float32)
        self._first = 0
        self._made = 0

    def push(self, values: Float, upto: int, *, final: bool = False) -> Float:
        """The (n, C) values that arrived give the frames before ``upto`` that became final."""
        self._held = np.concatenate([self._held, values])
        known = self._first + len(self._held)
        # A frame needs values after it, but for the clip's end.
        stop = self._made
        while stop < upto and (final or self._needs(stop) < known):
            stop += 1
        times = np.arange(self._made, stop, dtype=np.float64) * self._rate / self._fps
        result = self._at(times)
        self._made = stop
        spare = min(int(stop * self._rate / self._fps) - 2 - self._first, len(self._held) - 5)
        if spare > 0:
            self._held = self._held[spare:].copy()
            self._first += spare
        return result

    def _needs(self, frame: int) -> int:
        """The last value that a frame depends on."""
        time = frame * self._rate / self._fps
        whole = int(time + 1e-9)
        last = whole if time - whole < 1e-9 else whole + 2
        return last + 1 if self._aside else last

    def _at(self, times: NDArray[np.float64]) -> Float:
        if not len(times):
            return self._held[:0]
        whole = np.floor(times + 1e-9).astype(np.int64)
        t = np.clip(times - whole, 0.0, 1.0)
        t[t < 1e-9] = 0.0
        before, here, after, beyond = (self._value(whole + k) for k in (-1, 0, 1, 2))
        u = t[:, None].astype(np.float32)
        cubic = (
            2.0 * here
            + (after - before) * u
            + (2.0 * before - 5.0 * here + 4.0 * after - beyond) * u**2
            + (3.0 * (here - after) + beyond - before) * u**3
        )
        return np.asarray(0.5 * cubic, np.float32)

    def _value(self, index: NDArray[np.int64]) -> Float:
        """The values that the curve passes through; the first and last repeat beyond the ends."""
        before, here, after = (
            self._held[np.clip(index - self._first + k, 0, len(self._held) - 1)] for k in (-1, 0, 1)
        )
        if not self._aside:
            return here
        return np.asarray((1.0 - 2.0 * self._aside) * here + self._aside * (before + after))
