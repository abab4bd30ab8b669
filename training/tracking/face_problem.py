# SPDX-License-Identifier: GPL-3.0-or-later
"""The least-squares problem of a face: what is minimised, and its derivatives.

Over identity a, focal length f, and pose and expression of each frame it is::

    Σ trust·share·ρ(|π(R·X(a, e) + t) − x|·z / (f·spread))     landmarks, ρ Huber's
    + ½|e/σ|² + ½|(eₗ − eᵣ)/σₛ|²                         priors of each frame
    + ½(T/4)·(|a − ā|² + (log(f/f₀)/σ_f)² + |mean(e)/σₘ|²)   priors of what all share
    + ½|e′/σ′|² + ½|pose″/σ″|²                            smoothness in time within a take
    + ½·touching·|gap(e)/σ_g|²                            lips where they are known to touch

Of several calibrated cameras the landmarks of each count; poses are in the first one's space.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from engine.core.arrays import Double
from engine.core.progress import Progress
from training.tracking.face_model import FaceModel
from training.tracking.gauss_newton import FrameSystem, minimised
from training.tracking.landmark_map import view_features
from training.tracking.landmarks import SKIN
from training.tracking.observations import FrameFit, Intrinsics, Observations, View

_EFFECTIVE = 0.06
"""Of the landmarks' weight: their errors are alike among neighbours. Chosen among 0.03, 0.06 and
0.12 with films of known heads in view (docs/tracking.md)."""
_INDEPENDENT = 4.0
"""Frames whose errors are independent: a detector is wrong about one face in all of them alike, so
that more frames show no more of its shape."""
_HUBER = 2.0
_FACING = (0.05, 0.35)
"""Cosine of the skin's normal and the line of sight at which a landmark begins to count, and
counts."""
FOCAL_DEVIATION = 0.1
_SIDES = 0.12
"""Deviation of the left half of the face from the right."""
_QUICK = 0.12
"""Deviation of a weight's change from frame to frame at 25 frames a second."""
_SWAY = (0.012, 0.0015)
"""Deviations of a pose's second difference at that rate: radians, metres."""
_GAP = 0.0002
"""Metres: deviation of the gap of lips that touch."""
_NEAREST = 0.01
"""Metres before a camera."""
_HELD = 100.0
"""Of weights that a window before has found."""
_RATE = 25.0
_ITERATIONS = 40
"""More than it takes: six to ten are usual."""


def landmark_weights(model: FaceModel, fit: FrameFit) -> Double:
    """(T, 478) how far each landmark counts: less where the skin turns away from the camera."""
    local = np.einsum("tij,lj->tli", fit.rotation, model.rest) + fit.translation[:, None]
    normals = np.einsum("tij,lj->tli", fit.rotation, model.normals)
    cosine = -(local * normals).sum(-1) / np.linalg.norm(local, axis=-1)
    cosine[:, SKIN:] = 1.0
    low, high = _FACING
    facing = np.clip((cosine - low) / (high - low), 0.0, 1.0)
    weights: Double = model.share * facing
    return weights


@dataclass(frozen=True, eq=False)
class FaceState:
    """Where the unknowns are: those of the frames, coefficients (I,), and the focal length's.

    Attributes:
        fit: of T frames.
        identity: (I,).
        zoom: logarithm of the focal length against the guess, in its deviations.
    """

    fit: FrameFit
    identity: Double
    zoom: float


class _Smooth(NamedTuple):
    """½·Σ weight·|value|²: what is small in time, sums of neighbouring frames' values.

    Attributes:
        weights: (N,).
        values: (N, M).
        factors: of neighbouring frames' values in the sum.
        first: of the unknowns that move a frame's values.
        derivatives: (T, M, R) of a frame's values by them; they are those where ``None``.
    """

    weights: Double
    values: Double
    factors: tuple[float, ...]
    first: int
    derivatives: Double | None


class _Landmarks:
    """What a camera shows: how far the model's landmarks lie from it, in their deviations.

    Attributes:
        weights: (T, 478); 0 in frames in which it shows no face.
    """

    def __init__(self, model: FaceModel, view: View, start: FrameFit) -> None:
        own, seen = view.of(start), view.seen
        self._points = np.where(seen[:, None, None], view.points, 0.0)
        self._focal, self._centre = view.camera.focal, view.camera.centre
        self._R, self._t = view.placed[:3, :3], view.placed[:3, 3]
        # The view as it was at the start: the landmarks hardly differ for a degree more.
        features = view_features(own.rotation, own.translation)
        self._aspect = np.tensordot(features, model.aspect, 1)
        depth = own.translation[:, 2] + (own.rotation @ model.rest.mean(0))[:, 2]
        self._scale = ((depth / view.camera.focal)[:, None] / model.spread[None])[..., None]
        self.weights = (
            _EFFECTIVE * landmark_weights(model, own) * np.where(seen, view.trust, 0)[:, None]
        )

    def away(self, points: Double, state: FaceState) -> Double:
        """(T, 478, 2) for points (T, 478, 3) of the neutral head and its expressions."""
        flat, _ = self._flat(self._turned(points, state), state)
        away: Double = (flat - self._points) * self._scale
        return away

    def derivatives(self, points: Double, state: FaceState) -> tuple[Double, Double, Double]:
        """Of :meth:`away`.

        Returns:
            (T, 478, 2, 6) by turning and moving the head, (T, 478, 2) by the focal length's
            unknown, and (T, 478, 2, 3) by the points.
        """
        turned = self._turned(points, state)
        flat, local = self._flat(turned, state)
        depth = np.maximum(local[..., 2], _NEAREST)
        across = self._scale[..., 0] * self._focal * self._zoomed(state) / depth
        by_local = np.zeros((*across.shape, 2, 3))
        by_local[..., 0, 0] = by_local[..., 1, 1] = across
        by_local[..., 2] = -across[..., None] * local[..., :2] / depth[..., None]
        by_local[..., 2][local[..., 2] < _NEAREST] = 0.0
        by_place = by_local @ self._R
        by_turn = np.cross(turned[:, :, None], by_place)
        by_zoom = FOCAL_DEVIATION * (flat - self._centre) * self._scale
        by_pose = np.concatenate([by_turn, by_place], axis=3)
        return by_pose, by_zoom, by_place @ state.fit.rotation[:, None]

    def _turned(self, points: Double, state: FaceState) -> Double:
        turned: Double = (points + self._aspect) @ state.fit.rotation.transpose(0, 2, 1)
        return turned

    def _flat(self, turned: Double, state: FaceState) -> tuple[Double, Double]:
        """Pixels (T, 478, 2) and the points in the camera's space, (T, 478, 3)."""
        local = (turned + state.fit.translation[:, None]) @ self._R.T + self._t
        # Landmarks that do not count may lie anywhere, but must not become infinite.
        depth = np.maximum(local[..., 2:], _NEAREST)
        flat: Double = local[..., :2] / depth * (self._focal * self._zoomed(state)) + self._centre
        return flat, local

    def _zoomed(self, state: FaceState) -> float:
        return math.exp(FOCAL_DEVIATION * state.zoom)


class FaceProblem:
    """One minimisation, as :func:`training.tracking.gauss_newton.minimised` takes it.

    Unknowns of a frame are its turn (3,), radians, its place (3,), metres, and its weights (E,);
    shared ones are the coefficients of the identity and the focal length's.
    """

    def __init__(
        self,
        model: FaceModel,
        seen: Observations,
        camera: Intrinsics,
        start: FrameFit,
        identity: Double,
        *,
        shared: bool = False,
        free_focal: bool = False,
        robust: bool = True,
        held: int = 0,
        zoom: float = 0.0,
    ) -> None:
        self.model, self._camera, self.start = model, camera, FaceState(start, identity, zoom)
        self._shared, self._free_focal, self._robust = shared, free_focal, robust
        self._held = held
        self._views = [_Landmarks(model, view, start) for view in seen.seen_by(camera)]
        self._steps, self._touching = _steps(seen), seen.touching
        self._parting = model.parting / _GAP
        shapes = [model.expression, model.identity] if shared else [model.expression]
        # (478, 3, E + I): what moves each landmark.
        self._shapes = np.moveaxis(np.concatenate(shapes), 0, -1).copy()
        self._prior = self._priors()

    def solve(self, progress: Progress) -> tuple[Double, Intrinsics, FrameFit]:
        """Identity, camera and frames where the cost is least.

        Args:
            progress: called with the share done; may raise to cancel.
        """
        found = minimised(self, self.start, _ITERATIONS, progress, "fitting the head")
        focal = self._camera.focal * math.exp(FOCAL_DEVIATION * found.zoom)
        return found.identity, replace(self._camera, focal=focal), found.fit

    def cost(self, state: FaceState | None = None) -> float:
        """At a point; by default at the start."""
        state = self.start if state is None else state
        points, weights = self._points(state), state.fit.expression
        cost = 0.0
        for view in self._views:
            away = np.linalg.norm(view.away(points, state), axis=-1)
            huber = np.where(away < _HUBER, 0.5 * away**2, _HUBER * (away - 0.5 * _HUBER))
            cost += float((view.weights * (huber if self._robust else 0.5 * away**2)).sum())
        cost += 0.5 * float(np.einsum("te,ef,tf->", weights, self._prior, weights))
        if self._parting.shape[1]:
            cost += 0.5 * float(self._touching @ ((weights @ self._parting) ** 2).mean(1))
        if self._shared:
            apart, mean = state.identity - self.model.mean, weights.mean(0) / self.model.lasting
            cost += 0.5 * self._repeated * float(apart @ apart + state.zoom**2 + mean @ mean)
        for part in self._smooth(state):
            cost += 0.5 * float(part.weights @ (part.values**2).sum(1))
        if self._held:
            before = self.start.fit.expression[: self._held]
            cost += 0.5 * _HELD * float(((weights[: self._held] - before) ** 2).sum())
        return cost

    def system(self, state: FaceState) -> FrameSystem:
        """Gauss and Newton's about a point; Huber's loss by weights that are less far away."""
        points, weights = self._points(state), state.fit.expression
        frames, count = weights.shape
        size = 6 + count
        shared = len(state.identity) + 1 if self._shared else 0
        system = FrameSystem(frames, size, shared)
        system.cost = self.cost(state)
        blocks = np.zeros((frames, size, size))
        for view in self._views:
            self._add_landmarks(system, blocks, view, points, state)
        blocks[:, 6:, 6:] += self._prior
        system.gradient[:, 6:] += weights @ self._prior
        if self._parting.shape[1]:
            closing = self._parting @ self._parting.T / self._parting.shape[1]
            blocks[:, 6:, 6:] += self._touching[:, None, None] * closing
            system.gradient[:, 6:] += self._touching[:, None] * (weights @ closing)
        if self._held:
            before = self.start.fit.expression[: self._held]
            blocks[: self._held, 6:, 6:] += _HELD * np.eye(count)
            system.gradient[: self._held, 6:] += _HELD * (weights[: self._held] - before)
        system.add(blocks)
        if self._shared:
            self._add_shared(system, state)
        self._add_smoothness(system, state)
        return system

    def limits(self, state: FaceState) -> tuple[Double, Double, NDArray[np.bool_]]:
        """Weights stay within the model's bounds, and a focal length that is known as it is."""
        weights = state.fit.expression
        shape = len(weights), 6 + weights.shape[1]
        low, high = np.full(shape, -np.inf), np.full(shape, np.inf)
        low[:, 6:], high[:, 6:] = self.model.low - weights, self.model.high - weights
        shared = np.ones(len(state.identity) + 1 if self._shared else 0, bool)
        shared[-1:] = self._free_focal
        return low, high, shared

    def moved(self, state: FaceState, step: Double, shared: Double) -> FaceState:
        """A point after a step, within the bounds."""
        fit, model = state.fit, self.model
        rotation = Rotation.from_rotvec(step[:, :3]).as_matrix() @ fit.rotation
        weights = np.clip(fit.expression + step[:, 6:], model.low, model.high)
        moved = FrameFit(rotation, fit.translation + step[:, 3:6], weights)
        if not self._shared:
            return replace(state, fit=moved)
        return FaceState(moved, state.identity + shared[:-1], state.zoom + float(shared[-1]))

    @property
    def _repeated(self) -> float:
        return max(1.0, len(self.start.fit.expression) / _INDEPENDENT)

    def _points(self, state: FaceState) -> Double:
        """(T, 478, 3) of the heads, in head space."""
        neutral = self.model.rest + np.tensordot(state.identity, self.model.identity, 1)
        points: Double = neutral + np.tensordot(state.fit.expression, self.model.expression, 1)
        return points

    def _priors(self) -> Double:
        """(E, E) of a frame's weights, and of left ones against right ones."""
        prior = np.diag(1 / self.model.deviation**2)
        for left, right in self.model.pairs:
            apart = np.zeros(len(prior))
            apart[left], apart[right] = 1 / _SIDES, -1 / _SIDES
            prior += np.outer(apart, apart)
        return prior

    def _add_landmarks(
        self,
        system: FrameSystem,
        blocks: Double,
        view: _Landmarks,
        points: Double,
        state: FaceState,
    ) -> None:
        away = view.away(points, state)
        counted = view.weights
        if self._robust:
            far = np.linalg.norm(away, axis=-1)
            counted = counted * np.minimum(1, _HUBER / np.maximum(far, 1e-12))
        root = np.sqrt(counted)
        by_pose, by_zoom, by_points = view.derivatives(points, state)
        size = blocks.shape[1]
        for frame in np.flatnonzero(root.any(1)):
            parts = [by_pose[frame], by_points[frame] @ self._shapes]
            if self._shared:
                parts.append(by_zoom[frame][..., None])
            jacobian = np.concatenate(parts, axis=2) * root[frame][:, None, None]
            jacobian = jacobian.reshape(-1, jacobian.shape[2])
            pulled = (away[frame] * root[frame][:, None]).ravel() @ jacobian
            product = jacobian.T @ jacobian
            blocks[frame] += product[:size, :size]
            system.gradient[frame] += pulled[:size]
            system.border[frame] += product[:size, size:]
            system.corner += product[size:, size:]
            system.shared_gradient += pulled[size:]

    def _add_shared(self, system: FrameSystem, state: FaceState) -> None:
        """The priors of identity and focal length, and of the mean of each expression."""
        lasting, frames = self.model.lasting, len(state.fit.expression)
        system.shared_gradient[:-1] += self._repeated * (state.identity - self.model.mean)
        system.shared_gradient[-1] += self._repeated * state.zoom
        system.corner += self._repeated * np.eye(len(system.corner))
        mean = state.fit.expression.mean(0)
        system.gradient[:, 6:] += self._repeated * mean / lasting**2 / frames
        for row in np.flatnonzero(np.isfinite(lasting)):
            system.add_mean(6 + int(row), self._repeated / lasting[row] ** 2)

    def _smooth(self, state: FaceState) -> Iterator[_Smooth]:
        fit, steps = state.fit, self._steps
        if len(steps):
            change = np.diff(fit.expression, axis=0)
            yield _Smooth(steps / _QUICK**2, change, (-1.0, 1.0), 6, None)
        if len(steps) > 1:
            both = np.minimum(steps[1:], steps[:-1])
            bend = np.diff(fit.translation, 2, axis=0)
            yield _Smooth(both / _SWAY[1] ** 2, bend, (1.0, -2.0, 1.0), 3, None)
            twist = np.diff(fit.rotation.reshape(-1, 9), 2, axis=0)
            # The columns of R turn as vectors do: ∂R/∂ω = ω × R.
            axes = np.cross(np.eye(3)[:, None], fit.rotation.transpose(0, 2, 1)[:, None])
            by_turn = axes.transpose(0, 3, 2, 1).reshape(-1, 9, 3)
            # A rotation's entries hold the squared angle of small ones twice.
            yield _Smooth(0.5 * both / _SWAY[0] ** 2, twist, (1.0, -2.0, 1.0), 0, by_turn)

    def _add_smoothness(self, system: FrameSystem, state: FaceState) -> None:
        for part in self._smooth(state):
            count, by = len(part.weights), part.derivatives
            size = part.values.shape[1] if by is None else by.shape[2]
            for later, factor in enumerate(part.factors):
                rows = slice(later, later + count)
                pulled = (factor * part.weights)[:, None] * part.values
                if by is not None:
                    pulled = np.einsum("tmr,tm->tr", by[rows], pulled)
                system.gradient[rows, part.first : part.first + size] += pulled
                for earlier, other in enumerate(part.factors[: later + 1]):
                    block = np.broadcast_to(np.eye(size), (count, size, size))
                    if by is not None:
                        block = np.einsum("tmr,tmc->trc", by[rows], by[earlier : earlier + count])
                    apart = later - earlier
                    blocks = np.zeros((len(state.fit.expression) - apart, size, size))
                    scale = factor * other * part.weights
                    blocks[earlier : earlier + count] = scale[:, None, None] * block
                    system.add(blocks, apart, part.first)


def _steps(seen: Observations) -> Double:
    """(T − 1,) weight of the smoothness between neighbours: against one frame at 25 a second."""
    apart = np.diff(seen.times) * _RATE
    same = np.diff(seen.takes) == 0
    return np.where(same & (apart < 8), 1 / np.maximum(apart, 1e-3), 0.0)
