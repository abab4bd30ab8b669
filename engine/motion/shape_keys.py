# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance as shape-key values: the head's own keys, and correctives for what they cannot do.

The head's expressions E carry a bounded least-squares fit; principal components of what is left
become corrective keys, as many as the tolerance asks for. All of it works on the K weights of a
performance through Gram matrices of its basis and the head's: no array here has the size of the
dense offsets T·3V. Errors are measured on dense frames in bounded chunks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress, subprogress
from engine.heads.flame_model import COEFFICIENT, COEFFICIENT_RANGE
from engine.heads.head import Head
from engine.motion.bounded_fit import fit_bounded, smooth_bounded
from engine.motion.performance import Performance

_CHUNK = 128
# Below this share of the largest, an eigenvalue of a Gram matrix in float64 is rounding noise.
_NOISE = 1e-13
_NOTHING = 1e-9  # metres
SHARING_ROUNDS = 10
_KEPT_SHARE = 0.15


@dataclass(frozen=True, eq=False)
class ShapeKeyFit:
    """Shape-key values that reproduce a performance.

    Attributes:
        key_names: N names: the head's E expressions, then ``corrective_00`` ….
        key_values: (T, N) float32; expressions within :func:`key_bounds`, which is 0 to 1 but for
            FLAME's components, correctives in −1 to 1 (their sliders need that range).
        corrective_deltas: (N − E, V, 3) float32 offsets of the correctives at value 1, metres.
        max_error_mm: largest distance of any vertex in any frame from the performance, measured
            (to the rounding of float32, under a ten-thousandth of a millimetre).
    """

    key_names: tuple[str, ...]
    key_values: Float
    corrective_deltas: Float
    max_error_mm: float


def fit_shape_keys(
    performance: Performance,
    head: Head,
    *,
    tolerance_mm: float = 0.1,
    max_correctives: int = 64,
    smoothness: float = 0.002,
    progress: Progress = no_progress,
) -> ShapeKeyFit:
    """Fit a head's shape keys, and correctives where they are needed, to a performance.

    When the performance is made of the head's own expressions with weights in their range, as that
    of the rules is, its weights are the values and nothing is lost. Else the values are the bounded
    least-squares fit; only when that misses the tolerance are they smoothed, the correctives then
    taking over what smoothing leaves.

    Args:
        performance: of ``head``.
        head: whose expressions are the keys.
        tolerance_mm: largest vertex error wanted, millimetres.
        max_correctives: upper bound of the corrective keys; the error is then what it is.
        smoothness: seconds; time constant of the smoothing of the keys' values. A motion of f Hz
            that the keys determine well loses the share (2π·f·smoothness)² to the correctives
            (1.6 % at 10 Hz for 2 ms); jitter in directions they determine badly is removed.
        progress: called with the fraction done; may raise to cancel.

    Raises:
        BadInputError: the performance belongs to another head, or an argument is out of range.
    """
    _check(performance, head, tolerance_mm, max_correctives, smoothness)
    if _is_made_of(performance, head):
        return ShapeKeyFit(
            head.expression_names,
            performance.weights.astype(np.float32),
            np.zeros((0, head.vertex_count, 3), np.float32),
            0.0,
        )
    problem = _Problem.of(performance, head)
    tolerance = 1e-3 * tolerance_mm
    # Values this fine move no vertex by more than a hundredth of the tolerance.
    precision = 1e-2 * tolerance / problem.reach
    values = fit_bounded(
        problem.gram, problem.targets, problem.bounds, precision, subprogress(progress, 0.0, 0.2)
    )
    residual = _Residual.of(problem, values)
    if residual.max_error(0, limit=tolerance, progress=subprogress(progress, 0.2, 0.3)) > tolerance:
        smoothing = (smoothness * performance.fps) ** 2
        if smoothing:
            values = smooth_bounded(
                problem.gram,
                problem.targets,
                problem.bounds,
                precision,
                values,
                smoothing,
                subprogress(progress, 0.3, 0.5),
            )
            residual = _Residual.of(problem, values)
        if len(residual.components) > max_correctives:
            values, residual = _share_with_correctives(
                problem,
                values,
                residual,
                precision,
                tolerance,
                max_correctives,
                smoothing,
                subprogress(progress, 0.5, 0.7),
            )
    count = residual.count_for(tolerance, max_correctives, subprogress(progress, 0.7, 0.9))
    scores, deltas = residual.correctives(count)
    error = residual.max_error(count, progress=subprogress(progress, 0.9, 1.0))
    progress(1.0, "shape keys are fitted")
    return ShapeKeyFit(
        (*head.expression_names, *(f"corrective_{index:02d}" for index in range(count))),
        np.concatenate([values.astype(np.float32), scores], axis=1),
        deltas,
        1e3 * error,
    )


def _share_with_correctives(
    problem: _Problem,
    values: Double,
    residual: _Residual,
    precision: Double,
    tolerance: float,
    most: int,
    smoothing: float,
    progress: Progress,
) -> tuple[Double, _Residual]:
    """Fit the keys anew to what the correctives leave, until the error is within the tolerance.

    The bounds of the keys spread what is left over more components than there are correctives for.
    Motion along the strongest components costs nothing, they will be correctives, so the keys turn
    to the rest; a share of the full cost, less each time, keeps them close to the plain fit.
    """
    error = residual.max_error(most, progress=subprogress(progress, 0.0, 0.1))
    latest = residual
    for turn in range(1, SHARING_ROUNDS + 1):
        if error <= tolerance:
            break
        step = subprogress(
            progress, 0.1 + 0.9 * (turn - 1) / SHARING_ROUNDS, 0.1 + 0.9 * turn / SHARING_ROUNDS
        )
        gram, targets = problem.without(latest.mixture[:most], _KEPT_SHARE**turn)
        found = fit_bounded(gram, targets, problem.bounds, precision, subprogress(step, 0.0, 0.4))
        if smoothing:
            found = smooth_bounded(
                gram,
                targets,
                problem.bounds,
                precision,
                found,
                smoothing,
                subprogress(step, 0.4, 0.8),
            )
        latest = _Residual.of(problem, found)
        reached = latest.max_error(most, progress=subprogress(step, 0.8, 1.0))
        if reached < error:
            values, residual, error = found, latest, reached
    return values, residual


def _check(
    performance: Performance,
    head: Head,
    tolerance_mm: float,
    max_correctives: int,
    smoothness: float,
) -> None:
    if performance.vertex_count != head.vertex_count:
        raise BadInputError(
            f"The performance has {performance.vertex_count} vertices, the head {head.id!r} has "
            f"{head.vertex_count}.",
            "Choose the head it was made for, or retarget it.",
        )
    if not (math.isfinite(tolerance_mm) and tolerance_mm > 0):
        raise BadInputError(
            f"A tolerance of {tolerance_mm:g} mm cannot be met.", "Give one above 0, such as 0.1."
        )
    if max_correctives < 0 or not (math.isfinite(smoothness) and smoothness >= 0):
        raise BadInputError(
            f"{max_correctives} correctives with a smoothness of {smoothness:g} s make no sense.",
            "Both are 0 or more.",
        )


def key_bounds(head: Head) -> Double:
    """(2, E) lowest and highest value of a head's keys.

    Expressions are made for 0 to 1; FLAME's principal components (``expr_000`` …) go both ways.
    """
    coefficient = np.array([name.startswith(COEFFICIENT) for name in head.expression_names], bool)
    low = np.where(coefficient, -COEFFICIENT_RANGE, 0.0)
    return np.stack([low, np.where(coefficient, COEFFICIENT_RANGE, 1.0)])


def _is_made_of(performance: Performance, head: Head) -> bool:
    if performance.basis.shape != head.expression_basis.shape:
        return False
    low, high = key_bounds(head)
    within = (performance.weights >= low) & (performance.weights <= high)
    return bool(within.all()) and np.array_equal(performance.basis, head.expression_basis)


@dataclass(frozen=True, eq=False)
class _Problem:
    """min ‖Σ xᵢ·Dᵢ − Σ wₖ·Bₖ‖² per frame, in Gram matrices.

    Attributes:
        weights: (T, K) of the performance.
        stacked: (K + E, 3V) float32: the performance's basis B above the head's expressions D.
        products: (K + E, K + E) Gram matrix of ``stacked``.
        gram: (E, E) D·Dᵀ.
        targets: (T, E) W·B·Dᵀ.
        bounds: (2, E) lowest and highest values.
        reach: (E,) metres, the farthest that a vertex goes at value 1.
    """

    weights: Float
    stacked: Float
    products: Double
    gram: Double
    targets: Double
    bounds: Double
    reach: Double

    @classmethod
    def of(cls, performance: Performance, head: Head) -> _Problem:
        K = len(performance.basis)
        stacked = np.concatenate([performance.basis, head.expression_basis]).astype(np.float32)
        flat = stacked.reshape(len(stacked), -1)
        products = _gram(flat)
        reach = np.linalg.norm(stacked[K:], axis=2).max(axis=1, initial=0.0)
        return cls(
            weights=performance.weights,
            stacked=flat,
            products=products,
            gram=products[K:, K:],
            targets=performance.weights.astype(np.float64) @ products[:K, K:],
            bounds=key_bounds(head),
            reach=np.maximum(reach.astype(np.float64), 1e-9),
        )

    def without(self, mixture: Double, kept: float) -> tuple[Double, Double]:
        """``gram`` and ``targets`` for offsets with the span of some components taken out.

        Args:
            mixture: (C, K + E) rows L such that L·``stacked`` has orthonormal rows.
            kept: share of the full cost that remains.
        """
        K = self.weights.shape[1]
        along = self.products @ mixture.T
        gram = (1 + kept) * self.gram - along[K:] @ along[K:].T
        crossed = (1 + kept) * self.products[:K, K:] - along[:K] @ along[K:].T
        return gram, self.weights.astype(np.float64) @ crossed


def _gram(rows: Float) -> Double:
    """Gram matrix in float64, a slice of the columns at a time."""
    products = np.zeros((len(rows), len(rows)))
    for start in range(0, rows.shape[1], 4096):
        columns = rows[:, start : start + 4096].astype(np.float64)
        products += columns @ columns.T
    return products


@dataclass(frozen=True, eq=False)
class _Residual:
    """W·B − X·D as scores times orthonormal components, the strongest first.

    Attributes:
        scores: (T, R) float64, metres.
        components: (R, 3V) float32, orthonormal rows.
        mixture: (R, K + E) ``components`` in terms of the problem's ``stacked`` rows.
    """

    scores: Double
    components: Float
    mixture: Double

    @classmethod
    def of(cls, problem: _Problem, values: Double) -> _Residual:
        """Principal components of A·M with A = [W, −X] and M = [B; D], through M·Mᵀ and AᵀA.

        With M·Mᵀ = U·Λ·Uᵀ the rows of Λ^(−½)·Uᵀ·M are orthonormal and A·M = (A·U·Λ^½)·(those);
        the components are then the eigenvectors of the small matrix (A·U·Λ^½)ᵀ(A·U·Λ^½). Nothing
        is centred: a constant offset is a part of the performance.
        """
        size, frame = np.linalg.eigh(problem.products)
        kept = size > _NOISE * max(float(size[-1]), 1e-300)
        size, frame = np.sqrt(size[kept]), frame[:, kept]
        K = problem.weights.shape[1]
        scores = problem.weights.astype(np.float64) @ (frame[:K] * size)
        scores -= values @ (frame[K:] * size)
        energy, turn = np.linalg.eigh(scores.T @ scores)
        strongest = np.argsort(energy)[::-1]
        strongest = strongest[energy[strongest] > len(scores) * _NOTHING**2]
        turn = turn[:, strongest]
        mixture = ((frame / size) @ turn).T
        components = mixture @ problem.stacked.astype(np.float64)
        return cls(scores @ turn, components.astype(np.float32), mixture)

    def max_error(
        self, count: int, *, limit: float = math.inf, progress: Progress = no_progress
    ) -> float:
        """Largest vertex distance, metres, that remains after the first ``count`` components.

        A vertex moves at most ‖scores‖·‖its components‖, so frames are looked at in falling order
        of that bound until no further one can be worse: the result is exact, and most frames are
        never unfolded. Ends early with a value above ``limit`` once there is one.
        """
        rest = self.components[count:]
        size = np.linalg.norm(self.scores[:, count:], axis=1)
        per_vertex = np.square(rest, dtype=np.float64).sum(0).reshape(-1, 3).sum(1)
        bound = size * math.sqrt(float(per_vertex.max(initial=0.0)))
        order = np.argsort(-bound, kind="stable")
        worst = 0.0
        for start in range(0, len(order), _CHUNK):
            frames = order[start : start + _CHUNK]
            if bound[frames[0]] <= worst or worst > limit:
                break
            if limit < math.inf and bound[frames[0]] <= limit:
                return max(worst, 0.0)
            progress(start / len(order), "measuring the shape keys")
            offsets = self.scores[frames, count:].astype(np.float32) @ rest
            distance = np.square(offsets).reshape(len(frames), -1, 3).sum(2)
            worst = max(worst, math.sqrt(float(distance.max(initial=0.0))))
        return worst

    def count_for(self, tolerance: float, most: int, progress: Progress) -> int:
        """The number of components whose remaining error is within ``tolerance``, at most ``most``.

        Found by halving: the error falls with the number of components in the mean square, and for
        its maximum the answer is checked, so the result always holds the tolerance if it can.
        """
        low, high = 0, min(most, len(self.components))
        steps = _halvings(low, high)
        while low < high:
            middle = (low + high) // 2
            share = subprogress(progress, *next(steps))
            if self.max_error(middle, limit=tolerance, progress=share) <= tolerance:
                high = middle
            else:
                low = middle + 1
        return high

    def correctives(self, count: int) -> tuple[Float, Float]:
        """(T, C) values in −1 to 1 and (C, V, 3) offsets at value 1, metres."""
        scores = self.scores[:, :count]
        scale = np.abs(scores).max(axis=0, initial=0.0)
        scale[scale == 0] = 1.0
        deltas = self.components[:count] * scale[:, None].astype(np.float32)
        values = np.clip(scores / scale, -1, 1).astype(np.float32)
        return values, deltas.reshape(count, self.components.shape[1] // 3, 3)


def _halvings(low: int, high: int) -> Iterator[tuple[float, float]]:
    steps = max(1, math.ceil(math.log2(high - low + 1)) + 1)
    for step in range(steps):
        yield step / steps, (step + 1) / steps
    while True:
        yield 1.0, 1.0
