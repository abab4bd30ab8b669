# SPDX-License-Identifier: GPL-3.0-or-later
"""What was tracked with the default head, as parameters of the user's FLAME model.

Each vertex of FLAME's skin follows the point of the default head to which registration leads it
(:mod:`engine.heads.correspondence`). The tracked neutral head gives the identity, each frame's face
the expression and the jaw, by least squares with FLAME's own priors: coefficients count standard
deviations. Eyes take the turns of the tracked eyeballs, the root takes the head's pose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.core.progress import Progress, subprogress
from engine.heads.correspondence import rigid
from engine.heads.default import load_default_head
from engine.heads.flame import FlamePerson, flame_person
from engine.heads.flame_model import EXPRESSIONS, JOINTS, SHAPES
from engine.heads.flame_param import FlameParam
from engine.heads.head import Head
from engine.heads.retarget import correspond
from engine.heads.skinning import rotation_matrices, skin
from training.tracking.observations import FrameFit

_TRUSTED = 0.3
_SPREAD = 0.0012
"""Metres: deviation of a tracked point from what FLAME can show."""
_EFFECTIVE = 0.05
"""Of the points' weight: their errors are alike among neighbours."""
_WEIGHTS = (("face", 1.0), ("lips", 4.0))
_ELSEWHERE = 0.1
"""Weights of points by region of the default head, and of the others: hair hides the skull."""
_JAW = 0.15
"""Radians: deviation of the jaw's rotation; a fifth of it aside and along."""
_ROUNDS, _WINDOW, _ITERATIONS = 12, 64, 60


@dataclass(frozen=True, eq=False)
class FlameTrack:
    """A tracked person in FLAME's terms.

    Attributes:
        person: model and head with the person's neutral face.
        param: T frames whose root stands in head space of the default head: neither turned nor
            moved by the pose.
        misfit: millimetres by which tracked faces lie beside FLAME's, on average.
    """

    person: FlamePerson
    param: FlameParam
    misfit: float

    def placed(self, matrices: Double) -> FlameParam:
        """The parameters with the head's pose in the world.

        FLAME turns about its root r and then moves by t: v ↦ R·(v − r) + r + t.

        Args:
            matrices: (T, 4, 4) the tracked head's space to the world.
        """
        param = self.param
        root = _roots(self.person, param.expr)
        inner = Rotation.from_rotvec(param.rotation).as_matrix()
        shift = root + param.translation - np.einsum("tij,tj->ti", inner, root)
        turn = matrices[:, :3, :3] @ inner
        moved = np.einsum("tij,tj->ti", matrices[:, :3, :3], shift) + matrices[:, :3, 3]
        translation = moved - root + np.einsum("tij,tj->ti", turn, root)
        rotation = Rotation.from_matrix(turn).as_rotvec()
        return replace(
            param,
            rotation=rotation.astype(np.float32),
            translation=translation.astype(np.float32),
        )


def frames_of(param: FlameParam, frames: slice | NDArray[np.intp]) -> FlameParam:
    """Some of the frames."""
    names = ("expr", "rotation", "neck_pose", "jaw_pose", "eyes_pose", "translation")
    moving = {name: getattr(param, name)[frames] for name in (*names, "dynamic_offset")}
    return replace(param, **moving)


def in_flame(path: Path, head: Head, fit: FrameFit, progress: Progress) -> FlameTrack:
    """Fit a FLAME model to a track.

    Args:
        path: the user's model.
        head: the person as tracked, on the default head's mesh.
        fit: what they do.
        progress: called with the share done; may raise to cancel.

    Raises:
        BadInputError: no FLAME model, or one onto which the default head cannot be laid.
    """
    points = _points(path, subprogress(progress, 0.0, 0.3))
    neutral = points.of(head.template[None])[0]
    shape, R, shift = _identity(points, neutral)
    person = flame_person(path, shape=shape.astype(np.float32))
    frames = len(fit.expression)
    param = FlameParam.of(person.head, frames)
    expr, jaw, missed = _faces(person, points, head, fit, R, shift, subprogress(progress, 0.3, 1.0))
    roots = _roots(person, expr)
    param = replace(
        param,
        expr=expr.astype(np.float32),
        jaw_pose=jaw.astype(np.float32),
        eyes_pose=_eyes(head, fit, R).astype(np.float32),
        rotation=np.tile(Rotation.from_matrix(R).as_rotvec(), (frames, 1)).astype(np.float32),
        translation=(roots @ R.T + shift - roots).astype(np.float32),
    )
    return FlameTrack(person, param, 1e3 * missed)


@dataclass(frozen=True, eq=False)
class _Points:
    """Vertices of FLAME's skin, and the points of the default head that they follow."""

    person: FlamePerson
    vertices: NDArray[np.intp]
    corners: NDArray[np.intp]
    barycentric: Double
    weights: Double

    def of(self, vertices: Float) -> Double:
        """(T, N, 3) the points of (T, V, 3) vertices of the default head's mesh."""
        picked = vertices[:, self.corners].astype(np.float64)
        points: Double = np.einsum("nc,tncd->tnd", self.barycentric, picked)
        return points


def _points(path: Path, progress: Progress) -> _Points:
    person = flame_person(path)
    found = correspond(load_default_head(), person.head, progress=progress)
    corners = found.source.skin[found.source.surface.faces[found.closest.faces]]
    kept = np.flatnonzero(found.trust > _TRUSTED)
    if len(kept) < SHAPES // 3:
        raise BadInputError(
            f"The default head's face cannot be laid onto {path.name}.",
            "Give a FLAME model, or track with the default head.",
        )
    first = np.take_along_axis(corners, found.closest.weights.argmax(1)[:, None], 1)[:, 0]
    weights = np.full(len(corners), _ELSEWHERE)
    for name, weight in _WEIGHTS:
        weights[np.isin(first, found.source.head.regions.get(name, ()))] = weight
    weights *= found.trust
    return _Points(
        person,
        found.target.skin[kept],
        corners[kept],
        found.closest.weights[kept],
        weights[kept],
    )


def _expressions(person: FlamePerson) -> Float:
    directions: Float = person.model.shapedirs[..., SHAPES : SHAPES + EXPRESSIONS]
    return directions


def _roots(person: FlamePerson, expr: Float | Double) -> Double:
    """(T, 3) metres: the root joint of the unposed head under (T, 100) coefficients."""
    model = person.model
    along = np.einsum("v,vck->kc", model.J_regressor[0], _expressions(person))
    roots: Double = model.joints(model.v_template)[0] + np.asarray(expr, np.float64) @ along
    return roots


def _identity(points: _Points, neutral: Double) -> tuple[Double, Double, Double]:
    """Shape (300,), and rotation (3, 3) and shift (3,) from FLAME's space to the tracked head's.

    Ridge regression and the best rigid motion by turns.
    """
    model, weights = points.person.model, _EFFECTIVE * points.weights
    rest = model.v_template[points.vertices].astype(np.float64)
    directions = model.shapedirs[points.vertices, :, :SHAPES].astype(np.float64)
    rows = directions.reshape(-1, SHAPES)
    scaled = np.repeat(weights, 3)[:, None] / _SPREAD**2 * rows
    normal = rows.T @ scaled + np.eye(SHAPES)
    shape = np.zeros(SHAPES)
    for _ in range(_ROUNDS):
        R, shift = rigid(rest + directions @ shape, neutral, weights)
        wanted = (neutral - shift) @ R - rest
        shape = np.linalg.solve(normal, scaled.T @ wanted.ravel())
    R, shift = rigid(rest + directions @ shape, neutral, weights)
    return shape, R, shift


def _faces(
    person: FlamePerson,
    points: _Points,
    head: Head,
    fit: FrameFit,
    R: Double,
    shift: Double,
    progress: Progress,
) -> tuple[Double, Double, float]:
    """Expressions (T, 100), jaw rotations (T, 3) and the mean distance that is left, metres."""
    frames = len(fit.expression)
    expr, jaw = np.zeros((frames, EXPRESSIONS)), np.zeros((frames, 3))
    posed = _Posed(person, points.vertices)
    missed = []
    for first in range(0, frames, _WINDOW):
        part = slice(first, min(frames, first + _WINDOW))
        deformed = np.stack([head.deform(row.astype(np.float32)) for row in fit.expression[part]])
        wanted = torch.from_numpy((points.of(deformed) - shift) @ R)
        expr[part], jaw[part], left = _face(posed, wanted, torch.from_numpy(points.weights))
        missed.append(left)
        progress(part.stop / frames, "fitting FLAME")
    return expr, jaw, float(np.concatenate(missed).mean())


def _face(posed: _Posed, wanted: Tensor, weights: Tensor) -> tuple[Double, Double, Double]:
    count = len(wanted)
    expr = torch.zeros(count, EXPRESSIONS, dtype=torch.float64, requires_grad=True)
    # In deviations, as the coefficients are.
    jaw = torch.zeros(count, 3, dtype=torch.float64, requires_grad=True)
    narrow = torch.tensor([1.0, 5.0, 5.0], dtype=torch.float64)
    solver = torch.optim.LBFGS([expr, jaw], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        away = (posed(expr, _JAW * jaw) - wanted).square().sum(-1) / _SPREAD**2
        total = 0.5 * _EFFECTIVE * (weights * away).sum()
        total = total + 0.5 * expr.square().sum() + 0.5 * (jaw * narrow).square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    solver.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        away = (posed(expr, _JAW * jaw) - wanted).norm(dim=-1)
        left = (away * weights).sum(1) / weights.sum()
    return expr.detach().numpy(), (_JAW * jaw).detach().numpy(), left.numpy()


class _Posed:
    """Some of a person's vertices under expression and jaw, root and neck at rest."""

    def __init__(self, person: FlamePerson, vertices: NDArray[np.intp]) -> None:
        model, directions = person.model, _expressions(person)

        def tensor(array: Float) -> Tensor:
            return torch.from_numpy(np.asarray(array, np.float64))

        jaw = 9 * (JOINTS.index("jaw") - 1)
        self._rest = tensor(model.v_template[vertices])
        self._expression = tensor(directions[vertices].reshape(-1, EXPRESSIONS).T)
        self._joints = tensor(model.joints(model.v_template))
        self._moved = tensor(np.einsum("jv,vck->kjc", model.J_regressor, directions))
        self._bent = tensor(model.posedirs[vertices, :, jaw : jaw + 9].reshape(-1, 9).T)
        self._weights = tensor(model.weights[vertices])
        self._parents = tuple(int(parent) for parent in model.parents)

    def __call__(self, expr: Tensor, jaw: Tensor) -> Tensor:
        """(T, N, 3) for (T, 100) coefficients and (T, 3) rotation vectors."""
        count = len(expr)
        unposed = self._rest + (expr @ self._expression).reshape(count, -1, 3)
        joints = self._joints + torch.einsum("tk,kjc->tjc", expr, self._moved)
        turn = rotation_matrices(jaw)
        bent = (turn - torch.eye(3, dtype=turn.dtype)).flatten(1)
        corrected = unposed + (bent @ self._bent).reshape(count, -1, 3)
        still = torch.eye(3, dtype=turn.dtype).expand(count, 3, 3)
        rotations = torch.stack([still, still, turn, still, still], 1)
        return skin(corrected, joints, rotations, self._parents, self._weights)


def _eyes(head: Head, fit: FrameFit, R: Double) -> Double:
    """(T, 6) rotation vectors of the left and the right eye, from the tracked eyeballs."""
    turns = []
    for side in ("left", "right"):
        ball = head.regions[f"{side}_eyeball"]
        rest = head.template[ball].astype(np.float64)
        moved = rest + np.tensordot(fit.expression, head.expression_basis[:, ball], 1)
        turn = np.stack([rigid(rest, points)[0] for points in moved])
        turns.append(Rotation.from_matrix(R.T @ turn @ R).as_rotvec())
    return np.concatenate(turns, axis=1)
