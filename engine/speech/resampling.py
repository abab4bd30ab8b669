# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion from one frame rate to another, as a stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


class Resampler:
    """Frames at the model's rate in, frames at any other rate out, as a stream.

    Catmull and Rom's cubic through the two frames on each side: the curve passes through the
    frames, and equal rates give them back untouched.

    Args:
        rate: frames per second that come in.
        fps: frames per second that go out.
        columns: size of a frame.
    """

    def __init__(self, rate: float, fps: float, columns: int) -> None:
        self._rate, self._fps = rate, fps
        self._held = np.zeros((0, columns), np.float32)
        self._first = 0
        self._made = 0

    def push(self, values: Float, upto: int, *, final: bool = False) -> Float:
        """The (n, C) values that arrived give the frames before ``upto`` that became final."""
        self._held = np.concatenate([self._held, values])
        known = self._first + len(self._held)
        # A moment needs two values after it, except on a value and at the clip's end.
        stop = self._made
        while stop < upto and (final or self._needs(stop) < known):
            stop += 1
        moments = np.arange(self._made, stop, dtype=np.float64) * self._rate / self._fps
        result = self._at(moments)
        self._made = stop
        spare = min(int(stop * self._rate / self._fps) - 1 - self._first, len(self._held) - 4)
        if spare > 0:
            self._held = self._held[spare:].copy()
            self._first += spare
        return result

    def _needs(self, frame: int) -> int:
        """The last value that a frame depends on."""
        moment = frame * self._rate / self._fps
        whole = int(moment + 1e-9)
        return whole if moment - whole < 1e-9 else whole + 2

    def _at(self, moments: NDArray[np.float64]) -> Float:
        if not len(moments):
            return self._held[:0]
        whole = np.floor(moments + 1e-9).astype(np.int64)
        t = np.clip(moments - whole, 0.0, 1.0)
        t[t < 1e-9] = 0.0
        before, here, after, beyond = (
            self._held[np.clip(whole - self._first + k, 0, len(self._held) - 1)]
            for k in (-1, 0, 1, 2)
        )
        u = t[:, None].astype(np.float32)
        cubic = (
            2.0 * here
            + (after - before) * u
            + (2.0 * before - 5.0 * here + 4.0 * after - beyond) * u**2
            + (3.0 * (here - after) + beyond - before) * u**3
        )
        return np.asarray(0.5 * cubic, np.float32)
