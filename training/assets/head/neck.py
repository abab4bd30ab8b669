# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting head and neck off the body along a plane, and closing the cut."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.spatial import cKDTree

from engine.core.arrays import Double, Ids
from training.assets.head.fairing import Fairing
from training.assets.head.mesh import Mesh, boundary_loops

# Points (y, z) of the cut from the side: below the larynx, and on the nape.
_FRONT = np.array([-0.166, -0.050])
_NAPE = np.array([-0.122, -0.155])
# Vertices this near the plane are moved onto it, so that the cut leaves no slivers.
_SNAP = 0.004
_RIM = 0.006
# Radii of the flat rings inside the rim, as shares of the cut's.
_CAP_RINGS = (0.66, 0.33)
_MIRROR = np.array([-1.0, 1.0, 1.0])
_ROUNDING, _ROUNDING_REACH = 24, 0.04


def _plane() -> tuple[Double, Double]:
    """A point of the cut and its unit normal, which points up into the head."""
    along = _FRONT - _NAPE
    normal = np.array([0.0, along[1], -along[0]])
    return np.array([0.0, *_FRONT]), normal / np.linalg.norm(normal)


def cut_below(mesh: Mesh) -> Mesh:
    """Keep what lies above the cut; the new edge lies in the plane exactly."""
    point, normal = _plane()
    height = (mesh.vertices - point) @ normal
    near = np.abs(height) < _SNAP
    vertices = mesh.vertices - np.where(near, height, 0)[:, None] * normal
    height = np.where(near, 0.0, height)
    crossing = _Crossing(height, len(vertices))
    uv_crossing = _Crossing(height, len(mesh.uv))
    faces: list[list[int]] = []
    uv_faces: list[list[int]] = []
    for face, uv_face in zip(mesh.faces.tolist(), mesh.uv_faces.tolist(), strict=True):
        clipped = _clipped(face, uv_face, height, crossing, uv_crossing)
        for second in range(1, len(clipped) - 1):
            triangle = [clipped[0], clipped[second], clipped[second + 1]]
            faces.append([vertex for vertex, _ in triangle])
            uv_faces.append([vertex for _, vertex in triangle])
    cut = replace(mesh, vertices=vertices).mixed(
        crossing.matrix(), uv_crossing.matrix(), np.array(faces), np.array(uv_faces)
    )
    return cut.only(np.ones(len(cut.faces), bool))


class _Crossing:
    """New points where edges cross the plane, one for each edge."""

    def __init__(self, height: Double, count: int) -> None:
        self._height = height
        self._count = count
        self._points: dict[tuple[int, int], tuple[int, float]] = {}

    def point(self, ends: tuple[int, int], share: float) -> int:
        """Index of the point ``share`` of the way along the edge."""
        key = ends if ends[0] < ends[1] else ends[::-1]
        share = share if ends[0] < ends[1] else 1 - share
        return self._points.setdefault(key, (self._count + len(self._points), share))[0]

    def matrix(self) -> csr_matrix:
        rows = list(range(self._count))
        columns = list(range(self._count))
        values = [1.0] * self._count
        for (first, second), (row, share) in self._points.items():
            rows += [row, row]
            columns += [first, second]
            values += [1 - share, share]
        shape = (self._count + len(self._points), self._count)
        return coo_matrix((values, (rows, columns)), shape).tocsr()


def _clipped(
    face: list[int],
    uv_face: list[int],
    height: Double,
    crossing: _Crossing,
    uv_crossing: _Crossing,
) -> list[tuple[int, int]]:
    """Corners of a triangle's part above the plane (Sutherland-Hodgman); empty where none is."""
    if max(height[face]) <= 0:
        return []
    corners = []
    for corner in range(3):
        here, there = face[corner], face[(corner + 1) % 3]
        uv_here, uv_there = uv_face[corner], uv_face[(corner + 1) % 3]
        if height[here] >= 0:
            corners.append((here, uv_here))
        if height[here] * height[there] < 0:
            share = height[here] / (height[here] - height[there])
            corners.append(
                (
                    crossing.point((here, there), share),
                    uv_crossing.point((uv_here, uv_there), share),
                )
            )
    return corners


def largest_component(mesh: Mesh) -> Mesh:
    """The connected component with the most faces: the head, without hands above the cut."""
    labels = np.arange(len(mesh.vertices))
    while True:
        lowest = labels.copy()
        np.minimum.at(lowest, mesh.faces.ravel(), np.repeat(labels[mesh.faces].min(axis=1), 3))
        if np.array_equal(lowest, labels):
            break
        labels = lowest[lowest]
    component = labels[mesh.faces[:, 0]]
    return mesh.only(component == np.bincount(component).argmax())


def rounded(mesh: Mesh) -> Mesh:
    """Round the outline of the cut, which has corners where it crosses the shoulder muscles."""
    loop = max(boundary_loops(mesh.faces), key=len)
    rim = mesh.vertices[loop]
    for _ in range(_ROUNDING):
        rim = (np.roll(rim, 1, axis=0) + 2 * rim + np.roll(rim, -1, axis=0)) / 4
    fairing = Fairing(mesh.vertices, mesh.faces, loop, _ROUNDING_REACH)
    moved = fairing.spread(rim - mesh.vertices[loop])
    # Cut faces are not split alike on both sides, so the spreading is made symmetric here.
    mirrored = mesh.vertices * _MIRROR
    moved = (moved + moved[cKDTree(mesh.vertices).query(mirrored)[1]] * _MIRROR) / 2
    return replace(mesh, vertices=mesh.vertices + moved)


def closed_neck(mesh: Mesh) -> tuple[Mesh, Ids]:
    """Close the cut with a rounded rim and a flat cap.

    Args:
        mesh: the head with one open loop at the neck.

    Returns:
        The closed mesh, and the indices of the vertices that were added.
    """
    _, normal = _plane()
    loops = boundary_loops(mesh.faces)
    loop = max(loops, key=len)
    rim = mesh.vertices[loop]
    middle = rim.mean(axis=0)
    inward = middle - rim
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    rings = [
        rim + inward * _RIM * 0.3 - normal * _RIM * 0.7,
        rim + inward * _RIM - normal * _RIM,
        *(middle + (rim - middle) * share - normal * _RIM for share in _CAP_RINGS),
    ]
    added = np.concatenate([*rings, (middle - normal * _RIM)[None]])
    count, start = len(loop), len(mesh.vertices)
    ring_ids = [loop] + [start + k * count + np.arange(count) for k in range(len(rings))]
    centre = start + len(added) - 1
    faces = [_strip(outer, inner) for outer, inner in pairwise(ring_ids)]
    last = ring_ids[-1]
    faces.append(np.stack([last, np.full(count, centre), np.roll(last, -1)], axis=1)[:, [0, 2, 1]])
    # The loop runs with its faces on the left, so the new faces must run against it.
    new_faces = np.concatenate(faces)[:, ::-1]
    uv, uv_faces = _cap_uv(ring_ids, centre, new_faces)
    cap = Mesh(
        vertices=np.concatenate([mesh.vertices, added]),
        deltas=np.concatenate([mesh.deltas, _cap_deltas(mesh.deltas[:, loop])], axis=1),
        weights=np.concatenate([mesh.weights, _root_weights(mesh.weights, loop, len(added))]),
        masks=np.concatenate([mesh.masks, np.zeros((len(added), mesh.masks.shape[1]))]),
        origins=np.concatenate([mesh.origins, np.full(len(added), -1)]),
        faces=np.concatenate([mesh.faces, new_faces]),
        uv=np.concatenate([mesh.uv, uv]),
        uv_faces=np.concatenate([mesh.uv_faces, uv_faces + len(mesh.uv)]),
    )
    return cap, start + np.arange(len(added))


def _strip(outer: Ids, inner: Ids) -> Ids:
    """Triangles between two rings of the same length."""
    following, inner_following = np.roll(outer, -1), np.roll(inner, -1)
    first = np.stack([outer, following, inner_following], axis=1)
    second = np.stack([outer, inner_following, inner], axis=1)
    return np.concatenate([first, second])


def _cap_deltas(moved: Double) -> Double:
    """(E, N, 3) offsets of the cap's vertices, in their order, for those of the cut's edge."""
    middle = moved.mean(axis=1, keepdims=True)
    inner = [middle + (moved - middle) * share for share in _CAP_RINGS]
    return np.concatenate([moved, moved, *inner, middle], axis=1)


def _root_weights(weights: Double, loop: Ids, count: int) -> Double:
    """The cap moves as the edge does on average, so that it stays flat."""
    return np.repeat(weights[loop].mean(axis=0, keepdims=True), count, axis=0)


def _cap_uv(rings: list[Ids], centre: int, faces: Ids) -> tuple[Double, Ids]:
    """A disc in texture space: concentric rings, the loop outermost."""
    count = len(rings[0])
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    radii = np.linspace(1, 0, len(rings) + 1)[:-1]
    uv = np.concatenate([circle * radius for radius in radii] + [np.zeros((1, 2))])
    index = {int(vertex): k for k, vertex in enumerate(np.concatenate(rings))}
    index[centre] = len(uv) - 1
    uv_faces: NDArray[np.int64] = np.vectorize(index.__getitem__)(faces)
    return uv, uv_faces
