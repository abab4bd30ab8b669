# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians on the triangles that carry them, in one pass each over triangles and Gaussians.

What :mod:`engine.avatar.binding` says with tensors;
:mod:`engine.avatar.kernels.binding_gradients` is the way back.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange

from engine.core.arrays import Float, Index

TINY = 1e-24
"""As in :mod:`engine.avatar.binding`: below this squared length a direction is undefined."""
SHORTEST = 1e-12
"""Metres: edges are not divided by less."""
CHUNK = 256
"""Triangles that a thread works off at once."""
QUAT, SIZE, CENTER = 9, 13, 14
"""Where a frame's quaternion, size and centre stand, after its rotation by rows."""
COLUMNS = 17


@njit(cache=True, error_model="numpy")
def unit(v: Any, otherwise: Any) -> None:
    """Bring ``v`` to length one; to ``otherwise`` where it has no direction."""
    squared = v[0] * v[0] + v[1] * v[1] + v[2] * v[2]
    for c in range(3):
        v[c] = v[c] / math.sqrt(squared) if squared > TINY else otherwise[c]


@njit(cache=True, error_model="numpy")
def cross(a: Any, b: Any, out: Any) -> None:
    """``a`` × ``b`` into ``out``."""
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


@njit(cache=True, error_model="numpy")
def perpendicular(direction: Any, axis: Any, out: Any) -> Any:
    """Some unit vector perpendicular to a unit vector.

    Args:
        direction: (3,) the unit vector.
        axis: (3,) output, the axis of space that is farthest from it.
        out: (3,) output, the normalised product ``direction`` × ``axis``.

    Returns:
        The product's length.
    """
    smallest = 0
    for c in range(3):
        axis[c] = 0.0
        if abs(direction[c]) < abs(direction[smallest]):
            smallest = c
    axis[smallest] = 1.0
    cross(direction, axis, out)
    length = math.sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2])
    for c in range(3):
        out[c] /= length
    return length


@njit(cache=True, error_model="numpy")
def quaternion(m: Any, q: Any) -> None:
    """Unit quaternion wxyz of a rotation matrix, by the formula with the largest divisor."""
    xx, yy, zz = m[0], m[4], m[8]
    x, y, z = m[7] - m[5], m[2] - m[6], m[3] - m[1]
    xy, xz, yz = m[1] + m[3], m[2] + m[6], m[5] + m[7]
    s0, s1, s2, s3 = 1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz
    if s0 >= s1 and s0 >= s2 and s0 >= s3:
        q[0], q[1], q[2], q[3] = s0, x, y, z
    elif s1 >= s2 and s1 >= s3:
        q[0], q[1], q[2], q[3] = x, s1, xy, xz
    elif s2 >= s3:
        q[0], q[1], q[2], q[3] = y, xy, s2, yz
    else:
        q[0], q[1], q[2], q[3] = z, xz, yz, s3
    norm = math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    for c in range(4):
        q[c] /= norm


@njit(cache=True, error_model="numpy")
def axes(vertices: Any, corners: Any, room: Any) -> tuple[Any, Any, Any, Any]:
    """The axes of one triangle, and what they are made of.

    Args:
        vertices: (V, 3).
        corners: (3,) the triangle's corners.
        room: (8, 3) output: both edges from the first corner, the three axes, the second edge over
            the longer one's length, and what :func:`perpendicular` gives for the first axis: the
            vector and the axis of space.

    Returns:
        Squared lengths of the two edges and of the second axis before it was brought to length
        one, and the length that :func:`perpendicular` returns.
    """
    first, second, a0, a1, a2, scaled, other, axis = room
    i, j, k = corners[0], corners[1], corners[2]
    squared_first, squared_second = 0.0, 0.0
    for c in range(3):
        # In float64 from here: the normal of a sliver is a difference of nearly equal numbers.
        origin = np.float64(vertices[i, c])
        first[c] = a0[c] = np.float64(vertices[j, c]) - origin
        second[c] = other[c] = np.float64(vertices[k, c]) - origin
        axis[c] = 1.0 if c == 0 else 0.0
        squared_first += first[c] * first[c]
        squared_second += second[c] * second[c]
    unit(other, axis)
    unit(a0, other)
    # Both edges brought to about one: the product of micrometre edges is too small for float32.
    longest = max(math.sqrt(max(squared_first, squared_second)), SHORTEST)
    for c in range(3):
        scaled[c] = second[c] / longest
    cross(a0, scaled, a1)
    squared_across = a1[0] * a1[0] + a1[1] * a1[1] + a1[2] * a1[2]
    length = perpendicular(a0, axis, other)
    unit(a1, other)
    cross(a0, a1, a2)
    return squared_first, squared_second, squared_across, length


@njit(cache=True, parallel=True, error_model="numpy")
def frames_of(vertices: Float, faces: Index) -> Any:
    """Frames of triangles: (F, COLUMNS) rotation by rows, quaternion, size, centre.

    Args:
        vertices: (V, 3), metres.
        faces: (F, 3) int32.
    """
    frames = np.empty((faces.shape[0], COLUMNS), np.float32)
    for chunk in prange((faces.shape[0] + CHUNK - 1) // CHUNK):
        # Once a chunk: making small arrays takes longer than what is worked out in them.
        room, m, q = np.empty((8, 3)), np.empty(9), np.empty(4)
        first, second, a0, a1, a2 = room[0], room[1], room[2], room[3], room[4]
        for f in range(chunk * CHUNK, min(faces.shape[0], (chunk + 1) * CHUNK)):
            axes(vertices, faces[f], room)
            row = frames[f]
            base, height = 0.0, 0.0
            for c in range(3):
                base += first[c] * a0[c]
                height += second[c] * a2[c]
                m[3 * c], m[3 * c + 1], m[3 * c + 2] = a0[c], a1[c], a2[c]
                corners = (
                    vertices[faces[f, 0], c] + vertices[faces[f, 1], c] + vertices[faces[f, 2], c]
                )
                row[CENTER + c] = corners / 3
            quaternion(m, q)
            for c in range(9):
                row[c] = m[c]
            for c in range(4):
                row[QUAT + c] = q[c]
            row[SIZE] = 0.5 * (abs(base) + abs(height))
    return frames


@njit(cache=True, parallel=True, error_model="numpy")
def _on_triangles(
    frames: Float,
    binding: Index,
    positions: Float,
    quats: Float,
    scales: Float,
    out_means: Float,
    out_quats: Float,
    out_scales: Float,
) -> None:
    for g in prange(binding.shape[0]):
        row = frames[binding[g]]
        size = row[SIZE]
        px, py, pz = positions[g, 0], positions[g, 1], positions[g, 2]
        for c in range(3):
            along = row[3 * c] * px + row[3 * c + 1] * py + row[3 * c + 2] * pz
            out_means[g, c] = along * size + row[CENTER + c]
            out_scales[g, c] = size * scales[g, c]
        a, b, d, e = row[QUAT], row[QUAT + 1], row[QUAT + 2], row[QUAT + 3]
        w, x, y, z = quats[g, 0], quats[g, 1], quats[g, 2], quats[g, 3]
        out_quats[g, 0] = a * w - b * x - d * y - e * z
        out_quats[g, 1] = a * x + b * w + d * z - e * y
        out_quats[g, 2] = a * y - b * z + d * w + e * x
        out_quats[g, 3] = a * z + b * y - d * x + e * w


def bind(
    frames: Float, binding: Index, positions: Float, quats: Float, scales: Float
) -> tuple[Float, Float, Float]:
    """Means, quaternions and scales in the space of the vertices.

    Args:
        frames: (F, COLUMNS) of :func:`frames_of`.
        binding: (G,) int32, triangle of each Gaussian.
        positions: (G, 3) in the triangle's frame.
        quats: (G, 4) wxyz of length one, there.
        scales: (G, 3) there, after the exponential.

    Returns:
        (G, 3), (G, 4) and (G, 3) float32.
    """
    outgoing = np.empty_like(positions), np.empty_like(quats), np.empty_like(scales)
    _on_triangles(frames, binding, positions, quats, scales, *outgoing)
    return outgoing


def warm_up() -> None:
    """Compile the kernels, or load them."""
    corners, first = np.eye(3, dtype=np.float32), np.zeros(1, np.int32)
    quats = np.array([[1, 0, 0, 0]], np.float32)
    frames = frames_of(corners, np.array([[0, 1, 2]], np.int32))
    bind(frames, first, corners[:1], quats, corners[:1])
