# SPDX-License-Identifier: GPL-3.0-or-later
"""Identity, camera, poses and expressions from landmarks: one least-squares problem.

Minimised is, over identity a, focal length f, and pose and expression of each frame::

    Σ trust·share·ρ(|π(R·X(a, e) + t) − x|·z / (f·spread))     landmarks, ρ Huber's
    + ½|e/σ|² + ½|(eₗ − eᵣ)/σₛ|²                         priors of each frame
    + ½(T/4)·(|a − ā|² + (log(f/f₀)/σ_f)² + |mean(e)/σₘ|²)   priors of what all share
    + ½|e′/σ′|² + ½|pose″/σ″|²                            smoothness in time within a take
    + ½·touching·|gap(e)/σ_g|²                            lips where they are known to touch

by L-BFGS-B (Byrd et al. 1995; scipy) with torch's gradients: bounds of the weights hold exactly.
Of several calibrated cameras the landmarks of each count; poses are in the first one's space.
First a few frames of different poses and mouths give identity and camera, then all frames follow in
windows.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation
from torch import Tensor

from engine.core.arrays import Double
from engine.core.progress import Progress, no_progress, subprogress
from engine.heads.skinning import rotation_matrices
from engine.motion.model.torch_threads import one_thread
from training.tracking.face_model import FaceModel
from training.tracking.landmark_map import view_features
from training.tracking.landmarks import SKIN
from training.tracking.observations import FrameFit, Intrinsics, Observations, View

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
_NEAREST = 0.01
"""Metres before a camera."""
_WINDOW, _OVERLAP = 160, 12
_UNITS = (0.02, 0.002, 0.01)
"""Of the solver: radians of turning, metres across, metres away from the camera."""
_EXPRESSION_UNIT = 0.1
_RATE = 25.0
ROUNDS = ((120, False), (180, True), (160, True))
"""Of fitting the identity: iterations, and whether outliers count less; each begins with the pose
of the one before, which shows what faces the camera."""


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
    fit, rounds = start, ROUNDS if known is None else ROUNDS[-1:]
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
        for iterations, shares in ((80, (0.0, 0.3)), (200, (0.3, 1.0))):
            problem = _Problem(
                model,
                seen.picked(window),
                camera,
                fit,
                identity,
                held=first - begin,
            )
            low, high = (first + share * (end - first) for share in shares)
            part = subprogress(progress, low / count, high / count)
            _, _, fit = problem.solve(iterations, part)
        done.rotation[window], done.translation[window] = fit.rotation, fit.translation
        done.expression[window] = fit.expression
        first = end
    return done


def cost(model: FaceModel, seen: Observations, camera: Intrinsics, fit: FrameFit) -> float:
    """What the least squares of frames comes to in a fit, a frame; of one neutral head.

    Args:
        model: of the head, without identities.
        seen: the frames.
        camera: of the video.
        fit: of the frames.
    """
    return _Problem(model, seen, camera, fit, np.zeros(0)).cost() / len(seen.times)


def project(model: FaceModel, identity: Double, camera: Intrinsics, fit: FrameFit) -> Double:
    """(T, 478, 2) pixels of the model's landmarks."""
    neutral = model.rest + np.tensordot(identity, model.identity, 1)
    views = view_features(fit.rotation, fit.translation)
    points = neutral + np.tensordot(fit.expression, model.expression, 1)
    points += np.tensordot(views, model.aspect, 1)
    local = np.einsum("tij,tlj->tli", fit.rotation, points) + fit.translation[:, None]
    flat: Double = local[..., :2] / local[..., 2:] * camera.focal + camera.centre
    return flat


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


class _Landmarks:
    """What a camera shows: how far the model's landmarks lie from it, in their deviations.

    Attributes:
        weights: (T, 478); 0 in frames in which it shows no face.
    """

    def __init__(self, model: FaceModel, view: View, start: FrameFit) -> None:
        tensor, own, seen = torch.from_numpy, view.of(start), view.seen
        self._points = tensor(np.where(seen[:, None, None], view.points, 0.0))
        self._focal, self._centre = view.camera.focal, tensor(view.camera.centre)
        self._R, self._t = tensor(view.placed[:3, :3].copy()), tensor(view.placed[:3, 3].copy())
        # The view as it was at the start: the landmarks hardly differ for a degree more.
        features = view_features(own.rotation, own.translation)
        self._aspect = tensor(np.tensordot(features, model.aspect, 1))
        depth = own.translation[:, 2] + (own.rotation @ model.rest.mean(0))[:, 2]
        self._scale = tensor((depth / view.camera.focal)[:, None] / model.spread[None])
        counted = _EFFECTIVE * landmark_weights(model, own) * np.where(seen, view.trust, 0)[:, None]
        self.weights = tensor(counted)

    def away(self, points: Tensor, turned: Tensor, at: Tensor, zoom: Tensor) -> Tensor:
        """(T, 478) for points (T, 478, 3) of heads in poses in the first camera's space."""
        local = (points + self._aspect) @ (self._R @ turned).transpose(1, 2)
        local = local + (at @ self._R.T + self._t)[:, None]
        # Landmarks that do not count may lie anywhere, but must not become infinite.
        depth = local[..., 2:].clamp(min=_NEAREST)
        flat = local[..., :2] / depth * (self._focal * zoom) + self._centre
        away: Tensor = torch.linalg.vector_norm(flat - self._points + 1e-9, dim=-1)
        return away * self._scale


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
        self._views = [_Landmarks(model, view, start) for view in seen.seen_by(camera)]
        self._rotation = tensor(start.rotation.copy())
        self._translation = tensor(start.translation.copy())
        self._basis = tensor(model.expression.reshape(E, model.rest.size))
        self._identities = tensor(model.identity.reshape(-1, model.rest.size))
        self._rest = tensor(model.rest)
        self._deviation, self._lasting = tensor(model.deviation), tensor(model.lasting)
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

        limits = {"maxiter": iterations, "maxcor": 30, "maxfun": 2 * iterations, "ftol": 1e-9}
        with one_thread():
            found = minimize(
                self._value,
                start,
                jac=True,
                method="L-BFGS-B",
                bounds=np.stack([low, high], 1),
                callback=report,
                options=limits,
            )
        return self._unpacked(found.x)

    def cost(self) -> float:
        """The value at the start."""
        x = np.zeros(sum(self._counts))
        x[self._counts[0] :] = self._start.expression.ravel() / _EXPRESSION_UNIT
        return self._value(x)[0]

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
        loss = weights.new_zeros(())
        for view in self._views:
            away = view.away(points, turned, at, torch.exp(_FOCAL_DEVIATION * zoom))
            if self._robust:
                cost = torch.where(away < _HUBER, 0.5 * away**2, _HUBER * (away - 0.5 * _HUBER))
            else:
                cost = 0.5 * away**2
            loss = loss + (cost * view.weights).sum()
        loss = loss + 0.5 * ((weights / self._deviation) ** 2).sum()
        apart = weights[:, self._pairs[:, 0]] - weights[:, self._pairs[:, 1]]
        loss = loss + 0.5 * (apart**2).sum() / _SIDES**2
        if self._parting.shape[1]:
            gap = ((weights @ self._parting) ** 2).mean(1)
            loss = loss + 0.5 * (self._touching * gap).sum()
        if self._shared:
            repeated = max(1.0, self._frames / _INDEPENDENT)
            loss = loss + 0.5 * repeated * (((identity - self._mean) ** 2).sum() + zoom**2)
            loss = loss + 0.5 * repeated * ((weights.mean(0) / self._lasting) ** 2).sum()
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
        return identity.copy(), replace(self._camera, focal=focal), fit


def _steps(seen: Observations) -> Double:
    """(T − 1,) weight of the smoothness between neighbours: against one frame at 25 a second."""
    apart = np.diff(seen.times) * _RATE
    same = np.diff(seen.takes) == 0
    return np.where(same & (apart < 8), 1 / np.maximum(apart, 1e-3), 0.0)
