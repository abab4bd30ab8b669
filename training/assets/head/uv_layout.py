# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture space: islands sized by what they show, packed on shelves."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from engine.core.arrays import Double, Ids

_MARGIN = 0.006


def packed(vertices: Double, faces: Ids, uv: Double, uv_faces: Ids, importance: Double) -> Double:
    """New texture coordinates in [0, 1] with the same islands at even texel density.

    Args:
        vertices: (V, 3), for areas.
        faces: (F, 3).
        uv: (U, 2) with islands that do not overlap within themselves.
        uv_faces: (F, 3).
        importance: (F,) wanted density relative to the skin's.
    """
    edges = np.concatenate([uv_faces[:, [0, 1]], uv_faces[:, [1, 2]]])
    links = coo_matrix((np.ones(len(edges)), edges.T), (len(uv), len(uv)))
    count, island = connected_components(links, directed=False)
    of_face = island[uv_faces[:, 0]]
    corners, flat = vertices[faces], uv[uv_faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    first, second = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    flat_area = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])
    shown = np.bincount(of_face, area * importance**2, count)
    scale = np.sqrt(shown / np.maximum(np.bincount(of_face, flat_area, count), 1e-12))
    low = np.full((count, 2), np.inf)
    high = np.full((count, 2), -np.inf)
    np.minimum.at(low, island, uv)
    np.maximum.at(high, island, uv)
    sizes = (high - low) * scale[:, None]
    fits, too_big = 0.0, 100.0
    for _ in range(40):
        factor = (fits + too_big) / 2
        if _shelves(sizes * factor) is None:
            too_big = factor
        else:
            fits = factor
    places = _shelves(sizes * fits)
    assert places is not None
    return np.asarray((uv - low[island]) * (scale * fits)[island][:, None] + places[island])


def _shelves(sizes: Double) -> Double | None:
    """Lower left corners of boxes in the unit square, or None where they do not fit."""
    corners = np.zeros_like(sizes)
    x, y, shelf = _MARGIN, _MARGIN, 0.0
    for box in np.argsort(-sizes[:, 1], kind="stable"):
        width, height = sizes[box]
        if x + width + _MARGIN > 1:
            x, y, shelf = _MARGIN, y + shelf + _MARGIN, 0.0
        if x + width + _MARGIN > 1 or y + height + _MARGIN > 1:
            return None
        corners[box] = x, y
        x += width + _MARGIN
        shelf = max(shelf, height)
    return corners
