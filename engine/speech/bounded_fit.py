# SPDX-License-Identifier: GPL-3.0-or-later
"""Least squares with values in 0 to 1, for all frames of a clip at once."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from engine.progress import Progress, silent

Double = NDArray[np.float64]

_BLOCK = 64
_RIDGE = 1e-6
_MAX_SWEEPS = 2000
_MAX_ROUNDS = 200
_SWEEPS_PER_ROUND = 8
_FRAMES_PER_CALL = 8192


def fit_bounded(
    gram: Double,
    targets: Double,
    precision: Double,
    *,
    start: Double | None = None,
    smoothing: float = 0.0,
    progress: Progress = silent,
) -> Double:
    """Minimise Σₜ ½xₜᵀGxₜ − cₜᵀxₜ + ½μ Σₜ Σᵢ Gᵢᵢ(xₜᵢ − xₜ₋₁ᵢ)² over 0 ≤ x ≤ 1.

    Coordinate descent: each step solves one value exactly with its bounds. Without smoothing the
    frames are independent and each starts where its predecessor ended; with it, even and odd frames
    take turns, so that their order does not matter and the result is the same for any number of
    threads. A ridge of 10⁻⁶ of each key's own size makes the answer unique where keys overlap.

    Args:
        gram: (E, E) G, products of the keys' offsets.
        targets: (T, E) c, products of the keys' offsets with each frame's.
        precision: (E,) the descent ends when no value of key i changes by more than this.
        start: (T, E) values to start from.
        smoothing: μ, no unit.
        progress: told how far it is.

    Returns:
        (T, E) values.
    """
    T, E = targets.shape
    gram = np.ascontiguousarray(gram, np.float64)
    own = gram.diagonal().copy()
    ridge = _RIDGE * own
    if start is None:
        values = np.zeros((T, E))
        for first in range(0, T, _FRAMES_PER_CALL):
            progress(first / T, "fitting the shape keys")
            piece = slice(first, first + _FRAMES_PER_CALL)
            _fit_frames(gram, targets[piece], ridge, precision, values[piece])
    else:
        values = start.copy()
    if smoothing > 0:
        slope = values @ gram - targets
        for done in range(_MAX_ROUNDS):
            progress(done / _MAX_ROUNDS, "smoothing the shape keys")
            pull = smoothing * own
            changed = max(
                _smooth_frames(gram, slope, ridge, pull, precision, values, parity)
                for parity in (0, 1)
            )
            if changed <= 1:
                break
    return values


@numba.njit(cache=True)
def _descend(gram, slope, ridge, pull, before, after, precision, sweeps, values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Descend one frame; returns the largest change of the last sweep over its precision."""
    E = len(values)
    largest = 0.0
    for _ in range(sweeps):
        largest = 0.0
        for i in range(E):
            curvature = gram[i, i] + ridge[i] + 2 * pull[i]
            if curvature <= 0:
                continue
            x = values[i]
            gradient = slope[i] + ridge[i] * x + pull[i] * (2 * x - before[i] - after[i])
            new = min(1.0, max(0.0, x - gradient / curvature))
            change = new - x
            if change != 0:
                values[i] = new
                for k in range(E):
                    slope[k] += gram[i, k] * change
                largest = max(largest, abs(change) / precision[i])
        if largest <= 1:
            break
    return largest


@numba.njit(parallel=True, cache=True)
def _fit_frames(gram, targets, ridge, precision, values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    T, E = values.shape
    none = np.zeros(E)
    for block in numba.prange((T + _BLOCK - 1) // _BLOCK):
        for t in range(block * _BLOCK, min(T, (block + 1) * _BLOCK)):
            slope = -targets[t]
            if t > block * _BLOCK:
                for i in range(E):
                    x = values[t - 1, i]
                    values[t, i] = x
                    if x != 0:
                        for k in range(E):
                            slope[k] += gram[i, k] * x
            _descend(gram, slope, ridge, none, none, none, precision, _MAX_SWEEPS, values[t])


@numba.njit(parallel=True, cache=True)
def _smooth_frames(gram, slope, ridge, pull, precision, values, parity):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    T = len(values)
    changed = np.zeros(T)
    for n in numba.prange((T - parity + 1) // 2):
        t = 2 * n + parity
        # At the ends the frame stands in for its missing neighbour: no pull from outside.
        before = values[t - 1] if t > 0 else values[t]
        after = values[t + 1] if t + 1 < T else values[t]
        changed[t] = _descend(
            gram, slope[t], ridge, pull, before, after, precision, _SWEEPS_PER_ROUND, values[t]
        )
    return changed.max()
