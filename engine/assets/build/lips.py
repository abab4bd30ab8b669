# SPDX-License-Identifier: GPL-3.0-or-later
"""The mouth slit: which vertices meet across it, and expressions that close it exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.assets.build.fairing import distance_from, faired
from engine.assets.build.mesh import Array, Ids, Mesh
from engine.assets.build.source import Source

# The base mesh's vertices on the midline, from the front of the upper lip's vermilion back into
# the mouth: each starts an edge loop that runs once round the mouth opening.
_RIM = 520
_INNER_LOOPS = (474, 520, 537)
# How far from the slit the closing of the neutral lips may move the skin.
_CLOSING_REACH = 0.009
_MOUTH_CLOSE_REACH = 0.030


@dataclass(frozen=True, eq=False)
class Slit:
    """Pairs of source vertices that meet across the mouth, right corner to left.

    Attributes:
        upper: (P,) on the upper lip.
        lower: (P,) on the lower lip.
        corners: (2,) right and left corner of the mouth.
        inner: source vertices of the loops where the lips meet.
    """

    upper: Ids
    lower: Ids
    corners: Ids
    inner: Ids


def mouth_slit(source: Source) -> Slit:
    """Trace the loops round the mouth opening and pair them across it."""
    loop = edge_loop(source.quads, _RIM, source.vertices)
    x = source.vertices[loop, 0]
    right, left = loop[np.argmin(x)], loop[np.argmax(x)]
    first, second = np.sort([np.argmin(x), np.argmax(x)])
    arcs = [loop[first + 1 : second], np.concatenate([loop[second + 1 :], loop[:first]])]
    upper = next(arc for arc in arcs if _RIM in arc)
    lower = next(arc for arc in arcs if _RIM not in arc)
    lower = lower[np.argsort(source.vertices[lower, 0])]
    across = source.vertices[lower, 0][:, None] - source.vertices[upper, 0]
    partner = upper[np.abs(across).argmin(axis=1)]
    inner = [edge_loop(source.quads, start, source.vertices) for start in _INNER_LOOPS]
    return Slit(
        upper=partner, lower=lower, corners=np.array([right, left]), inner=np.concatenate(inner)
    )


def edge_loop(quads: Ids, start: int, vertices: Array) -> Ids:
    """The closed edge loop of a quad mesh that crosses the midline at a vertex.

    Raises:
        ValueError: the loop runs into a vertex without a straight continuation.
    """
    near = quads[np.isin(quads, _neighbourhood(quads, start)).any(axis=1)]
    neighbours: dict[int, set[int]] = {}
    faces_of: dict[int, list[set[int]]] = {}
    for quad in near.tolist():
        for corner, vertex in enumerate(quad):
            neighbours.setdefault(vertex, set()).update((quad[corner - 1], quad[corner - 3]))
            faces_of.setdefault(vertex, []).append(set(quad))
    second = min(neighbours[start], key=lambda vertex: vertices[vertex, 0])
    loop = [start, second]
    while True:
        here, before = loop[-1], loop[-2]
        beside = set().union(*(face for face in faces_of[here] if before in face))
        onward = neighbours[here] - beside
        if len(neighbours[here]) != 4 or len(onward) != 1:
            raise ValueError(f"The loop of vertex {start} ends at vertex {here}.")
        following = onward.pop()
        if following == start:
            return np.array(loop)
        loop.append(following)


def _neighbourhood(quads: Ids, start: int, steps: int = 24) -> Ids:
    """Vertices within a number of face steps."""
    reached = np.array([start])
    for _ in range(steps):
        reached = np.unique(quads[np.isin(quads, reached).any(axis=1)])
    return reached


def lips_touching(mesh: Mesh, upper: Ids, lower: Ids) -> Mesh:
    """Bring the paired vertices of the neutral mouth to their common midpoint."""
    middle = (mesh.vertices[upper] + mesh.vertices[lower]) / 2
    fixed = np.concatenate([upper, lower])
    values = np.concatenate([middle - mesh.vertices[upper], middle - mesh.vertices[lower]])
    moved = faired(mesh.vertices, mesh.faces, fixed, values, _within(mesh, fixed, _CLOSING_REACH))
    return replace(mesh, vertices=mesh.vertices + moved)


def closing_exactly(mesh: Mesh, jaw_open: int, mouth_close: int, upper: Ids, lower: Ids) -> Mesh:
    """Correct ``mouthClose`` so that with an equal ``jawOpen`` every pair stays together.

    Both are linear, so a pair that meets at weight one meets at every weight.
    """
    together = mesh.deltas[jaw_open] + mesh.deltas[mouth_close]
    apart = together[upper] - together[lower]
    fixed = np.concatenate([upper, lower])
    values = np.concatenate([-apart / 2, apart / 2])
    correction = faired(
        mesh.vertices, mesh.faces, fixed, values, _within(mesh, fixed, _MOUTH_CLOSE_REACH)
    )
    deltas = mesh.deltas.copy()
    deltas[mouth_close] += correction
    return mesh.with_deltas(deltas)


def _within(mesh: Mesh, seeds: Ids, reach: float) -> NDArray[np.bool_]:
    return distance_from(mesh.vertices, mesh.faces, seeds) < reach
