# SPDX-License-Identifier: GPL-3.0-or-later
"""The first Gaussians of an avatar: on the triangles, in their size, with the captured colours."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.avatar.binding import TriangleFrames, matrix_to_quaternion, triangle_frames
from engine.core.errors import BadInputError
from engine.heads.head import Head
from training.data.color_gathering import face_groups

OPACITY = 0.9
"""Of the first Gaussians, where nothing else is said."""
_COVER = 1.25
"""Standard deviations against those of the triangle's own area; at 1 there are gaps between."""
_FLAT = 0.15
"""Thickness against the mean of the other two axes."""


def teeth_faces(head: Head) -> NDArray[np.bool_]:
    """(F,) whether all corners of a triangle are of the teeth; none on heads without teeth."""
    return _faces_of(head, "teeth")


def _faces_of(head: Head, region: str) -> NDArray[np.bool_]:
    """(F,) whether all corners of a triangle are of a region; none on heads that lack it."""
    inside: NDArray[np.bool_] = np.isin(head.faces, head.regions.get(region, ())).all(1)
    return inside


def on_triangles(
    head: Head,
    *,
    subdivide_teeth: bool,
    subdivide_tongue: bool = False,
    coarse_skull: bool = False,
    finest: float | None = None,
    opacity: float = OPACITY,
) -> tuple[Tensor, dict[str, Tensor]]:
    """One Gaussian in the middle of each triangle, four on each of the teeth.

    Each has the orientation and, slightly enlarged, the second moments of its (sub-)triangle's
    area, so that sizes and spacing agree however uneven the mesh is. Teeth hold finer detail than
    their triangles and move apart from each other at the lips' edge, hence the subdivision at the
    edges' middles (section 4.1).

    Args:
        head: the head.
        subdivide_teeth: four Gaussians on a triangle of the teeth instead of one.
        subdivide_tongue: the same on the tongue, whose outline shows where it leaves the mouth.
        coarse_skull: one Gaussian on each two neighbouring triangles of :func:`skull_faces`, bound
            to the first of them.
        finest: metres; triangles of the face whose area is more than its square are divided in four
            until it is not, so that furrows find Gaussians as narrow as they are.
        opacity: of all, between 0 and 1.

    Returns:
        Binding (G,) int32, and the parameters of shape by name.
    """
    vertices = torch.from_numpy(head.template)
    faces = torch.from_numpy(np.array(head.faces, np.int64))
    triangles = vertices[faces]
    numbers = torch.arange(len(faces))
    for part, subdivided in (("teeth", subdivide_teeth), ("tongue", subdivide_tongue)):
        if subdivided:
            chosen = torch.from_numpy(_faces_of(head, part))[numbers]
            triangles, numbers = _divided(triangles, numbers, chosen)
    if finest is not None:
        face = torch.from_numpy(_of_face(head))
        while (coarse := face[numbers] & (_areas(triangles) > finest**2)).any():
            triangles, numbers = _divided(triangles, numbers, coarse)
    frames = triangle_frames(vertices, faces)
    order = torch.argsort(numbers, stable=True)
    triangles, numbers = triangles[order], numbers[order]
    sheets = triangles[:, None]
    if coarse_skull:
        pairs = _pairs(head.faces, skull_faces(head))
        # No triangle of the skull is divided: each is there once.
        at = torch.searchsorted(numbers, torch.from_numpy(pairs))
        sheets = torch.cat([sheets, sheets], 1)
        sheets[at[:, 0], 1] = triangles[at[:, 1]]
        stays = torch.ones(len(numbers), dtype=torch.bool)
        stays[at[:, 1]] = False
        sheets, numbers = sheets[stays], numbers[stays]
    return numbers.to(torch.int32), _moments(sheets, numbers, frames, opacity)


def skull_faces(head: Head) -> NDArray[np.bool_]:
    """(F,) whether a triangle is of neither face, ears, eyes nor mouth.

    Raises:
        BadInputError: a head that does not name its face.
    """
    if not len(head.regions.get("face", ())):
        raise BadInputError(
            f"The head '{head.id}' does not say where its face is, so its skull is not known.",
            "Leave out --coarse-skull.",
        )
    apart = [head.regions.get(name, np.empty(0, np.int32)) for name in ("face", "ears")]
    near = np.isin(head.faces, np.concatenate(apart)).any(1)
    rest: NDArray[np.bool_] = ~near & (face_groups(head) == 0)
    return rest


def _pairs(faces: NDArray[np.int32], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(P, 2) neighbours among the chosen triangles, none in two pairs; the first is the lower."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    owner = np.repeat(np.arange(len(faces)), 3)
    order = np.lexsort((owner, edges[:, 1], edges[:, 0]))
    same = (edges[order[1:]] == edges[order[:-1]]).all(1)
    neighbours = np.stack([owner[order[:-1]][same], owner[order[1:]][same]], 1)
    neighbours = neighbours[chosen[neighbours].all(1)]
    neighbours = neighbours[np.lexsort((neighbours[:, 1], neighbours[:, 0]))]
    free, pairs = chosen.copy(), []
    for a, b in neighbours:
        if free[a] and free[b]:
            free[a] = free[b] = False
            pairs.append((a, b))
    return np.array(pairs, np.int64).reshape(-1, 2)


def _of_face(head: Head) -> NDArray[np.bool_]:
    """(F,) whether a triangle is of the skin of the face; the mesh of ears is fine already."""
    face = np.setdiff1d(head.regions["face"], head.regions.get("ears", ()))
    inside: NDArray[np.bool_] = np.isin(head.faces, face).all(1)
    return inside


def _areas(triangles: Tensor) -> Tensor:
    a, b, c = triangles.unbind(1)
    areas: Tensor = 0.5 * torch.linalg.cross(b - a, c - a).norm(dim=1)
    return areas


def _divided(triangles: Tensor, numbers: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Some of (T, 3, 3) triangles in four, with the numbers (T,) of those they came from."""
    parts = _four(triangles[chosen]).reshape(-1, 3, 3)
    return (
        torch.cat([triangles[~chosen], parts]),
        torch.cat([numbers[~chosen], numbers[chosen].repeat_interleave(4)]),
    )


def _four(triangles: Tensor) -> Tensor:
    """(T, 4, 3, 3) the triangles between corners and edge middles of (T, 3, 3)."""
    a, b, c = triangles.unbind(1)
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (bc, ca, ab)]
    return torch.stack([torch.stack(part, 1) for part in parts], 1)


def _moments(
    sheets: Tensor, numbers: Tensor, frames: TriangleFrames, opacity: float
) -> dict[str, Tensor]:
    """Parameters with the second moments of (G, S, 3, 3) triangles, each S of them a surface."""
    rotations, sizes = frames.rotations[numbers], frames.scales[numbers].clamp(min=1e-7)
    areas = _areas(sheets.flatten(0, 1)).view(sheets.shape[:2]).clamp(min=1e-12)
    parts = areas / areas.sum(1, keepdim=True)
    middles = sheets.mean(2)
    centers = (parts[..., None] * middles).sum(1)
    local = torch.einsum("gji,gskj->gski", rotations, sheets - centers[:, None, None])
    plane = (local / sizes[:, None, None, None])[..., [0, 2]]
    # A uniform triangle has Σ pᵢpᵢᵀ / 12 about the origin, of its corners and thrice its middle.
    points = torch.cat([plane, 3 * plane.mean(2, keepdim=True)], 2)
    covariance = torch.einsum("gs,gski,gskj->gij", parts, points, points) / 12
    values, vectors = torch.linalg.eigh(covariance)
    sigma = _COVER * values.clamp(min=1e-8).sqrt()
    first, second = sigma[:, 1], sigma[:, 0].maximum(0.25 * sigma[:, 1])
    along = torch.zeros(len(numbers), 3)
    along[:, [0, 2]] = vectors[:, :, 1]
    normal = torch.tensor([0.0, 1.0, 0.0]).expand(len(numbers), 3)
    turn = torch.stack([along, normal, torch.linalg.cross(along, normal)], -1)
    thick = _FLAT * 0.5 * (first + second)
    offset = torch.einsum("gji,gj->gi", rotations, centers - frames.centers[numbers])
    return {
        "positions": offset / sizes[:, None],
        "log_scales": torch.stack([first, thick, second], 1).log(),
        "quats": matrix_to_quaternion(turn),
        "opacity_logits": torch.full((len(numbers),), math.log(opacity / (1 - opacity))),
    }
