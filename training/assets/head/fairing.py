# SPDX-License-Identifier: GPL-3.0-or-later
"""Spreading a few prescribed displacements smoothly over the skin around them."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import splu

from engine.core.arrays import Double, Ids


def edge_lengths(vertices: Double, faces: Ids) -> csr_matrix:
    """(V, V) symmetric sparse matrix of edge lengths."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    rows, columns = edges.T
    count = len(vertices)
    half = coo_matrix((length, (rows, columns)), (count, count))
    return (half + half.T).tocsr()


def distance_from(vertices: Double, faces: Ids, seeds: Ids) -> Double:
    """(V,) length of the shortest edge path from the nearest seed, metres."""
    lengths = edge_lengths(vertices, faces)
    return np.asarray(dijkstra(lengths, directed=False, indices=seeds, min_only=True))


class Fairing:
    """The smoothest displacement with given values (bilaplacian surface fairing).

    Botsch and Kobbelt, "An intuitive framework for real-time freeform modeling", 2004: minimises
    the squared Laplacian of the displacement, which is then continuous with its slope at the edge
    of the region that may move.
    """

    def __init__(self, vertices: Double, faces: Ids, fixed: Ids, reach: float) -> None:
        """Factorise for one set of vertices.

        Args:
            vertices: (V, 3).
            faces: (F, 3).
            fixed: (C,) vertices whose displacement will be given.
            reach: vertices further than this from the fixed ones along the edges stay, metres.
        """
        weights = edge_lengths(vertices, faces)
        weights.data = 1 / np.maximum(weights.data, 1e-5)
        degree = np.maximum(np.asarray(weights.sum(axis=1)).ravel(), 1e-12)
        laplacian = diags(np.ones(len(vertices))) - diags(1 / degree) @ weights
        movable = distance_from(vertices, faces, fixed) < reach
        movable[fixed] = False
        self._fixed = fixed
        self._unknown = np.nonzero(movable)[0]
        self._energy = (laplacian.T @ laplacian).tocsr()[self._unknown]
        self._solver = splu(self._energy[:, self._unknown].tocsc())

    def spread(self, values: Double) -> Double:
        """(V, D) displacement that takes the (C, D) values at the fixed vertices."""
        displacement = np.zeros((self._energy.shape[1], values.shape[1]))
        displacement[self._fixed] = values
        displacement[self._unknown] = self._solver.solve(-(self._energy @ displacement))
        return displacement
