# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats that tile a mesh without holes: one flat ellipsoid per piece of triangle."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Pieces(NamedTuple):
    """Pieces of triangles.

    Attributes:
        face: (N,) the triangle each lies in.
        corners: (N, 3, 3) barycentric coordinates of its corners in that triangle.
    """

    face: NDArray[np.int64]
    corners: Array

    def at(self, values: Array, faces: NDArray[np.int32]) -> Array:
        """(N, C) a per-vertex quantity (V, C) at the pieces' centres."""
        weights = self.corners.mean(1)
        result: Array = np.einsum("nk,nkc->nc", weights, values[faces[self.face]])
        return result


def split(vertices: Array, faces: NDArray[np.int32], area: Array) -> Pieces:
    """Bisect triangles at their longest edge until every piece is small enough.

    Bisection keeps pieces from becoming slivers, and it leaves nothing to chance.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3).
        area: (F,) the largest area allowed for each triangle's pieces, m².
    """
    face = np.arange(len(faces))
    corners = np.broadcast_to(np.eye(3), (len(faces), 3, 3)).copy()
    done: list[tuple[NDArray[np.int64], Array]] = []
    while len(face):
        points = np.einsum("nij,njc->nic", corners, vertices[faces[face]])
        edges = points[:, [1, 2, 0]] - points
        size = 0.5 * np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
        large = size > area[face]
        done.append((face[~large], corners[~large]))
        face, corners, edges = face[large], corners[large], edges[large]
        longest = np.linalg.norm(edges, axis=2).argmax(1)
        turned = corners[np.arange(len(face))[:, None], (longest[:, None] + np.arange(3)) % 3]
        middle = 0.5 * (turned[:, 0] + turned[:, 1])
        first = np.stack([turned[:, 0], middle, turned[:, 2]], 1)
        second = np.stack([middle, turned[:, 1], turned[:, 2]], 1)
        face, corners = np.concatenate([face, face]), np.concatenate([first, second])
    face = np.concatenate([f for f, _ in done])
    corners = np.concatenate([c for _, c in done])
    order = np.argsort(face, kind="stable")
    return Pieces(face[order], corners[order])


class Ellipsoids(NamedTuple):
    """World-space Gaussians: centres (N, 3), axes as columns (N, 3, 3), deviations (N, 3)."""

    centers: Array
    axes: Array
    deviations: Array


def flat_ellipsoids(
    pieces: Pieces,
    vertices: Array,
    faces: NDArray[np.int32],
    *,
    overlap: float,
    thickness: float,
) -> Ellipsoids:
    """The Gaussian with each piece's own second moments, widened until neighbours overlap.

    Args:
        pieces: from :func:`split`.
        vertices: (V, 3).
        faces: (F, 3).
        overlap: factor on the deviations; a uniform triangle's own are 1.
        thickness: deviation along the normal, as a fraction of the smaller one in the plane.
    """
    points = np.einsum("nij,njc->nic", pieces.corners, vertices[faces[pieces.face]])
    centers = points.mean(1)
    spread = points - centers[:, None]
    covariance = np.einsum("nic,nid->ncd", spread, spread) / 12
    _, axes = np.linalg.eigh(covariance)
    axes = axes[:, :, ::-1].copy()
    axes[:, :, 2] = np.cross(axes[:, :, 0], axes[:, :, 1])
    variances = np.einsum("nci,ncd,ndi->ni", axes, covariance, axes)
    deviations = overlap * np.sqrt(np.maximum(variances, 1e-14))
    # Rounder at the same area: slivers leave lines between them and comb the edges of colours.
    middle = np.sqrt(deviations[:, 0] * deviations[:, 1])
    ratio = (deviations[:, 0] / middle).clip(1, 1.4) ** 0.6
    deviations[:, 0], deviations[:, 1] = middle * ratio, middle / ratio
    deviations[:, 2] = thickness * deviations[:, 1]
    return Ellipsoids(centers, axes, deviations)


def vertex_normals(vertices: Array, faces: NDArray[np.int32]) -> Array:
    """(V, 3) unit normals, weighted by area."""
    v0, v1, v2 = (vertices[faces[:, k]] for k in range(3))
    cross = np.cross(v1 - v0, v2 - v0)
    total = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(total, faces[:, k], cross)
    unit: Array = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-18)
    return unit
