# SPDX-License-Identifier: GPL-3.0-or-later
"""Identity, camera, poses and expressions from landmarks: one least-squares problem.

Minimised is, over identity a, focal length f, and pose and expression of each frame::

    Σ trust·share·ρ(|π(R·X(a, e) + t) − x|·z / (f·spread))     landmarks, ρ Huber's
    + ½|e/σ|² + ½|(eₗ − eᵣ)/σₛ|²                         priors of each frame
    + ½(T/4)·(|a − ā|² + (log(f/f₀)/σ_f)²)                   priors of what all share
    + ½|e′/σ′|² + ½|pose″/σ″|²                            smoothness in time within a take
    + ½·touching·|gap(e)/σ_g|²                            lips where they are known to touch

by L-BFGS-B (Byrd et al. 1995; scipy) with torch's gradients: bounds of the weights hold exactly.
First a few frames of different poses and mouths give identity and camera, then all frames follow in
windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation
from torch import Tensor

from engine.core.arrays import Double
from engine.core.progress import Progress, no_progress, subprogress
from engine.heads.skinning import rotation_matrices
from training.tracking.face_model import FaceModel
from training.tracking.landmark_map import view_features
from training.tracking.landmarks import OVAL, SKIN

_EFFECTIVE = 0.12
"""Of the landmarks' weight: their errors are alike among neighbours."""
_INDEPENDENT = 4.0
"""Frames whose errors are independent: a detector is wrong about one face in all of them alike, so
that more frames show no more of its shape."""
_HUBER = 2.0
_FACING = (0.05, 0.35)
"""Cosine of the skin's normal and the line of sight at which a landmark begins to count, and
counts."""
_FOCAL_DEVIATION = 0.1
_SIDES = 0.12
"""Deviation of the left half of the face from the right."""
_QUICK = 0.12
"""Deviation of a weight's change from frame to frame at 25 frames a second."""
_SWAY = (0.012, 0.0015)
"""Deviations of a pose's second difference at that rate: radians, metres."""
_GAP = 0.0002
"""Metres: deviation of the gap of lips that touch."""
_WINDOW, _OVERLAP = 160, 12
_UNITS = (0.02, 0.002, 0.01)
"""Of the solver: radians of turning, metres across, metres away from the camera."""
_EXPRESSION_UNIT = 0.1
_RATE = 25.0
_ROUNDS = ((120, False), (180, True), (160, True))
"""Of fitting the identity: iterations, and whether outliers count less; each begins with the pose
of the one before, which shows what faces the camera."""


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """A pinhole camera.

    Attributes:
        focal: pixels.
        centre: (2,) pixels.
    """

    focal: float
    centre: Double


@dataclass(frozen=True, eq=False)
class FrameFit:
    """Poses and expressions of T frames.

    Attributes:
        rotation: (T, 3, 3) head space to camera, OpenCV axes.
        translation: (T, 3) metres.
        expression: (T, E).
    """

    rotation: Double
    translation: Double
    expression: Double

    def picked(self, frames: NDArray[np.intp] | slice) -> FrameFit:
        """Some of the frames."""
        return FrameFit(self.rotation[frames], self.translation[frames], self.expression[frames])


@dataclass(frozen=True, eq=False)
class Observations:
    """Landmarks of T frames.

    Attributes:
        points: (T, 478, 2) pixels.
        times: (T,) seconds.
        takes: (T,) number of the take; nothing is smooth from one to the next.
        touching: (T,) how certain it is that the lips touch, 0 to 1.
        trust: (T,) weight of the landmarks, 1 for those of a sharp frame.
    """

    points: Double
    times: Double
    takes: NDArray[np.intp]
    touching: Double
    trust: Double

    def picked(self, frames: NDArray[np.intp] | slice) -> Observations:
        """Some of the frames."""
        return Observations(*(getattr(self, field.name)[frames] for field in fields(self)))


def initial_poses(model: FaceModel, seen: Observations, camera: Intrinsics) -> FrameFit:
    """Neutral heads in weak perspective (DeMenthon and Davis 1995, its first iteration)."""
    kept = np.setdiff1d(np.arange(SKIN), OVAL)
    rest = model.rest[kept]
    middle = rest.mean(axis=0)
    inverse = np.linalg.pinv(rest - middle)
    count = len(seen.times)
    rotation, translation = np.zeros((count, 3, 3)), np.zeros((count, 3))
    for frame in range(count):
        points = seen.points[frame, kept]
        centre = points.mean(axis=0)
        rows = (inverse @ (points - centre)).T
        sizes = np.linalg.norm(rows, axis=1)
        x, y = rows / sizes[:, None]
        u, _, v = np.linalg.svd(np.stack([x, y, np.cross(x, y)]))
        R = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v
        z = camera.focal / sizes.mean()
        at = np.array([*((centre - camera.centre) * z / camera.focal), z])
        rotation[frame], translation[frame] = R, at - R @ middle
    return FrameFit(rotation, translation, np.zeros((count, len(model.names))))


def fit_identity(
    model: FaceModel,
    seen: Observations,
    camera: Intrinsics,
    start: FrameFit,
    *,
    free_focal: bool,
    known: tuple[Double, Intrinsics] | None = None,
    progress: Progress = no_progress,
) -> tuple[Double, Intrinsics, FrameFit]:
    """Identity (I,) and camera from frames of different poses, whose fit is given back, too.

    Args:
        model: of the head.
        seen: the frames.
        camera: as guessed, or known.
        start: poses to begin with.
        free_focal: whether the focal length is estimated.
        known: identity (I,) and camera of an earlier fit, whose poses are the start; one round is
            left.
        progress: called with the share done; may raise to cancel.
    """
    identity, found = (model.mean, camera) if known is None else known
    fit, rounds = start, _ROUNDS if known is None else _ROUNDS[-1:]
    for round_, (iterations, robust) in enumerate(rounds):
        # The guess stays what the focal length is likely to be near, whatever a round has found.
        zoom = math.log(found.focal / camera.focal) / _FOCAL_DEVIATION
        problem = _Problem(
            model,
            seen,
            camera,
            fit,
            identity,
            shared=True,
            free_focal=free_focal,
            robust=robust,
            zoom=zoom,
        )
        part = subprogress(progress, round_ / len(rounds), (round_ + 1) / len(rounds))
        identity, found, fit = problem.solve(iterations, part)
    return identity, found, fit


def fit_frames(
    model: FaceModel,
    seen: Observations,
    camera: Intrinsics,
    identity: Double,
    start: FrameFit,
    progress: Progress = no_progress,
) -> FrameFit:
    """Poses and expressions of all frames, window by window; memory is that of a window.

    Args:
        model: of the head.
        seen: the frames.
        camera: of the video.
        identity: (I,).
        start: poses to begin with.
        progress: called with the share done; may raise to cancel.
    """
    count = len(seen.times)
    done = FrameFit(start.rotation.copy(), start.translation.copy(), start.expression.copy())
    first = 0
    while first < count:
        begin, end = max(0, first - _OVERLAP), min(count, first + _WINDOW)
        window = slice(begin, end)
        fit = done.picked(window)
        for iterations in (80, 200):
            problem = _Problem(
                model,
                seen.picked(window),
                camera,
                fit,
                identity,
                held=first - begin,
            )
            part = subprogress(progress, first / count, end / count)
            _, _, fit = problem.solve(iterations, part)
        done.rotation[window], done.translation[window] = fit.rotation, fit.translation
        done.expression[window] = fit.expression
        first = end
    return done


def project(model: FaceModel, identity: Double, camera: Intrinsics, fit: FrameFit) -> Double:
    """(T, 478, 2) pixels of the model's landmarks."""
    neutral = model.rest + np.tensordot(identity, model.identity, 1)
    views = view_features(fit.rotation, fit.translation)
    points = neutral + np.tensordot(fit.expression, model.expression, 1)
    points += np.tensordot(views, model.aspect, 1)
    local = np.einsum("tij,tlj->tli", fit.rotation, points) + fit.translation[:, None]
    flat: Double = local[..., :2] / local[..., 2:] * camera.focal + camera.centre
    return flat


def landmark_weights(model: FaceModel, fit: FrameFit, points: Double | None = None) -> Double:
    """(T, 478) how far each landmark counts: less where the skin turns away from the camera."""
    rest = model.rest if points is None else points
    local = np.einsum("tij,lj->tli", fit.rotation, rest) + fit.translation[:, None]
    normals = np.einsum("tij,lj->tli", fit.rotation, model.normals)
    cosine = -(local * normals).sum(-1) / np.linalg.norm(local, axis=-1)
    cosine[:, SKIN:] = 1.0
    low, high = _FACING
    facing = np.clip((cosine - low) / (high - low), 0.0, 1.0)
    weights: Double = model.share * facing
    return weights


class _Problem:
    """One minimisation: its variables as one vector, in the solver's units."""

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
        self._model, self._camera, self._start = model, camera, start
        self._shared, self._free_focal, self._robust = shared, free_focal, robust
        self._held, self._identity, self._zoom = held, identity, zoom
        self._frames, E = start.expression.shape
        self._counts = (6 * self._frames, E * self._frames)
        tensor = torch.from_numpy
        weights = landmark_weights(model, start) * seen.trust[:, None]
        # Landmarks without any weight would only cost time.
        self._points = tensor(np.ascontiguousarray(seen.points))
        self._rotation = tensor(start.rotation.copy())
        self._translation = tensor(start.translation.copy())
        self._basis = tensor(model.expression.reshape(E, model.rest.size))
        self._identities = tensor(model.identity.reshape(-1, model.rest.size))
        # The view as it was at the start: the landmarks hardly differ for a degree more.
        views = view_features(start.rotation, start.translation)
        self._rest = tensor(model.rest + np.tensordot(views, model.aspect, 1))
        away = start.translation[:, 2] + (start.rotation @ model.rest.mean(0))[:, 2]
        scale = (away / camera.focal)[:, None] / model.spread[None]
        self._scale, self._weights = tensor(scale), tensor(_EFFECTIVE * weights)
        self._deviation = tensor(model.deviation)
        self._pairs, self._mean = tensor(model.pairs), tensor(model.mean)
        self._units = tensor(np.array([*([_UNITS[0]] * 3), *([_UNITS[1]] * 2), _UNITS[2]]))
        self._steps = _steps(seen)
        self._parting, self._touching = tensor(model.parting / _GAP), tensor(seen.touching)

    def solve(self, iterations: int, progress: Progress) -> tuple[Double, Intrinsics, FrameFit]:
        pose, expression = self._counts
        extra = len(self._identity) + 1 if self._shared else 0
        start = np.zeros(pose + expression + extra)
        start[pose : pose + expression] = self._start.expression.ravel() / _EXPRESSION_UNIT
        low, high = np.full(len(start), -np.inf), np.full(len(start), np.inf)
        model = self._model
        low[pose : pose + expression] = np.tile(model.low, self._frames) / _EXPRESSION_UNIT
        high[pose : pose + expression] = np.tile(model.high, self._frames) / _EXPRESSION_UNIT
        if self._shared:
            start[pose + expression : -1] = self._identity
            start[-1] = self._zoom
            if not self._free_focal:
                low[-1] = high[-1] = 0.0
        done = 0

        def report(_: object) -> None:
            nonlocal done
            done += 1
            progress(min(1.0, done / iterations), "fitting the head")

        found = minimize(
            self._value,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([low, high], 1),
            callback=report,
            options={"maxiter": iterations, "maxcor": 30, "maxfun": 2 * iterations, "ftol": 1e-9},
        )
        return self._unpacked(found.x)

    def _value(self, x: Double) -> tuple[float, Double]:
        variables = torch.from_numpy(x.copy()).requires_grad_()
        loss = self._loss(variables)
        loss.backward()  # type: ignore[no-untyped-call]
        assert variables.grad is not None
        return float(loss.detach()), variables.grad.numpy()

    def _parts(self, variables: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        pose, expression = self._counts
        moved = variables[:pose].reshape(self._frames, 6) * self._units
        weights = variables[pose : pose + expression].reshape(self._frames, -1) * _EXPRESSION_UNIT
        if self._shared:
            return moved, weights, variables[pose + expression : -1], variables[-1]
        return moved, weights, torch.from_numpy(self._identity), variables.new_zeros(())

    def _loss(self, variables: Tensor) -> Tensor:
        moved, weights, identity, zoom = self._parts(variables)
        neutral = self._rest + (identity @ self._identities).reshape(1, -1, 3)
        points = neutral + (weights @ self._basis).reshape(self._frames, -1, 3)
        turned = rotation_matrices(moved[:, :3]) @ self._rotation
        at = self._translation + moved[:, 3:]
        local = points @ turned.transpose(1, 2) + at[:, None]
        focal = self._camera.focal * torch.exp(_FOCAL_DEVIATION * zoom)
        flat = local[..., :2] / local[..., 2:] * focal + torch.from_numpy(self._camera.centre)
        away = torch.linalg.vector_norm(flat - self._points + 1e-9, dim=-1) * self._scale
        if self._robust:
            cost = torch.where(away < _HUBER, 0.5 * away**2, _HUBER * (away - 0.5 * _HUBER))
        else:
            cost = 0.5 * away**2
        loss = (cost * self._weights).sum()
        loss = loss + 0.5 * ((weights / self._deviation) ** 2).sum()
        apart = weights[:, self._pairs[:, 0]] - weights[:, self._pairs[:, 1]]
        loss = loss + 0.5 * (apart**2).sum() / _SIDES**2
        if self._parting.shape[1]:
            gap = ((weights @ self._parting) ** 2).mean(1)
            loss = loss + 0.5 * (self._touching * gap).sum()
        if self._shared:
            repeated = max(1.0, self._frames / _INDEPENDENT)
            loss = loss + 0.5 * repeated * (((identity - self._mean) ** 2).sum() + zoom**2)
        return loss + self._smoothness(weights, turned, at)

    def _smoothness(self, weights: Tensor, turned: Tensor, at: Tensor) -> Tensor:
        """Of neighbours in time within a take, and nearness to what a window before has found."""
        steps = torch.from_numpy(self._steps)
        loss = weights.new_zeros(())
        if len(weights) > 1:
            change = (weights[1:] - weights[:-1]) / _QUICK
            loss = loss + 0.5 * (steps * (change**2).sum(1)).sum()
        if len(weights) > 2:
            both = torch.minimum(steps[1:], steps[:-1])
            bend = at[2:] - 2 * at[1:-1] + at[:-2]
            loss = loss + 0.5 * (both * (bend**2).sum(1)).sum() / _SWAY[1] ** 2
            twist = turned[2:] - 2 * turned[1:-1] + turned[:-2]
            # Twice the squared angle for small ones: a rotation's entries hold it twice.
            loss = loss + 0.25 * (both * (twist**2).sum((1, 2))).sum() / _SWAY[0] ** 2
        if self._held:
            rest = torch.from_numpy(self._start.expression[: self._held])
            loss = loss + 50 * ((weights[: self._held] - rest) ** 2).sum()
        return loss

    def _unpacked(self, x: Double) -> tuple[Double, Intrinsics, FrameFit]:
        moved, weights, identity, zoom = (
            part.detach().numpy() for part in self._parts(torch.from_numpy(x))
        )
        rotation = Rotation.from_rotvec(moved[:, :3]).as_matrix() @ self._start.rotation
        focal = self._camera.focal * math.exp(_FOCAL_DEVIATION * float(zoom))
        fit = FrameFit(rotation, self._start.translation + moved[:, 3:], weights.copy())
        return identity.copy(), Intrinsics(focal, self._camera.centre), fit


def _steps(seen: Observations) -> Double:
    """(T − 1,) weight of the smoothness between neighbours: against one frame at 25 a second."""
    apart = np.diff(seen.times) * _RATE
    same = np.diff(seen.takes) == 0
    return np.where(same & (apart < 8), 1 / np.maximum(apart, 1e-3), 0.0)
