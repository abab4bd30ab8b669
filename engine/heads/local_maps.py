# SPDX-License-Identifier: GPL-3.0-or-later
"""How a deformation turns and stretches what is around each vertex: moving least squares.

S. Schaefer, T. McPhail and J. Warren, "Image Deformation Using Moving Least Squares", 2006: the
affine map that fits the displacements around a point best, here with a Gaussian in space. Points
that touch have the same map, whichever surface they are on.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from engine.core.arrays import Double, Float, Ids, Index

_WIDTH = 0.008
"""Standard deviation of the Gaussian, metres: an eye's opening lies within it."""
_CUT = 2.5
# Across a flat patch of skin nothing is known; there the map of the whole part holds.
_THICKNESS = 0.003


class LocalMaps:
    """The maps of one mesh, for any displacement of it."""

    def __init__(self, points: Float, faces: Index, rigid: Iterable[Ids]) -> None:
        """Weigh the surroundings of each vertex.

        Args:
            points: (V, 3) metres.
            faces: (F, 3).
            rigid: vertices of the parts that move as a whole, each by a single map.
        """
        self._points = points.astype(np.float64)
        self._rigid: list[Ids] = [np.asarray(part, np.int64) for part in rigid]
        rest = np.ones(len(points), bool)
        for part in self._rigid:
            rest[part] = False
        self._soft: Ids = np.flatnonzero(rest)
        corners = self._points[faces]
        area = np.linalg.norm(
            np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
        )
        share = np.bincount(faces.ravel(), np.repeat(area, 3), len(points)).astype(np.float64)
        self._near = _gaussian(self._points[self._soft], share[self._soft])

    def of(self, displacement: Float) -> Double:
        """(V, 3, 3) the linear part of the map around each vertex, for (V, 3) metres."""
        moved = displacement.astype(np.float64)
        maps = np.empty((len(moved), 3, 3))
        for part in [*self._rigid, self._soft]:
            maps[part] = _affine(self._points[part], moved[part])
        whole = maps[self._soft[0]] - np.eye(3)
        points = self._points[self._soft]
        maps[self._soft] += self._local(points, moved[self._soft] - points @ whole.T)
        return maps

    def _local(self, points: Double, rest: Double) -> Double:
        """(N, 3, 3) what the surroundings add to the map of the whole."""
        products = np.einsum("ni,nj->nij", np.hstack([points, rest]), points)
        columns = np.hstack([points, rest, products.reshape(len(points), -1)])
        means = self._near @ columns
        middle, shift = means[:, :3], means[:, 3:6]
        second = means[:, 6:].reshape(-1, 6, 3)
        spread = second[:, :3] - np.einsum("ni,nj->nij", middle, middle)
        cross = second[:, 3:] - np.einsum("ni,nj->nij", shift, middle)
        spread += _THICKNESS**2 * np.eye(3)
        local: Double = np.linalg.solve(spread, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
        return local


def _affine(points: Double, moved: Double) -> Double:
    """The linear part of the affine map that takes points along displacements."""
    middle = points - points.mean(axis=0)
    fitted: Double = np.linalg.lstsq(middle, moved - moved.mean(axis=0), rcond=None)[0].T
    return fitted + np.eye(3)


def _gaussian(points: Double, share: Double) -> csr_matrix:
    """(N, N) weights of the points around each, rows sum to one."""
    tree = cKDTree(points)
    pairs = tree.query_pairs(_CUT * _WIDTH, output_type="ndarray")
    distance = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    weight = np.exp(-0.5 * (distance / _WIDTH) ** 2)
    half = csr_matrix((weight, pairs.T), (len(points), len(points)))
    whole = half + half.T
    whole.setdiag(1.0)
    whole = whole.multiply(share).tocsr()
    total = np.asarray(whole.sum(axis=1)).ravel()
    return csr_matrix(whole.multiply(1 / total[:, None]))
