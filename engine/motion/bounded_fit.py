# SPDX-License-Identifier: GPL-3.0-or-later
"""Least squares with values in a range, for all frames of a clip at once."""

from __future__ import annotations

import numba
import numpy as np

from engine.core.arrays import Double
from engine.core.progress import Progress, no_progress

_BLOCK = 64
_RIDGE = 1e-6
_MAX_SWEEPS = 2000
_MAX_ROUNDS = 200
_SWEEPS_PER_ROUND = 8
_FRAMES_PER_CALL = 8192


def fit_bounded(
    gram: Double,
    targets: Double,
    bounds: Double,
    precision: Double,
    progress: Progress = no_progress,
) -> Double:
    """Minimise ½xᵀGx − cᵀx over low ≤ x ≤ high for each frame.

    Coordinate descent: each step solves one value exactly with its bounds, and each frame starts
    where its predecessor ended. A ridge of 10⁻⁶ of each key's own size makes the answer unique
    where keys overlap. The result does not depend on the number of threads.

    Args:
        gram: (E, E) G, products of the keys' offsets.
        targets: (T, E) c, products of the keys' offsets with each frame's.
        bounds: (2, E) low ≤ 0 and high ≥ 0.
        precision: (E,) a descent ends when no value of key i changes by more than this.
        progress: called with the fraction done; may raise to cancel.

    Returns:
        (T, E) values.
    """
    values = np.zeros(targets.shape)
    gram = np.ascontiguousarray(gram, np.float64)
    for first in range(0, len(targets), _FRAMES_PER_CALL):
        progress(first / len(targets), "fitting the shape keys")
        rows = slice(first, first + _FRAMES_PER_CALL)
        _fit_frames(gram, targets[rows], _ridge(gram), bounds, precision, values[rows])
    return values


def smooth_bounded(
    gram: Double,
    targets: Double,
    bounds: Double,
    precision: Double,
    values: Double,
    smoothing: float,
    progress: Progress = no_progress,
) -> Double:
    """Minimise Σₜ ½xₜᵀGxₜ − cₜᵀxₜ + ½μ Σₜ Σᵢ Gᵢᵢ(xₜᵢ − xₜ₋₁ᵢ)² over low ≤ x ≤ high.

    As :func:`fit_bounded`, even and odd frames taking turns, so that the order of the frames does
    not matter.

    Args:
        gram: (E, E) G.
        targets: (T, E) c.
        bounds: (2, E) low and high.
        precision: (E,) the descent ends when no value of key i changes by more than this.
        values: (T, E) to start from, best the answer of :func:`fit_bounded`.
        smoothing: μ, no unit.
        progress: called with the fraction done; may raise to cancel.

    Returns:
        (T, E) values.
    """
    values = values.copy()
    gram = np.ascontiguousarray(gram, np.float64)
    slope = values @ gram - targets
    pull = smoothing * gram.diagonal()
    for done in range(_MAX_ROUNDS):
        progress(done / _MAX_ROUNDS, "smoothing the shape keys")
        changed = max(
            _smooth_frames(gram, slope, _ridge(gram), pull, bounds, precision, values, parity)
            for parity in (0, 1)
        )
        if changed <= 1:
            break
    return values


def _ridge(gram: Double) -> Double:
    return _RIDGE * gram.diagonal()


@numba.njit(cache=True)
def _descend(gram, slope, ridge, pull, before, after, bounds, precision, sweeps, values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
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
            new = min(bounds[1, i], max(bounds[0, i], x - gradient / curvature))
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
def _fit_frames(gram, targets, ridge, bounds, precision, values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
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
            _descend(
                gram, slope, ridge, none, none, none, bounds, precision, _MAX_SWEEPS, values[t]
            )


@numba.njit(parallel=True, cache=True)
def _smooth_frames(gram, slope, ridge, pull, bounds, precision, values, parity):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    T = len(values)
    changed = np.zeros(T)
    for n in numba.prange((T - parity + 1) // 2):
        t = 2 * n + parity
        # At the ends the frame stands in for its missing neighbour: no pull from outside.
        before = values[t - 1] if t > 0 else values[t]
        after = values[t + 1] if t + 1 < T else values[t]
        changed[t] = _descend(
            gram,
            slope[t],
            ridge,
            pull,
            before,
            after,
            bounds,
            precision,
            _SWEEPS_PER_ROUND,
            values[t],
        )
    return changed.max()
