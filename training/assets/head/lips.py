# SPDX-License-Identifier: GPL-3.0-or-later
"""The mouth slit: which vertices meet across it, and expressions that close it exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from engine.core.arrays import Double, Ids
from training.assets.head.fairing import Fairing
from training.assets.head.mesh import Mesh
from training.assets.head.source import Source
from training.assets.head.subdivision import Subdivision

# The base mesh's vertices on the midline, from the front of the upper lip's vermilion back into
# the mouth: each starts an edge loop that runs once round the mouth opening.
_RIM = 520
_ON_MIDLINE = 1e-4
_INNER_LOOPS = (474, 520, 537)
# Face steps from the midline within which the loop is looked for.
_STEPS = 24
# How far from the slit a correction may move the skin, metres.
_REACH = 0.010
_MOUTH_CLOSE_REACH = 0.030
# The source's lower lip hangs from the lowered jaw: so much of the way back to the teeth it goes,
# all of it where it hangs by more than the second number, metres.
_LIFTED, _HANGING = 0.85, 0.003
# Sets of expressions that together leave closed lips closed.
_CLOSED_SETS = (
    ("cheekPuff",),
    ("mouthDimpleLeft",),
    ("mouthDimpleRight",),
    ("mouthFrownLeft",),
    ("mouthFrownRight",),
    ("mouthLeft",),
    ("mouthRight",),
    ("mouthPressLeft",),
    ("mouthPressRight",),
    ("mouthPucker",),
    ("mouthRollLower", "mouthRollUpper"),
    ("mouthSmileLeft",),
    ("mouthSmileRight",),
    ("mouthStretchLeft",),
    ("mouthStretchRight",),
    ("noseSneerLeft",),
    ("noseSneerRight",),
)
# Expressions in which one lip slides along the other without leaving it or crossing it.
_SLIDING = ("jawForward", "jawLeft", "jawRight", "mouthShrugLower")
# Expressions that may part the lips but not push one through the other.
_OPENING = (
    "mouthFunnel",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthShrugUpper",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
)


@dataclass(frozen=True, eq=False)
class Slit:
    """Pairs of vertices that meet across the mouth, right corner to left.

    Attributes:
        upper: (P,) on the upper lip.
        lower: (P,) on the lower lip.
        corners: (2,) right and left corner of the mouth.
        inner: vertices of the loops where the lips meet.
    """

    upper: Ids
    lower: Ids
    corners: Ids
    inner: Ids


def mouth_slit(source: Source, subdivision: Subdivision) -> Slit:
    """Trace the loops round the mouth opening and pair the lips across it.

    Returns:
        The slit as indices of the subdivided mesh.
    """
    vertices = np.asarray(subdivision.matrix @ source.vertices)
    loops = [subdivision.along(edge_loop(source.quads, k, source.vertices)) for k in _INNER_LOOPS]
    rim = loops[_INNER_LOOPS.index(_RIM)]
    x = vertices[rim, 0]
    first, second = np.sort([np.argmin(x), np.argmax(x)])
    arcs = [rim[first + 1 : second], np.concatenate([rim[second + 1 :], rim[:first]])]
    upper = next(arc for arc in arcs if _RIM in arc)
    lower = next(arc for arc in arcs if _RIM not in arc)
    # The right half up to the midline; the left half is its mirror image.
    lower = lower[np.argsort(vertices[lower, 0])]
    lower = lower[vertices[lower, 0] < _ON_MIDLINE]
    across = vertices[lower, 0][:, None] - vertices[upper, 0]
    partner = upper[np.abs(across).argmin(axis=1)]
    # Near the corners the upper row is the coarser one: each vertex pairs once.
    once = np.sort(np.unique(partner, return_index=True)[1])
    tree = cKDTree(vertices[rim])
    right = np.stack([partner[once], lower[once]])
    beside = right[:, vertices[right[1], 0] < -_ON_MIDLINE][:, ::-1]
    left = rim[tree.query(vertices[beside] * [-1, 1, 1])[1]]
    pairs = np.concatenate([right, left], axis=1)
    return Slit(
        upper=pairs[0],
        lower=pairs[1],
        corners=rim[[np.argmin(x), np.argmax(x)]],
        inner=np.concatenate(loops),
    )


def edge_loop(quads: Ids, start: int, vertices: Double) -> Ids:
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


def _neighbourhood(quads: Ids, start: int) -> Ids:
    """Vertices within :data:`_STEPS` face steps."""
    reached = np.array([start])
    for _ in range(_STEPS):
        reached = np.unique(quads[np.isin(quads, reached).any(axis=1)])
    return reached


class Closure:
    """Corrections that keep the pairs of the slit together."""

    def __init__(self, mesh: Mesh, slit: Slit) -> None:
        self._upper, self._lower = slit.upper, slit.lower
        fixed = np.concatenate([slit.upper, slit.lower])
        self._near = Fairing(mesh.vertices, mesh.faces, fixed, _REACH)
        self._far = Fairing(mesh.vertices, mesh.faces, fixed, _MOUTH_CLOSE_REACH)

    def touching(self, mesh: Mesh) -> Mesh:
        """Bring the pairs of the neutral mouth to their common midpoint."""
        apart = mesh.vertices[self._upper] - mesh.vertices[self._lower]
        moved = self._near.spread(np.concatenate([-apart, apart]) / 2)
        return replace(mesh, vertices=mesh.vertices + moved)

    def lift_lower_lip(self, mesh: Mesh, names: tuple[str, ...], jaw: Double) -> Mesh:
        """Keep the lower lip at the lower teeth when the jaw opens.

        Args:
            mesh: the skin.
            names: of its expressions.
            jaw: (V, 3) offsets of the skin's vertices, did they move with the jaw alone.
        """
        deltas = mesh.deltas.copy()
        opening = deltas[names.index("jawOpen")]
        beyond = (opening - jaw)[self._lower]
        part = np.clip(-beyond[:, 1:2] / _HANGING, 0, 1)
        lifted = np.concatenate([np.zeros_like(beyond), -_LIFTED * part * beyond])
        opening += self._far.spread(lifted)
        return mesh.with_deltas(deltas)

    def close_lips(self, mesh: Mesh, names: tuple[str, ...]) -> Mesh:
        """Correct every expression that has to leave the lips together, or may not cross them.

        Expressions are linear, so lips that meet at weight one meet at every weight.
        """
        deltas = mesh.deltas.copy()
        for together in _CLOSED_SETS:
            members = [names.index(name) for name in together]
            apart = self._apart(deltas[members].sum(axis=0))
            deltas[members] += self._near.spread(apart) / len(members)
        for name in _SLIDING:
            apart = self._apart(deltas[names.index(name)]) * [0, 1, 0]
            deltas[names.index(name)] += self._near.spread(apart)
        for name in _OPENING:
            apart = self._apart(deltas[names.index(name)]) * [0, 1, 0]
            # On the upper lip a positive correction undoes a crossing, on the lower a negative.
            half = len(self._upper)
            apart[:half], apart[half:] = np.maximum(apart[:half], 0), np.minimum(apart[half:], 0)
            deltas[names.index(name)] += self._near.spread(apart)
        open_and_closed = deltas[names.index("jawOpen")] + deltas[names.index("mouthClose")]
        deltas[names.index("mouthClose")] += self._far.spread(self._apart(open_and_closed))
        return mesh.with_deltas(deltas)

    def keep_together(self, deltas: Double) -> Double:
        """Offsets (E, V, 3) with each corrected so that the pairs of the slit move as one."""
        return np.stack([delta + self._near.spread(self._apart(delta)) for delta in deltas])

    def _apart(self, delta: Double) -> Double:
        """What to add at the upper and the lower vertices so that the pairs move as one."""
        apart = delta[self._upper] - delta[self._lower]
        return np.asarray(np.concatenate([-apart, apart]) / 2)
