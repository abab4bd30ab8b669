# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians on the triangles that carry them, in one pass each over triangles and Gaussians.

What :func:`engine.avatar.gaussian_avatar.splats` says with tensors, for frames of which no gradient
is asked; :mod:`engine.avatar.binding` has the formulas.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange

from engine.splatting.cpu.layout import Float, Index

_TINY = 1e-24
"""As in :mod:`engine.avatar.binding`: below this squared length a direction is undefined."""
_ROTATION, _QUAT, _SIZE, _CENTER = 0, 9, 13, 14
_COLUMNS = 17


@njit(cache=True, error_model="numpy")
def _unit(v: Any, otherwise: Any) -> None:
    """Bring ``v`` to length one; to ``otherwise`` where it has no direction."""
    squared = v[0] * v[0] + v[1] * v[1] + v[2] * v[2]
    for c in range(3):
        v[c] = v[c] / math.sqrt(squared) if squared > _TINY else otherwise[c]


@njit(cache=True, error_model="numpy")
def _cross(a: Any, b: Any, out: Any) -> None:
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


@njit(cache=True, error_model="numpy")
def _perpendicular(unit: Any, axis: Any, out: Any) -> None:
    """Some unit vector perpendicular to ``unit``; ``axis`` is room for one more."""
    smallest = 0
    for c in range(3):
        axis[c] = 0.0
        if abs(unit[c]) < abs(unit[smallest]):
            smallest = c
    axis[smallest] = 1.0
    _cross(unit, axis, out)
    length = math.sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2])
    for c in range(3):
        out[c] /= length


@njit(cache=True, error_model="numpy")
def _quaternion(m: Any, q: Any) -> None:
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


@njit(cache=True, parallel=True, error_model="numpy")
def _frames(vertices: Float, faces: Index) -> Any:
    """(F, 17) per triangle: rotation by rows, quaternion, size, centre."""
    frames = np.empty((faces.shape[0], _COLUMNS), np.float32)
    for f in prange(faces.shape[0]):
        room = np.zeros((8, 3))
        first, second, a0, a1, a2, scaled, other, axis = room
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        longest_first, longest_second = 0.0, 0.0
        for c in range(3):
            first[c] = a0[c] = vertices[j, c] - vertices[i, c]
            second[c] = other[c] = vertices[k, c] - vertices[i, c]
            longest_first += first[c] * first[c]
            longest_second += second[c] * second[c]
        longest = max(math.sqrt(max(longest_first, longest_second)), 1e-12)
        axis[0] = 1.0
        _unit(other, axis)
        _unit(a0, other)
        for c in range(3):
            scaled[c] = second[c] / longest
        _cross(a0, scaled, a1)
        _perpendicular(a0, axis, other)
        _unit(a1, other)
        _cross(a0, a1, a2)
        base, height = 0.0, 0.0
        for c in range(3):
            base += first[c] * a0[c]
            height += second[c] * a2[c]
        row = frames[f]
        m = np.empty(9)
        for c in range(3):
            m[3 * c], m[3 * c + 1], m[3 * c + 2] = a0[c], a1[c], a2[c]
            row[_CENTER + c] = (vertices[i, c] + vertices[j, c] + vertices[k, c]) / 3
        q = np.empty(4)
        _quaternion(m, q)
        for c in range(9):
            row[_ROTATION + c] = m[c]
        for c in range(4):
            row[_QUAT + c] = q[c]
        row[_SIZE] = 0.5 * (abs(base) + abs(height))
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
        size = row[_SIZE]
        px, py, pz = positions[g, 0], positions[g, 1], positions[g, 2]
        for c in range(3):
            along = row[3 * c] * px + row[3 * c + 1] * py + row[3 * c + 2] * pz
            out_means[g, c] = along * size + row[_CENTER + c]
            out_scales[g, c] = size * scales[g, c]
        a, b, d, e = row[_QUAT], row[_QUAT + 1], row[_QUAT + 2], row[_QUAT + 3]
        w, x, y, z = quats[g, 0], quats[g, 1], quats[g, 2], quats[g, 3]
        out_quats[g, 0] = a * w - b * x - d * y - e * z
        out_quats[g, 1] = a * x + b * w + d * z - e * y
        out_quats[g, 2] = a * y - b * z + d * w + e * x
        out_quats[g, 3] = a * z + b * y - d * x + e * w


def place(
    vertices: Float, faces: Index, binding: Index, positions: Float, quats: Float, scales: Float
) -> tuple[Float, Float, Float]:
    """Means, quaternions and scales in the space of the vertices.

    Args:
        vertices: (V, 3), metres.
        faces: (F, 3) int32.
        binding: (G,) int32, triangle of each Gaussian.
        positions: (G, 3) in the triangle's frame.
        quats: (G, 4) wxyz of length one, there.
        scales: (G, 3) there, after the exponential.

    Returns:
        (G, 3), (G, 4) and (G, 3) float32.
    """
    outgoing = np.empty_like(positions), np.empty_like(quats), np.empty_like(scales)
    _on_triangles(_frames(vertices, faces), binding, positions, quats, scales, *outgoing)
    return outgoing


def warm_up() -> None:
    """Compile the kernels, or load them."""
    corners, first = np.eye(3, dtype=np.float32), np.zeros(1, np.int32)
    quats = np.array([[1, 0, 0, 0]], np.float32)
    place(corners, np.array([[0, 1, 2]], np.int32), first, corners[:1], quats, corners[:1])
