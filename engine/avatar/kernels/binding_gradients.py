# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back from bound Gaussians to the triangles and what is bound to them.

Derivatives of :mod:`engine.avatar.kernels.binding`, deterministic to the bit: triangles and corners
gather their sums in the order of the Gaussians and of the triangles, whatever the threads do.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from engine.avatar.kernels.binding import (
    CENTER,
    CHUNK,
    COLUMNS,
    QUAT,
    SHORTEST,
    SIZE,
    TINY,
    axes,
    quaternion,
)
from engine.core.arrays import Double, Float, Index


@njit(cache=True, parallel=True, error_model="numpy")
def _from_gaussians(
    frames: Float,
    binding: Index,
    positions: Float,
    quats: Float,
    scales: Float,
    v_means: Float,
    v_quats: Float,
    v_scales: Float,
    out_positions: Float,
    out_quats: Float,
    out_scales: Float,
    shares: Float,
) -> None:
    """Gradients by what is bound, and each Gaussian's share in those of its triangle's frame."""
    for g in prange(binding.shape[0]):
        row = frames[binding[g]]
        size, v_size = row[SIZE], np.float32(0)
        mx, my, mz = v_means[g, 0], v_means[g, 1], v_means[g, 2]
        for c in range(3):
            # R(r, c) stands at 3·r + c.
            turned = row[c] * mx + row[3 + c] * my + row[6 + c] * mz
            out_positions[g, c] = size * turned
            out_scales[g, c] = size * v_scales[g, c]
            v_size += turned * positions[g, c] + v_scales[g, c] * scales[g, c]
        a, b, d, e = row[QUAT], row[QUAT + 1], row[QUAT + 2], row[QUAT + 3]
        v0, v1, v2, v3 = v_quats[g, 0], v_quats[g, 1], v_quats[g, 2], v_quats[g, 3]
        out_quats[g, 0] = a * v0 + b * v1 + d * v2 + e * v3
        out_quats[g, 1] = a * v1 - b * v0 - d * v3 + e * v2
        out_quats[g, 2] = a * v2 + b * v3 - d * v0 - e * v1
        out_quats[g, 3] = a * v3 - b * v2 + d * v1 - e * v0
        if shares.shape[0] > 0:
            share = shares[g]
            share[SIZE] = v_size
            for r in range(3):
                share[CENTER + r] = v_means[g, r]
                for c in range(3):
                    share[3 * r + c] = size * v_means[g, r] * positions[g, c]
            w, x, y, z = quats[g, 0], quats[g, 1], quats[g, 2], quats[g, 3]
            share[QUAT] = v0 * w + v1 * x + v2 * y + v3 * z
            share[QUAT + 1] = v1 * w - v0 * x - v2 * z + v3 * y
            share[QUAT + 2] = v2 * w - v0 * y + v1 * z - v3 * x
            share[QUAT + 3] = v3 * w - v0 * z - v1 * y + v2 * x


@njit(cache=True)
def _by_triangle(binding: Index, shares: Float, count: int) -> Double:
    """(F, COLUMNS) sums of the shares, in the order of the Gaussians."""
    result = np.zeros((count, COLUMNS))
    for g in range(binding.shape[0]):
        f = binding[g]
        for c in range(COLUMNS):
            result[f, c] += shares[g, c]
    return result


@njit(cache=True, error_model="numpy")
def _unit_backward(unit_vector: Double, length: float, v: Double, out: Double) -> None:
    """Add to ``out`` the gradient by a vector of ``length``, of ``v`` by its direction."""
    along = v[0] * unit_vector[0] + v[1] * unit_vector[1] + v[2] * unit_vector[2]
    for c in range(3):
        out[c] += (v[c] - along * unit_vector[c]) / length


@njit(cache=True, error_model="numpy")
def _add_cross(a: Double, b: Double, factor: float, out: Double) -> None:
    out[0] += factor * (a[1] * b[2] - a[2] * b[1])
    out[1] += factor * (a[2] * b[0] - a[0] * b[2])
    out[2] += factor * (a[0] * b[1] - a[1] * b[0])


@njit(cache=True, error_model="numpy")
def _quaternion_backward(m: Double, q: Double, v_q: Double, v_m: Double) -> None:
    """Add to ``v_m`` (9,) the gradient by the matrix of which ``q`` is the unit quaternion."""
    along = q[0] * v_q[0] + q[1] * v_q[1] + q[2] * v_q[2] + q[3] * v_q[3]
    xx, yy, zz = m[0], m[4], m[8]
    s0, s1, s2, s3 = 1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz
    # The entry that holds s is s / ‖·‖ = q[k], so the norm of the formula is s / q[k].
    if s0 >= s1 and s0 >= s2 and s0 >= s3:
        k, norm = 0, s0 / q[0]
    elif s1 >= s2 and s1 >= s3:
        k, norm = 1, s1 / q[1]
    elif s2 >= s3:
        k, norm = 2, s2 / q[2]
    else:
        k, norm = 3, s3 / q[3]
    g0, g1 = (v_q[0] - along * q[0]) / norm, (v_q[1] - along * q[1]) / norm
    g2, g3 = (v_q[2] - along * q[2]) / norm, (v_q[3] - along * q[3]) / norm
    if k == 0:
        v_x, v_y, v_z, v_xy, v_xz, v_yz = g1, g2, g3, 0.0, 0.0, 0.0
        d0, d1, d2 = g0, g0, g0
    elif k == 1:
        v_x, v_y, v_z, v_xy, v_xz, v_yz = g0, 0.0, 0.0, g2, g3, 0.0
        d0, d1, d2 = g1, -g1, -g1
    elif k == 2:
        v_x, v_y, v_z, v_xy, v_xz, v_yz = 0.0, g0, 0.0, g1, 0.0, g3
        d0, d1, d2 = -g2, g2, -g2
    else:
        v_x, v_y, v_z, v_xy, v_xz, v_yz = 0.0, 0.0, g0, 0.0, g1, g2
        d0, d1, d2 = -g3, -g3, g3
    v_m[0] += d0
    v_m[4] += d1
    v_m[8] += d2
    v_m[7] += v_x + v_yz
    v_m[5] += v_yz - v_x
    v_m[2] += v_y + v_xz
    v_m[6] += v_xz - v_y
    v_m[3] += v_z + v_xy
    v_m[1] += v_xy - v_z


@njit(cache=True, error_model="numpy")
def _axes_backward(
    room: Double, lengths: tuple[float, float, float, float], v_room: Double
) -> None:
    """Add to the gradients by the edges, ``v_room[:2]``, what those by the axes bring.

    Args:
        room: as :func:`engine.avatar.kernels.binding.axes` filled it.
        lengths: what that returned.
        v_room: (7, 3) gradients by the two edges and the three axes, and room for two.
    """
    _, _, a0, a1, _, scaled, _, axis = room
    v_first, v_second, v_a0, v_a1, v_a2, v_across, v_other = v_room
    squared_first, squared_second, squared_across, length = lengths
    # a2 = a0 × a1
    _add_cross(a1, v_a2, 1.0, v_a0)
    _add_cross(v_a2, a0, 1.0, v_a1)
    if squared_across > TINY:
        longest = max(math.sqrt(max(squared_first, squared_second)), SHORTEST)
        _unit_backward(a1, math.sqrt(squared_across), v_a1, v_across)
        _add_cross(scaled, v_across, 1.0, v_a0)
        _add_cross(v_across, a0, 1.0 / longest, v_second)
    else:
        _unit_backward(a1, length, v_a1, v_other)
        _add_cross(axis, v_other, 1.0, v_a0)
    if squared_first > TINY:
        _unit_backward(a0, math.sqrt(squared_first), v_a0, v_first)
    elif squared_second > TINY:
        _unit_backward(a0, math.sqrt(squared_second), v_a0, v_second)


@njit(cache=True, parallel=True, error_model="numpy")
def _from_frames(vertices: Float, faces: Index, v_frames: Double) -> Double:
    """(F, 3, 3) gradients by each triangle's corners."""
    result = np.zeros((faces.shape[0], 3, 3))
    for chunk in prange((faces.shape[0] + CHUNK - 1) // CHUNK):
        # Once a chunk: making small arrays takes longer than what is worked out in them.
        room, v_room = np.empty((8, 3)), np.empty((7, 3))
        m, q, v_m = np.empty(9), np.empty(4), np.empty(9)
        first, second, a0, a1, a2 = room[0], room[1], room[2], room[3], room[4]
        for f in range(chunk * CHUNK, min(faces.shape[0], (chunk + 1) * CHUNK)):
            lengths = axes(vertices, faces[f], room)
            v_frame = v_frames[f]
            v_m[:] = v_frame[:9]
            base, height = 0.0, 0.0
            for c in range(3):
                m[3 * c], m[3 * c + 1], m[3 * c + 2] = a0[c], a1[c], a2[c]
                base += first[c] * a0[c]
                height += second[c] * a2[c]
            quaternion(m, q)
            _quaternion_backward(m, q, v_frame[QUAT : QUAT + 4], v_m)
            # size = ½(|first·a0| + |second·a2|); of a side or height of zero the sign is chance.
            v_base = 0.5 * v_frame[SIZE] * (np.sign(base) if lengths[0] > TINY else 0.0)
            v_height = 0.5 * v_frame[SIZE] * (np.sign(height) if lengths[2] > TINY else 0.0)
            for c in range(3):
                v_room[0, c] = v_base * a0[c]
                v_room[1, c] = v_height * a2[c]
                v_room[2, c] = v_m[3 * c] + v_base * first[c]
                v_room[3, c] = v_m[3 * c + 1]
                v_room[4, c] = v_m[3 * c + 2] + v_height * second[c]
                v_room[5, c] = v_room[6, c] = 0.0
            _axes_backward(room, lengths, v_room)
            for c in range(3):
                third = v_frame[CENTER + c] / 3
                result[f, 0, c] = third - v_room[0, c] - v_room[1, c]
                result[f, 1, c] = third + v_room[0, c]
                result[f, 2, c] = third + v_room[1, c]
    return result


@njit(cache=True)
def _by_vertex(faces: Index, corners: Double, out: Float) -> None:
    """Sums of the corners' gradients, in the order of the triangles."""
    sums = np.zeros(out.shape)
    for f in range(faces.shape[0]):
        for k in range(3):
            v = faces[f, k]
            for c in range(3):
                sums[v, c] += corners[f, k, c]
    for v in range(out.shape[0]):
        for c in range(3):
            out[v, c] = sums[v, c]


def bind_backward(
    mesh: tuple[Float, Index],
    frames: Float,
    bound: tuple[Index, Float, Float, Float],
    incoming: tuple[Float, Float, Float],
    *,
    by_vertices: bool,
) -> tuple[Float | None, Float, Float, Float]:
    """Gradients of :func:`engine.avatar.kernels.binding.bind`.

    Args:
        mesh: vertices (V, 3) and faces (F, 3), as on the way there.
        frames: (F, COLUMNS) as :func:`~engine.avatar.kernels.binding.frames_of` gave them.
        bound: binding (G,), positions (G, 3), quats (G, 4) and scales (G, 3), as there.
        incoming: gradients by means (G, 3), quaternions (G, 4) and scales (G, 3).
        by_vertices: whether those by the vertices are wanted.

    Returns:
        Gradients by vertices (V, 3) or ``None``, positions (G, 3), quats (G, 4), scales (G, 3).
    """
    (vertices, faces), (binding, positions, quats, scales) = mesh, bound
    outgoing = np.empty_like(positions), np.empty_like(quats), np.empty_like(scales)
    shares = np.empty((len(binding) if by_vertices else 0, COLUMNS), np.float32)
    _from_gaussians(frames, *bound, *incoming, *outgoing, shares)
    if not by_vertices:
        return None, *outgoing
    v_vertices = np.empty_like(vertices)
    v_frames = _by_triangle(binding, shares, len(faces))
    _by_vertex(faces, _from_frames(vertices, faces, v_frames), v_vertices)
    return v_vertices, *outgoing


def warm_up() -> None:
    """Compile the kernels, or load them."""
    corners, first = np.eye(3, dtype=np.float32), np.zeros(1, np.int32)
    faces, quat = np.array([[0, 1, 2]], np.int32), np.array([[1, 0, 0, 0]], np.float32)
    frames = np.ones((1, COLUMNS), np.float32)
    one = corners[:1]
    bound = first, one, quat, one
    bind_backward((corners, faces), frames, bound, (one, quat, one), by_vertices=True)
