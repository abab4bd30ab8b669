# SPDX-License-Identifier: GPL-3.0-or-later
"""A triangle surface to be searched: normals, areas and compatible closest points.

trimesh has these too, but its closest points need a spatial-index library and know nothing of
normals or of the two sides of a mouth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.spatial import cKDTree

from engine.core.arrays import Double, Index

_CANDIDATES = 24
_SQUARED_PENALTY = 1e6


class Closest(NamedTuple):
    """Closest points of N queries.

    Attributes:
        faces: (N,) triangle of each.
        weights: (N, 3) barycentric coordinates in it.
        points: (N, 3) metres.
        distance: (N,) metres.
        fits: (N,) whether the point satisfies what was asked of normals and sides.
    """

    faces: NDArray[np.intp]
    weights: Double
    points: Double
    distance: Double
    fits: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles in space.

    Attributes:
        vertices: (V, 3) metres.
        faces: (F, 3) int32.
        sides: (V,) +1 on the upper lip's side of the mouth, −1 on the lower, 0 elsewhere.
    """

    vertices: Double
    faces: Index
    sides: Double

    @cached_property
    def crossed(self) -> Double:
        """(F, 3) normals of the triangles with twice their area as length."""
        a, b, c = np.moveaxis(self.vertices[self.faces], 1, 0)
        crossed: Double = np.cross(b - a, c - a)
        return crossed

    @cached_property
    def normals(self) -> Double:
        """(V, 3) unit vertex normals, weighted by area."""
        total = self._gathered(self.crossed)
        size = np.linalg.norm(total, axis=1, keepdims=True)
        unit: Double = total / np.maximum(size, 1e-30)
        return unit

    @cached_property
    def areas(self) -> Double:
        """(V,) a third of the triangles around each vertex, square metres."""
        areas = self._gathered(np.linalg.norm(self.crossed, axis=1, keepdims=True))
        return areas[:, 0] / 6

    @cached_property
    def face_sides(self) -> Double:
        """(F,) side of each triangle, 0 where its corners disagree."""
        corners = self.sides[self.faces]
        return np.where(corners.max(1) * corners.min(1) < 0, 0.0, np.sign(corners.sum(1)))

    @cached_property
    def rim(self) -> NDArray[np.bool_]:
        """(F,) triangles at an open border."""
        edges = np.sort(self.faces[:, [[0, 1], [1, 2], [2, 0]]], axis=2).astype(np.int64)
        keys = edges[..., 0] * len(self.vertices) + edges[..., 1]
        _, where, count = np.unique(keys, return_inverse=True, return_counts=True)
        alone: NDArray[np.bool_] = (count[where].reshape(keys.shape) == 1).any(axis=1)
        return alone

    @cached_property
    def edges(self) -> csr_matrix:
        """(V, V) symmetric; lengths of the edges, metres."""
        a, b = self.faces[:, [0, 1, 2]].ravel(), self.faces[:, [1, 2, 0]].ravel()
        length = np.linalg.norm(self.vertices[a] - self.vertices[b], axis=1) + 1e-12
        size = (len(self.vertices),) * 2
        joined = coo_matrix((length, (a, b)), size).tocsr()
        return joined.maximum(joined.T)

    @cached_property
    def laplacian(self) -> csr_matrix:
        """(V, V) positive semi-definite cotangent Laplacian; cotangents below 0.05 are raised."""
        V = len(self.vertices)
        rows, columns, values = [], [], []
        for corner in range(3):
            i, j, k = (self.faces[:, (corner + step) % 3] for step in range(3))
            u, v = self.vertices[j] - self.vertices[i], self.vertices[k] - self.vertices[i]
            area = np.linalg.norm(np.cross(u, v), axis=1)
            half = np.clip(np.einsum("nd,nd->n", u, v) / np.maximum(area, 1e-30), 0.05, 20) / 2
            rows += [j, k]
            columns += [k, j]
            values += [half, half]
        joined = coo_matrix(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (V, V)
        ).tocsr()
        degree = np.asarray(joined.sum(axis=1)).ravel()
        return (coo_matrix((degree, (np.arange(V),) * 2), (V, V)) - joined).tocsr()

    def closest(
        self,
        points: Double,
        *,
        normals: Double | None = None,
        sides: Double | None = None,
        least_cosine: float = 0.0,
    ) -> Closest:
        """The closest point of the surface, among the compatible ones where there are any.

        Args:
            points: (N, 3).
            normals: (N, 3) unit; the surface's must not turn away farther than the cosine.
            sides: (N,) of the mouth, as :attr:`sides`; opposite ones do not go together.
            least_cosine: between the normals.
        """
        count = min(_CANDIDATES, len(self.faces))
        _, near = self._centres.query(points, k=count)
        near = near.reshape(len(points), count)
        weights, squared = self._nearest(points, near)
        fits = np.ones(squared.shape, bool)
        if normals is not None:
            theirs = np.einsum("nkc,nkcd->nkd", weights, self.normals[self.faces[near]])
            cosine = np.einsum("nkd,nd->nk", theirs, normals)
            fits &= cosine > least_cosine * np.linalg.norm(theirs, axis=-1)
        if sides is not None:
            fits &= self.face_sides[near] * sides[:, None] >= 0
        best = np.where(fits, squared, squared + _SQUARED_PENALTY).argmin(axis=1)
        at = (np.arange(len(points)), best)
        found = np.einsum("nc,ncd->nd", weights[at], self.vertices[self.faces[near[at]]])
        distance = np.linalg.norm(found - points, axis=1)
        return Closest(near[at], weights[at], found, distance, fits[at])

    def _nearest(self, points: Double, near: NDArray[np.intp]) -> tuple[Double, Double]:
        """The point of each of some triangles that is closest to a point.

        With a + v ab + w ac for the point of the triangle, all is said by the scalar products of
        its sides, which are those of every query, and of these with p − a.

        Args:
            points: (N, 3).
            near: (N, K) triangles.

        Returns:
            (N, K, 3) barycentric coordinates; (N, K) squared distances, metres².
        """
        a, ab, ac = self._sides
        from_a = points[:, None] - a[near]
        pa, pb, pc = (
            np.einsum("nkd,nkd->nk", from_a, other) for other in (from_a, ab[near], ac[near])
        )
        bb, bc, cc = (product[near] for product in self._products)

        def squared(v: Double, w: Double) -> Double:
            away: Double = pa + v * (v * bb - 2 * pb) + w * (w * cc + 2 * v * bc - 2 * pc)
            return away

        area = np.maximum(bb * cc - bc * bc, 1e-30)
        v, w = (cc * pb - bc * pc) / area, (bb * pc - bc * pb) / area
        least = np.where((v < 0) | (w < 0) | (v + w > 1), np.inf, squared(v, w))
        across = np.clip((bb - bc - pb + pc) / np.maximum(bb - 2 * bc + cc, 1e-30), 0, 1)
        nothing = np.zeros_like(across)
        for v_edge, w_edge in (
            (np.clip(pb / np.maximum(bb, 1e-30), 0, 1), nothing),
            (1 - across, across),
            (nothing, np.clip(pc / np.maximum(cc, 1e-30), 0, 1)),
        ):
            away = squared(v_edge, w_edge)
            nearer = away < least
            v, w = np.where(nearer, v_edge, v), np.where(nearer, w_edge, w)
            least = np.where(nearer, away, least)
        return np.stack([1 - v - w, v, w], -1), least

    @cached_property
    def _sides(self) -> tuple[Double, Double, Double]:
        """(F, 3) each: corner a of the triangles, and b − a, c − a."""
        a, b, c = np.moveaxis(self.vertices[self.faces], 1, 0)
        return np.ascontiguousarray(a), b - a, c - a

    @cached_property
    def _products(self) -> tuple[Double, Double, Double]:
        """(F,) each: ab·ab, ab·ac, ac·ac."""
        _, ab, ac = self._sides
        bb, bc, cc = (np.einsum("fd,fd->f", x, y) for x, y in ((ab, ab), (ab, ac), (ac, ac)))
        return bb, bc, cc

    @cached_property
    def _centres(self) -> cKDTree:
        return cKDTree(self.vertices[self.faces].mean(axis=1))

    def _gathered(self, values: Double) -> Double:
        total = np.zeros((len(self.vertices), values.shape[1]))
        for corner in range(3):
            np.add.at(total, self.faces[:, corner], values)
        return total
