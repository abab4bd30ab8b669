# SPDX-License-Identifier: GPL-3.0-or-later
"""One head's skin laid onto another's: similarity, then ever finer non-rigid closest points.

The displacement u of the source's skin minimises, over the source's area,

    Σ wᵢ·|xᵢ + uᵢ − pᵢ|² + ℓ⁴·∫|Δu|² + landmarks

with p the compatible closest points of the target (non-rigid ICP in the way of Amberg, Romdhani and
Vetter 2007, "Optimal step nonrigid ICP for surface registration", with the thin plate's energy in
place of their stiffness, so that a plain stretch costs nothing). Features smaller than the length
ℓ are not followed; it falls step by step. Only the three coordinates' common sparse matrix is
factorised, so a head takes seconds. trimesh's own variants need a spatial-index library, factorise
four times as many unknowns and can neither tell how far they are nor be cancelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags
from scipy.spatial import cKDTree

from engine.core.arrays import Double
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.heads.anatomy import Anatomy
from engine.heads.surface import Surface
from engine.heads.symmetric import factorised

TOLERANCE = 0.0015
"""Metres, for a head of adult size, that the registered face may be off the target on average."""

_HOPELESS = 0.012
"""The same after the similarity, beyond which nothing else is tried."""
_CONVERGED = 2e-5
"""Metres; a step in which no point moves farther is the last of its length."""
_LENGTHS = (0.080, 0.060, 0.045, 0.032, 0.024, 0.017, 0.012, 0.009, 0.0065, 0.005)
_ITERATIONS = 3
_LANDMARKS = ("nose", "right_corner", "left_corner", "mouth")
_LANDMARK_AREA = 4e-4
"""Square metres of skin that a landmark weighs as much as at the start; it fades with ℓ."""
_SIMILAR_STEPS = 20
_FACE_REGIONS = ("face", "lips", "nose", "forehead", "eyelids", "cheeks")
_HIDDEN_REGIONS = ("mouth_interior", "inner_lips")


class Similarity(NamedTuple):
    """``scale · rotation · x + shift``."""

    scale: float
    rotation: Double
    shift: Double

    def apply(self, points: Double) -> Double:
        """(..., 3) points moved."""
        moved: Double = self.scale * points @ self.rotation.T + self.shift
        return moved


@dataclass(frozen=True, eq=False)
class Registration:
    """Where a source head's vertices lie on a target.

    Attributes:
        vertices: (Vs, 3) metres; the skin on the target's, inner parts carried along.
        similarity: the first alignment.
        error: metres, mean distance of the source's face from the target's surface.
    """

    vertices: Double
    similarity: Similarity
    error: float


def similarity_of(source: Double, target: Double, weights: Double | None = None) -> Similarity:
    """Least squares (Umeyama 1991); fewer than three places give a shift alone.

    Args:
        source: (N, 3).
        target: (N, 3).
        weights: (N,) of the pairs.
    """
    weights = np.ones(len(source)) if weights is None else weights
    weights = weights / weights.sum()
    middles = weights @ source, weights @ target
    a, b = source - middles[0], target - middles[1]
    if len(source) < 3:
        return Similarity(1.0, np.eye(3), middles[1] - middles[0])
    u, size, v = np.linalg.svd((weights[:, None] * b).T @ a)
    flip = np.array([1, 1, np.sign(np.linalg.det(u @ v))])
    rotation = u * flip @ v
    scale = float(size @ flip / np.maximum(weights @ np.square(a).sum(1), 1e-30))
    return Similarity(scale, rotation, middles[1] - scale * rotation @ middles[0])


def register(source: Anatomy, target: Anatomy, *, progress: Progress = no_progress) -> Registration:
    """Lay a head onto another.

    Args:
        source: with the regions of :class:`~engine.heads.head.Head`.
        target: any head in head space.
        progress: called with the share done; may raise to cancel.

    Raises:
        BadInputError: the faces do not come together within :data:`TOLERANCE`.
    """
    weights = _data_weights(source)
    similarity = _aligned(source, target, weights)
    start = similarity.apply(source.surface.vertices)
    face = weights >= 1.0
    _check(source, target, start, face, _HOPELESS)
    skin = _fitted(source, target, start, weights, progress)
    error = _check(source, target, skin, face, TOLERANCE)
    vertices = similarity.apply(source.head.template.astype(np.float64))
    vertices = carried_along(vertices, start, skin)
    vertices[source.skin] = skin
    progress(1.0, "the heads are matched")
    return Registration(vertices, similarity, error)


def _check(
    source: Anatomy, target: Anatomy, skin: Double, face: NDArray[np.bool_], tolerance: float
) -> float:
    """Mean distance of the face from the target's skin, metres.

    Raises:
        BadInputError: it is larger than the tolerance for a head of that size.
    """
    now = Surface(skin, source.surface.faces, source.surface.sides)
    found = target.surface.closest(skin[face], normals=now.normals[face])
    error = float(np.average(found.distance, weights=now.areas[face]))
    limit = tolerance * target.scale
    if not error <= limit:
        raise BadInputError(
            f"The face of the head {source.head.id!r} cannot be laid onto {target.head.id!r}: it "
            f"stays {1e3 * error:.1f} mm away on average, {1e3 * limit:.1f} mm is the limit.",
            "The head must look along +Z with +Y up, have a human face with closed lips, and be "
            "one connected skin.",
        )
    return error


def carried_along(points: Double, start: Double, end: Double) -> Double:
    """Points off a surface, moved as the surface near them: (N, 3)."""
    distance, near = cKDTree(start).query(points, k=48)
    reach = np.maximum(distance[:, -1:], 1e-6)
    weights = np.exp(-4 * np.square(distance / reach))
    weights /= weights.sum(1, keepdims=True)
    moved: Double = points + np.einsum("nk,nkd->nd", weights, (end - start)[near])
    return moved


def _data_weights(source: Anatomy) -> Double:
    """(N,) how much each vertex of the skin is drawn: the face wholly, what is hidden not."""
    regions = source.head.regions
    number = source.vertex_to_skin

    def of(*names: str) -> NDArray[np.intp]:
        sets = [number[regions[name]] for name in names if name in regions]
        together = np.concatenate(sets) if sets else np.zeros(0, np.intp)
        return together[together >= 0]

    weights = np.full(len(source.skin), 0.2)
    face = of(*_FACE_REGIONS)
    weights[face if len(face) else slice(None)] = 1.0
    weights[of("ears")] = 0.1
    weights[of(*_HIDDEN_REGIONS)] = 0.0
    return weights


def _aligned(source: Anatomy, target: Anatomy, weights: Double) -> Similarity:
    """By the places both heads know; then by closest points of the face, the places still held."""
    names = [name for name in source.points if name in target.points]
    a = np.stack([source.points[name] for name in names])
    b = np.stack([target.points[name] for name in names])
    known = len(names) >= 4
    scale = target.scale / source.scale
    found = (
        similarity_of(a, b) if known else Similarity(scale, np.eye(3), (b - scale * a).mean(axis=0))
    )
    face = np.flatnonzero(weights >= 1.0)
    face = face[:: max(1, len(face) // 1500)]
    points, normals = source.surface.vertices[face], source.surface.normals[face]
    areas = source.surface.areas[face]
    for _ in range(_SIMILAR_STEPS):
        moved = found.apply(points)
        near = target.surface.closest(moved, normals=normals @ found.rotation.T, least_cosine=0.5)
        limit = max(2.5 * float(np.median(near.distance)), 1e-4)
        good = near.fits & (near.distance < limit) & ~target.surface.rim[near.faces]
        if good.sum() < 100:
            break
        pull = areas[good].sum() * (0.5 if known else 0.02) / len(names)
        found = similarity_of(
            np.concatenate([points[good], a]),
            np.concatenate([near.points[good], b]),
            np.concatenate([areas[good], np.full(len(names), pull)]),
        )
    return found


def _fitted(
    source: Anatomy, target: Anatomy, start: Double, weights: Double, progress: Progress
) -> Double:
    """(N, 3) the source's skin on the target's."""
    surface = Surface(start, source.surface.faces, source.surface.sides)
    areas = np.maximum(surface.areas, 1e-12)
    stiffness = surface.laplacian
    plate = (stiffness @ diags(1 / areas) @ stiffness).tocsc()
    membrane = stiffness.tocsc()
    marks, aims = _landmarks(source, target)
    drawn = np.flatnonzero(weights > 0)
    skin = start
    for step, unscaled in enumerate(_LENGTHS):
        length = unscaled * target.scale
        for turn in range(_ITERATIONS):
            done = (step + turn / _ITERATIONS) / len(_LENGTHS)
            progress(done, "matching the heads")
            now = Surface(skin, surface.faces, surface.sides)
            near = target.surface.closest(
                skin[drawn],
                normals=now.normals[drawn],
                sides=surface.sides[drawn],
                least_cosine=0.5,
            )
            limit = max(0.6 * length, 0.006 * target.scale)
            good = near.fits & (near.distance < limit) & ~target.surface.rim[near.faces]
            pull = np.zeros(len(skin))
            pull[drawn[good]] = (weights * areas)[drawn[good]]
            aim = np.zeros_like(skin)
            aim[drawn[good]] = near.points[good]
            drawn_to = pull[:, None] * (aim - start)
            strength = _LANDMARK_AREA * target.scale**2 * length / (_LENGTHS[0] * target.scale)
            pull[marks] += strength
            drawn_to[marks] += strength * (aims - start[marks])
            system = diags(pull + 1e-9 * areas) + length**4 * plate + 1e-3 * length**2 * membrane
            moved = start + factorised(system).solve(drawn_to)
            step_length = float(np.abs(moved - skin).max())
            skin = moved
            if step_length < _CONVERGED * target.scale:
                break
    return skin


def _landmarks(source: Anatomy, target: Anatomy) -> tuple[NDArray[np.intp], Double]:
    """Vertices of the source's skin and the places of the target where they belong."""
    marks, aims = [], []
    for name in _LANDMARKS:
        if name in source.points and name in target.points:
            away = np.linalg.norm(source.surface.vertices - source.points[name], axis=1)
            marks.append(int(away.argmin()))
            aims.append(target.points[name])
    return np.array(marks, np.intp), np.array(aims, np.float64).reshape(-1, 3)
