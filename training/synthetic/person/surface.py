# SPDX-License-Identifier: GPL-3.0-or-later
"""What materials and hair read from the surface: normals, and regions without an edge."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, diags

from engine.core.arrays import Double
from engine.heads.head import Head


def vertex_normals(vertices: Double, faces: NDArray[np.int32]) -> Double:
    """(V, 3) unit normals, weighted by area."""
    v0, v1, v2 = (vertices[faces[:, k]] for k in range(3))
    cross = np.cross(v1 - v0, v2 - v0)
    total = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(total, faces[:, k], cross)
    unit: Double = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-18)
    return unit


def soften(head: Head, rounds: Mapping[str, int]) -> dict[str, Double]:
    """Blur each region over the mesh.

    Args:
        head: the head.
        rounds: smoothing rounds by region name; a round reaches one edge farther.

    Returns:
        (V,) membership in [0, 1] by region name, smooth over the surface.
    """
    V, faces = head.vertex_count, head.faces
    i, j = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    links = coo_matrix((np.ones(len(i)), (i, j)), shape=(V, V)).tocsr()
    links = ((links + links.T) > 0).astype(np.float64)
    degree = np.asarray(links.sum(1)).ravel()
    average = diags(1 / np.maximum(degree, 1)) @ links
    region = {}
    for name, count in rounds.items():
        mask = np.zeros(V)
        mask[head.regions[name]] = 1
        for _ in range(count):
            mask = 0.5 * mask + 0.5 * (average @ mask)
        region[name] = mask
    return region
