# SPDX-License-Identifier: GPL-3.0-or-later
"""Strands that hang on triangles: where they grow, and how they follow the skin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from engine.core.arrays import Double
from engine.heads.head import Head
from training.synthetic.person.surface import vertex_normals

Index = NDArray[np.intp]


class Roots(NamedTuple):
    """Places on triangles.

    Attributes:
        face: (N,) triangle of the head.
        weights: (N, 3) barycentric coordinates.
        points: (N, 3) neutral, metres.
        normals: (N, 3) smooth unit normals there.
    """

    face: Index
    weights: Double
    points: Double
    normals: Double

    def chosen(self, which: NDArray[np.bool_] | Index) -> Roots:
        """Those of them that a mask or an index names."""
        return Roots(self.face[which], self.weights[which], self.points[which], self.normals[which])


class Field(NamedTuple):
    """Strands in the neutral pose.

    Attributes:
        roots: N roots; a strand may hang on a triangle beside the one it seems to grow from.
        points: (N, P, 3) metres, from the root to the tip.
        radius: (N, P) metres.
    """

    roots: Roots
    points: Double
    radius: Double


def joined(fields: list[Field]) -> Field:
    """All strands of several fields with the same number of points a strand."""
    roots = Roots(
        np.concatenate([field.roots.face for field in fields]),
        np.concatenate([field.roots.weights for field in fields]),
        np.concatenate([field.roots.points for field in fields]),
        np.concatenate([field.roots.normals for field in fields]),
    )
    return Field(
        roots,
        np.concatenate([f.points for f in fields]),
        np.concatenate([f.radius for f in fields]),
    )


class Binding:
    """Carries strands from the neutral head to any pose of it.

    A strand turns with its triangle as a rigid body: hair does not stretch with skin.
    """

    def __init__(self, head: Head, field: Field) -> None:
        """Bind.

        Args:
            head: the head, neutral.
            field: the strands.
        """
        self._corners = head.faces[field.roots.face]
        self._weights = field.roots.weights
        origin, axes = self._frames(head.template.astype(np.float64))
        self._local = np.einsum("ndc,npd->npc", axes, field.points - origin[:, None])

    def points(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, P, 3) the strands on posed vertices (V, 3), head space."""
        origin, axes = self._frames(vertices.astype(np.float64))
        moved = origin[:, None] + np.einsum("ndc,npc->npd", axes, self._local)
        return np.asarray(moved, np.float32)

    def _frames(self, vertices: Double) -> tuple[Double, Double]:
        """(N, 3) roots, and (N, 3, 3) each triangle's axes as columns."""
        corners = vertices[self._corners]
        first = corners[:, 1] - corners[:, 0]
        outward = np.cross(first, corners[:, 2] - corners[:, 0])
        first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-12)
        outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-18)
        axes = np.stack([first, outward, np.cross(first, outward)], 2)
        return np.einsum("nk,nkc->nc", self._weights, corners), axes


def scattered(head: Head, faces: Index, count: int, random: np.random.Generator) -> Roots:
    """Roots spread evenly over some triangles of the neutral head.

    Args:
        head: the head.
        faces: (K,) triangles to grow on.
        count: how many.
        random: source of the places.
    """
    vertices = head.template.astype(np.float64)
    corners = vertices[head.faces[faces]]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    edges = np.cumsum(area) / area.sum()
    # One root in each of as many equal shares of the area: no clots, no gaps.
    place = (np.arange(count) + random.uniform(0, 1, count)) / count
    picked = np.searchsorted(edges, place).clip(0, len(faces) - 1)
    u, v = random.uniform(0, 1, (2, count))
    over = u + v > 1
    u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
    weights = np.stack([1 - u - v, u, v], 1)
    return _roots(head, faces[picked], weights)


def _roots(head: Head, face: Index, weights: Double) -> Roots:
    vertices = head.template.astype(np.float64)
    normals = vertex_normals(vertices, head.faces)[head.faces[face]]
    normal = np.einsum("nk,nkc->nc", weights, normals)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    points = np.einsum("nk,nkc->nc", weights, vertices[head.faces[face]])
    return Roots(face, weights, points, normal)


class Front:
    """The skin seen from the front, to place hairs by x and y.

    Attributes:
        faces: (K,) its triangles.
        centers: (K, 3) their middles, neutral, metres.
    """

    def __init__(self, head: Head, skin: Index) -> None:
        """Take the triangles that face the front.

        Args:
            head: the head, neutral.
            skin: (N,) vertices of the skin.
        """
        self._head = head
        vertices = head.template.astype(np.float64)
        own = np.zeros(head.vertex_count, bool)
        own[skin] = True
        a, b, c = (vertices[head.faces[:, k]] for k in range(3))
        facing = np.cross(b - a, c - a)[:, 2] > 0
        self.faces = np.flatnonzero(facing & own[head.faces].all(1) & (a[:, 2] > 0))
        self._corners = vertices[head.faces[self.faces]]
        self.centers: Double = self._corners.mean(1)
        self._tree = cKDTree(self.centers[:, :2])

    def at(self, x: Double, y: Double) -> tuple[Roots, NDArray[np.bool_]]:
        """The front-most skin at (N,) x and y, and whether there is any."""
        place = np.stack([x, y], 1)
        near = self._tree.query(place, k=24)[1]
        corners = self._corners[near]
        a, b, c = (corners[:, :, k, :2] for k in range(3))
        total = _cross(b - a, c - a)
        p = place[:, None]
        weights = np.stack([_cross(b - p, c - p), _cross(c - p, a - p), _cross(a - p, b - p)], 2)
        weights /= np.maximum(total, 1e-18)[..., None]
        inside = (weights > -1e-6).all(2)
        depth = np.where(inside, (weights * corners[..., 2]).sum(2), -np.inf)
        best = depth.argmax(1)
        row = np.arange(len(x))
        found = inside[row, best]
        chosen = weights[row, best].clip(0, 1)
        chosen /= np.maximum(chosen.sum(1, keepdims=True), 1e-12)
        return _roots(self._head, self.faces[near[row, best]], chosen), found


def _cross(first: Double, second: Double) -> Double:
    result: Double = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return result
