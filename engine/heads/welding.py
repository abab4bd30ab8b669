# SPDX-License-Identifier: GPL-3.0-or-later
"""A surface whose vertices a file has split, made whole for a while.

STL has three vertices for each triangle, and glTF one for each normal and texture coordinate, so a
face comes in many parts that do not hang together. They are joined where the border of one triangle
is that of just one other, which runs the other way: so lips that touch stay apart where more than
two borders meet, and vertices that merely lie in one place do, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from engine.core.arrays import Index
from engine.gltf import GLTF_SUFFIXES
from engine.heads.head import Head

SPLITTING_SUFFIXES = GLTF_SUFFIXES | {".stl"}
"""Kinds of files that know no vertex of several normals or texture coordinates."""


@dataclass(frozen=True, eq=False)
class Weld:
    """A head, whole.

    Attributes:
        head: with W vertices.
        index: (V,) of the whole head's vertices, for each of the split one's.
        first: (W,) of the split head's vertices, one for each of the whole one's.
    """

    head: Head
    index: NDArray[np.intp]
    first: NDArray[np.intp]

    def split(self, vertices: Index) -> Index:
        """All vertices of the split head that a set of the whole one's stands for, sorted."""
        return np.flatnonzero(np.isin(self.index, vertices)).astype(np.int32)


def weld(head: Head) -> Weld:
    """Join what a file has split; a head of another kind of file as it is."""
    index = np.arange(head.vertex_count)
    if Path(head.provenance.get("source", "")).suffix.lower() in SPLITTING_SUFFIXES:
        index = _joined(head)
    _, first = np.unique(index, return_index=True)
    if len(first) == head.vertex_count:
        return Weld(head, index, first)
    faces = index[head.faces].astype(np.int32)
    # A sliver's corners may have been in one place.
    kept = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    whole = replace(
        head,
        template=head.template[first],
        faces=faces[kept],
        uv_faces=head.uv_faces[kept],
        expression_basis=head.expression_basis[:, first],
        skeleton=replace(head.skeleton, weights=head.skeleton.weights[first]),
        regions={n: np.unique(index[v]).astype(np.int32) for n, v in head.regions.items()},
        landmarks={n: index[v].astype(np.int32) for n, v in head.landmarks.items()},
    )
    return Weld(whole, index, first)


def _joined(head: Head) -> NDArray[np.intp]:
    """(V,) number of the whole vertex that each is part of."""
    count = head.vertex_count
    _, place = np.unique(head.template, axis=0, return_inverse=True)
    place = place.reshape(-1)
    start = head.faces.ravel().astype(np.int64)
    end = np.roll(head.faces, -1, axis=1).ravel().astype(np.int64)
    border = ~np.isin(start * count + end, end * count + start)
    start, end = start[border], end[border]
    forth, back = place[start] * count + place[end], place[end] * count + place[start]
    _, known, times = np.unique(forth, return_inverse=True, return_counts=True)
    lone = (times[known.reshape(-1)] == 1) & (forth != back)
    start, end, forth, back = start[lone], end[lone], forth[lone], back[lone]
    order = np.argsort(forth)
    at = np.minimum(np.searchsorted(forth[order], back), max(len(order) - 1, 0))
    other = order[at] if len(order) else at
    paired = forth[other] == back if len(order) else np.zeros(0, bool)
    ours = np.concatenate([start[paired], end[paired]])
    theirs = np.concatenate([end[other[paired]], start[other[paired]]])
    links = coo_matrix((np.ones(len(ours)), (ours, theirs)), shape=(count, count))
    _, index = connected_components(links, directed=False)
    return np.asarray(index, np.intp)
