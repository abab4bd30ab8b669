# SPDX-License-Identifier: GPL-3.0-or-later
"""Spreading a few prescribed displacements smoothly over the skin around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import splu

from engine.assets.build.mesh import Array, Ids


def edge_lengths(vertices: Array, faces: Ids) -> csr_matrix:
    """(V, V) symmetric sparse matrix of edge lengths."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    rows, columns = edges.T
    count = len(vertices)
    half = coo_matrix((length, (rows, columns)), (count, count))
    return (half + half.T).tocsr()


def distance_from(vertices: Array, faces: Ids, seeds: Ids) -> Array:
    """(V,) length of the shortest edge path from the nearest seed, metres."""
    lengths = edge_lengths(vertices, faces)
    return np.asarray(dijkstra(lengths, directed=False, indices=seeds, min_only=True))


def faired(
    vertices: Array, faces: Ids, fixed: Ids, values: Array, free: NDArray[np.bool_]
) -> Array:
    """The smoothest displacement with given values (bilaplacian surface fairing).

    Botsch and Kobbelt, "An intuitive framework for real-time freeform modeling", 2004: minimises
    the squared Laplacian of the displacement, which is then continuous with its slope at the edge
    of the region that may move.

    Args:
        vertices: (V, 3).
        faces: (F, 3).
        fixed: (C,) vertices whose displacement is given.
        values: (C, D) their displacement.
        free: (V,) vertices that may move; all others stay.

    Returns:
        (V, D) displacement.
    """
    lengths = edge_lengths(vertices, faces)
    weights = lengths.copy()
    weights.data = 1 / np.maximum(weights.data, 1e-5)
    degree = np.asarray(weights.sum(axis=1)).ravel()
    laplacian = diags(np.ones(len(vertices))) - diags(1 / np.maximum(degree, 1e-12)) @ weights
    energy = (laplacian.T @ laplacian).tocsr()
    displacement = np.zeros((len(vertices), values.shape[1]))
    displacement[fixed] = values
    movable = free.copy()
    movable[fixed] = False
    unknown = np.nonzero(movable)[0]
    system = energy[unknown][:, unknown].tocsc()
    displacement[unknown] = splu(system).solve(-(energy[unknown] @ displacement))
    return displacement
