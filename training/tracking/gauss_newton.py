# SPDX-License-Identifier: GPL-3.0-or-later
"""Least squares of frames that share unknowns: Levenberg and Marquardt's method within bounds.

A Gauss-Newton system (:class:`FrameSystem`) has unknowns of each frame, which depend on those of
the next two frames, and a few that all frames share. Frames are eliminated first, by a banded
Cholesky factorisation, and the shared unknowns follow from the Schur complement, as in bundle
adjustment (Triggs et al. 2000). scipy's solvers know no such structure: L-BFGS-B converges too
slowly (docs/tracking.md), and its least squares factorise a dense Jacobian.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve_banded, cholesky_banded, solve

from engine.core.arrays import Double
from engine.core.progress import Progress

_DAMPING, _LESS, _MORE = 1e-3, 0.2, 8.0
_LEAST_DAMPING, _MOST_DAMPING = 1e-9, 1e6
_FLOOR = 1e-6
"""Added to the diagonal: an unknown that nothing depends on stays where it is."""
_SOLVES = 4
"""Of a step, each with what the one before moved beyond a bound held there."""
_ENOUGH = 1e-5
"""Part of the cost by which a step has to make it less, or it was the last one."""

State = TypeVar("State")


class FrameSystem:
    """Normal equations H·step = −gradient of T frames with N unknowns each, and S shared ones.

    Attributes:
        cost: at the point about which they are linear.
        gradient: (T, N) of the frames' unknowns.
        shared_gradient: (S,).
        border: (T, N, S) second derivatives of a frame's and a shared unknown.
        corner: (S, S) of the shared ones.
    """

    def __init__(self, frames: int, unknowns: int, shared: int) -> None:
        self.cost = 0.0
        self.gradient, self.shared_gradient = np.zeros((frames, unknowns)), np.zeros(shared)
        self.border, self.corner = np.zeros((frames, unknowns, shared)), np.zeros((shared, shared))
        self._means: Double = np.zeros((0, 2))
        # LAPACK's lower band: row d holds the entries d below the diagonal.
        self._band = np.zeros((min(frames, 3) * unknowns, frames * unknowns))

    def add(self, blocks: Double, apart: int = 0, first: int = 0) -> None:
        """Add second derivatives of a later frame's unknowns (rows) and an earlier one's.

        Args:
            blocks: (T − apart, R, R); symmetric where ``apart`` is 0.
            apart: frames between the two, at most 2.
            first: of the unknowns, of rows and columns alike.
        """
        frames, unknowns = self.gradient.shape
        band = self._band.reshape(len(self._band), frames, unknowns)
        i, j = first + np.indices(blocks.shape[1:])
        below = apart * unknowns + i - j
        lower = below >= 0
        # No entry of a block meets another one in the band.
        band[below[lower], : frames - apart, j[lower]] += np.moveaxis(blocks, 0, -1)[lower]

    def add_mean(self, unknown: int, weight: float) -> None:
        """Add ½·weight·mean², of an unknown of all frames; its gradient has to be added, too."""
        self._means = np.concatenate([self._means, [[unknown, weight]]])

    def step(
        self,
        low: Double,
        high: Double,
        shared_free: NDArray[np.bool_],
        damping: float,
    ) -> tuple[Double, Double]:
        """(T, N) and (S,) step of the unknowns that minimises the quadratic within bounds.

        Args:
            low: (T, N) of the step.
            high: (T, N) of it.
            shared_free: (S,) which of the shared unknowns may move.
            damping: part by which the diagonal is enlarged.
        """
        step, shared = np.zeros_like(self.gradient), np.zeros(len(self.shared_gradient))
        free = (low < 0) | (self.gradient < 0)
        free &= (high > 0) | (self.gradient > 0)
        for _ in range(_SOLVES):
            step, shared = self._solved(np.where(free, 0.0, step), free, shared_free, damping)
            beyond = free & ((step < low) | (step > high))
            step = np.clip(step, low, high)
            if not beyond.any():
                break
            free &= ~beyond
        return step, shared

    def _solved(
        self,
        given: Double,
        free: NDArray[np.bool_],
        shared_free: NDArray[np.bool_],
        damping: float,
    ) -> tuple[Double, Double]:
        """The step of what is free, beside a step that is given."""
        frames, unknowns = self.gradient.shape
        held, moved = ~free.ravel(), given.ravel()
        diagonal = self._band[0].copy()
        band = self._band.copy()
        band[0] = (1 + damping) * band[0] + _FLOOR
        pulled = self.gradient.ravel() + diagonal * moved
        for below in range(1, len(band)):
            pulled[below:] += band[below, :-below] * moved[:-below]
            pulled[:-below] += band[below, :-below] * moved[below:]
            band[below, :-below][held[below:]] = 0.0
        band[:, held] = 0.0
        band[0][held] = 1.0
        factor = cholesky_banded(band, lower=True, overwrite_ab=True, check_finite=False)

        # ½·w·mean² couples all frames: with m = w·mean as one more unknown it is a border, too.
        count, size = len(self._means), len(self.corner)
        means = np.zeros((frames, unknowns, count))
        means[:, self._means[:, 0].astype(int), np.arange(count)] = 1 / frames
        whole = np.concatenate([self.border * shared_free, means], axis=2).reshape(held.size, -1)
        border = whole * free.reshape(-1, 1)
        corner = np.zeros((size + count,) * 2)
        corner[:size, :size] = self.corner * np.outer(shared_free, shared_free)
        corner[:size, :size] += np.diag(np.where(shared_free, damping * np.diag(self.corner), 1.0))
        corner[size:, size:] = -np.diag(1 / self._means[:, 1])

        right = np.where(held, 0.0, -pulled)
        solved = cho_solve_banded((factor, True), np.c_[border, right], check_finite=False)
        through, alone = solved[:, :-1], solved[:, -1]
        wanted = -np.r_[self.shared_gradient * shared_free, np.zeros(count)] - moved @ whole
        shared = np.zeros(0)
        if len(corner):
            shared = solve(corner - border.T @ through, wanted - border.T @ alone, assume_a="sym")
            alone = alone - through @ shared
        step = np.where(held, moved, alone).reshape(frames, unknowns)
        return step, shared[:size]


class LeastSquares(Protocol[State]):
    """What can be minimised."""

    def cost(self, state: State) -> float:
        """At a point."""

    def system(self, state: State) -> FrameSystem:
        """About a point."""

    def limits(self, state: State) -> tuple[Double, Double, NDArray[np.bool_]]:
        """(T, N) least and largest step of the frames' unknowns, and (S,) which others may move."""

    def moved(self, state: State, step: Double, shared: Double) -> State:
        """A point after a step, within the bounds."""


def minimised(
    problem: LeastSquares[State],
    state: State,
    iterations: int,
    progress: Progress,
    message: str,
) -> State:
    """Where the cost is least.

    Args:
        problem: what is minimised.
        state: to begin with.
        iterations: at most.
        progress: called with the share done before each; may raise to cancel.
        message: for it.
    """
    damping = _DAMPING
    for number in range(iterations):
        progress(number / iterations, message)
        system = problem.system(state)
        limits = problem.limits(state)
        while True:
            trial = problem.moved(state, *system.step(*limits, damping))
            less = system.cost - problem.cost(trial)
            if less > 0:
                break
            damping *= _MORE
            if damping > _MOST_DAMPING:
                return state
        state, damping = trial, max(_LESS * damping, _LEAST_DAMPING)
        if less < _ENOUGH * system.cost:
            break
    return state
