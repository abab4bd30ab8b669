# SPDX-License-Identifier: GPL-3.0-or-later
"""Finer quads where the face needs them: each chosen quad becomes four, on a smooth surface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from engine.core.arrays import Double, Ids
from training.assets.head.mesh import triangulated

Edge = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Subdivision:
    """How a subdivided mesh follows from its quads.

    Attributes:
        matrix: (V', V) new vertices from old; the first V rows are the identity.
        uv_matrix: (U', U) the same for texture coordinates.
        faces: (F, 3) triangles.
        uv_faces: (F, 3) texture triangles.
        edge_points: the new vertex on each split edge, by its sorted ends.
    """

    matrix: csr_matrix
    uv_matrix: csr_matrix
    faces: Ids
    uv_faces: Ids
    edge_points: Mapping[Edge, int]

    def along(self, loop: Ids) -> Ids:
        """A closed loop of old vertices with the new ones between them."""
        dense: list[int] = []
        for here, there in zip(loop.tolist(), np.roll(loop, -1).tolist(), strict=True):
            dense.append(here)
            point = self.edge_points.get(_edge(here, there))
            if point is not None:
                dense.append(point)
        return np.array(dense)


def subdivided(
    vertices: Double, quads: Ids, uv_quads: Ids, chosen: NDArray[np.bool_]
) -> Subdivision:
    """Split the chosen quads in four; their neighbours become triangles that fit.

    New points interpolate: on edges by the four-point rule (Dyn, Levin and Gregory, 1987) along
    the quad rows, in faces by a Coons patch of the four edge points, so the surface keeps its
    volume and old vertices stay where they are.

    Args:
        vertices: (V, 3), to choose diagonals.
        quads: (F, 4).
        uv_quads: (F, 4).
        chosen: (F,) which to split.
    """
    rows = _Rows(quads)
    points = _Points(len(vertices))
    uv_points = _Points(int(uv_quads.max()) + 1)
    split = {_edge(*ends) for quad in quads[chosen].tolist() for ends in _sides(quad)}
    faces: list[tuple[int, ...]] = []
    uv_faces: list[tuple[int, ...]] = []
    fine: list[list[int]] = []
    uv_fine: list[list[int]] = []
    for quad, uv_quad, whole in zip(
        quads.tolist(), uv_quads.tolist(), (~chosen).tolist(), strict=True
    ):
        middle = [
            points.edge(ends, rows.four_point(ends)) if _edge(*ends) in split else None
            for ends in _sides(quad)
        ]
        uv_middle = [
            None if point is None else uv_points.edge(ends, {ends[0]: 0.5, ends[1]: 0.5})
            for point, ends in zip(middle, _sides(uv_quad), strict=True)
        ]
        if not any(point is not None for point in middle):
            fine.append(quad)
            uv_fine.append(uv_quad)
        elif whole:
            faces += _fan(quad, middle)
            uv_faces += _fan(uv_quad, uv_middle)
        else:
            fine += _quarters(quad, middle, points.face(quad, middle))
            uv_fine += _quarters(uv_quad, uv_middle, uv_points.face(uv_quad, uv_middle))
    matrix = points.matrix()
    triangles, uv_triangles = triangulated(
        np.asarray(matrix @ vertices), np.array(fine), np.array(uv_fine)
    )
    return Subdivision(
        matrix=matrix,
        uv_matrix=uv_points.matrix(),
        faces=np.concatenate([triangles, np.array(faces, int).reshape(-1, 3)]),
        uv_faces=np.concatenate([uv_triangles, np.array(uv_faces, int).reshape(-1, 3)]),
        edge_points=points.on_edges,
    )


def _edge(first: int, second: int) -> Edge:
    return (first, second) if first < second else (second, first)


def _sides(quad: list[int]) -> list[Edge]:
    return [(quad[0], quad[1]), (quad[1], quad[2]), (quad[2], quad[3]), (quad[3], quad[0])]


class _Rows:
    """Where an edge continues: the next vertex of the straight row it belongs to."""

    def __init__(self, quads: Ids) -> None:
        self._neighbours: dict[int, set[int]] = {}
        self._faces: dict[int, list[set[int]]] = {}
        for quad in quads.tolist():
            for first, second in _sides(quad):
                self._neighbours.setdefault(first, set()).add(second)
                self._neighbours.setdefault(second, set()).add(first)
            for vertex in quad:
                self._faces.setdefault(vertex, []).append(set(quad))

    def onward(self, before: int, here: int) -> int | None:
        """The vertex after ``here`` when coming from ``before``; None at irregular vertices."""
        beside = set().union(*(face for face in self._faces[here] if before in face))
        onward = self._neighbours[here] - beside
        return onward.pop() if len(self._neighbours[here]) == 4 and len(onward) == 1 else None

    def four_point(self, ends: Edge) -> dict[int, float]:
        """Weights of the new point on an edge."""
        first, second = ends
        before, after = self.onward(second, first), self.onward(first, second)
        if before is None or after is None:
            return {first: 0.5, second: 0.5}
        return {before: -1 / 16, first: 9 / 16, second: 9 / 16, after: -1 / 16}


class _Points:
    """New points as weights of old ones."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._weights: list[dict[int, float]] = []
        self.on_edges: dict[Edge, int] = {}

    def _new(self, weights: dict[int, float]) -> int:
        self._weights.append(weights)
        return self._count + len(self._weights) - 1

    def edge(self, ends: Edge, weights: dict[int, float]) -> int:
        key = _edge(*ends)
        if key not in self.on_edges:
            self.on_edges[key] = self._new(weights)
        return self.on_edges[key]

    def face(self, corners: list[int], middle: list[int | None]) -> int:
        total: dict[int, float] = dict.fromkeys(corners, -0.25)
        for point in middle:
            assert point is not None
            for vertex, weight in self._weights[point - self._count].items():
                total[vertex] = total.get(vertex, 0) + weight / 2
        return self._new(total)

    def matrix(self) -> csr_matrix:
        columns = list(range(self._count))
        rows = list(range(self._count))
        values = [1.0] * self._count
        for row, weights in enumerate(self._weights, self._count):
            rows += [row] * len(weights)
            columns += list(weights)
            values += list(weights.values())
        shape = (self._count + len(self._weights), self._count)
        return coo_matrix((values, (rows, columns)), shape).tocsr()


def _quarters(quad: list[int], middle: list[int | None], centre: int) -> list[list[int]]:
    a, b, c, d = (point for point in middle if point is not None)
    return [
        [quad[0], a, centre, d],
        [a, quad[1], b, centre],
        [centre, b, quad[2], c],
        [d, centre, c, quad[3]],
    ]


def _fan(quad: list[int], middle: list[int | None]) -> list[tuple[int, int, int]]:
    """Triangles of a quad with extra points on some sides, fanned from the first extra point."""
    ring: list[int] = []
    for corner, point in zip(quad, middle, strict=True):
        ring.append(corner)
        if point is not None:
            ring.append(point)
    start = next(place for place, vertex in enumerate(ring) if vertex in middle)
    ring = ring[start:] + ring[:start]
    return [(ring[0], ring[k], ring[k + 1]) for k in range(1, len(ring) - 1)]
