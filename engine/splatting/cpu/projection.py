# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians to footprints (EWA splatting, Zwicker et al. 2001) and the way back for gradients.

Follows gsplat 1.5: the affine approximation of the perspective map is taken at the mean, with the
mean's image position held within 1.3 times the field of view, and ``eps2d`` is added to the
projected covariance. Scalars are float64 here: the cost is small beside the blending, and thin or
huge Gaussians keep their shape.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from engine.core.arrays import Double, Float, Index
from engine.splatting.cpu.layout import (
    BLUE,
    DEPTH,
    G_BLUE,
    G_COV_XX,
    G_COV_XY,
    G_COV_YY,
    G_DEPTH,
    G_GREEN,
    G_MEAN_X,
    G_MEAN_Y,
    G_OPACITY,
    G_RED,
    GREEN,
    MEAN_X,
    MEAN_Y,
    OPACITY,
    PRECISION,
    PRECISION_Y,
    RADIUS_X,
    REACH,
    RED,
    SLOPE,
)

_MARGIN = 0.3
"""Fraction of the half field of view beyond the image edge where the affine map is still taken."""
_CHUNK = 256
"""Gaussians that a thread works off at once on the way back."""


@njit(cache=True, error_model="numpy")
def _rotation(w: float, x: float, y: float, z: float, R: Double) -> None:
    """Rotation matrix of a unit quaternion, into ``R`` (3, 3)."""
    R[0, 0] = 1 - 2 * (y * y + z * z)
    R[0, 1] = 2 * (x * y - w * z)
    R[0, 2] = 2 * (x * z + w * y)
    R[1, 0] = 2 * (x * y + w * z)
    R[1, 1] = 1 - 2 * (x * x + z * z)
    R[1, 2] = 2 * (y * z - w * x)
    R[2, 0] = 2 * (x * z - w * y)
    R[2, 1] = 2 * (y * z + w * x)
    R[2, 2] = 1 - 2 * (x * x + y * y)


@njit(cache=True, error_model="numpy")
def _held(value: float, z: float, focal: float, center: float, size: float) -> float:
    """Camera-space x (or y) with its image position held within 1.3 fields of view."""
    margin = _MARGIN * 0.5 * size / focal
    low, high = -(center / focal + margin), (size - center) / focal + margin
    return z * min(high, max(low, value / z))


@njit(cache=True, error_model="numpy")
def _image_map(
    p: Double, viewmat: Double, K: Double, size: Double, orthographic: int, P: Double
) -> None:
    """Derivative of image position by world position at camera-space ``p``, into ``P`` (2, 3)."""
    fx, fy = K[0, 0], K[1, 1]
    if orthographic:
        for i in range(3):
            P[0, i] = fx * viewmat[0, i]
            P[1, i] = fy * viewmat[1, i]
        return
    z = p[2]
    u = _held(p[0], z, fx, K[0, 2], size[0])
    v = _held(p[1], z, fy, K[1, 2], size[1])
    for i in range(3):
        P[0, i] = fx / z * (viewmat[0, i] - u / z * viewmat[2, i])
        P[1, i] = fy / z * (viewmat[1, i] - v / z * viewmat[2, i])


@njit(cache=True, parallel=True, error_model="numpy")
def project(  # noqa: C901, PLR0912, PLR0915 - one Gaussian, start to end, without temporaries.
    means: Float,
    quats: Float,
    scales: Float,
    opacities: Float,
    colors: Float,
    viewmat: Double,
    K: Double,
    size: Double,
    planes: Double,
    orthographic: int,
    eps2d: float,
    alpha_min: float,
    footprints: Float,
    visible: NDArray[np.bool_],
) -> None:
    """Project every Gaussian; what cannot contribute is marked as not visible.

    Args:
        means: (G, 3) world space, metres.
        quats: (G, 4) wxyz, any norm.
        scales: (G, 3) metres.
        opacities: (G,).
        colors: (G, 3).
        viewmat: (4, 4) float64 world-to-camera.
        K: (3, 3) float64 intrinsics, pixels.
        size: (2,) width, height of the image in pixels.
        planes: (2,) near and far, metres.
        orthographic: 1 for parallel rays, 0 for a pinhole.
        eps2d: pixels² added to the diagonal of the projected covariance.
        alpha_min: contributions below are dropped.
        footprints: (G, COLUMNS) output.
        visible: (G,) output.
    """
    for i in prange(means.shape[0]):
        visible[i] = False
        opacity = float(opacities[i])
        # Written so that a NaN anywhere drops the Gaussian.
        if not opacity >= alpha_min:
            continue
        p = np.empty(3)
        for r in range(3):
            p[r] = viewmat[r, 3]
            for c in range(3):
                p[r] += viewmat[r, c] * means[i, c]
        if not (p[2] >= planes[0] and p[2] <= planes[1]):
            continue
        w, x, y, z = float(quats[i, 0]), float(quats[i, 1]), float(quats[i, 2]), float(quats[i, 3])
        norm = math.sqrt(w * w + x * x + y * y + z * z)
        R, P = np.empty((3, 3)), np.empty((2, 3))
        _rotation(w / norm, x / norm, y / norm, z / norm, R)
        _image_map(p, viewmat, K, size, orthographic, P)
        a, b, c2, det = eps2d, 0.0, eps2d, eps2d * eps2d
        previous_u, previous_v, first_u, first_v = 0.0, 0.0, 0.0, 0.0
        for k in range(3):
            u = (P[0, 0] * R[0, k] + P[0, 1] * R[1, k] + P[0, 2] * R[2, k]) * scales[i, k]
            v = (P[1, 0] * R[0, k] + P[1, 1] * R[1, k] + P[1, 2] * R[2, k]) * scales[i, k]
            a += u * u
            b += u * v
            c2 += v * v
            # Determinant by Cauchy-Binet: a·c − b² would lose a thin Gaussian's width.
            det += eps2d * (u * u + v * v)
            if k == 0:
                first_u, first_v = u, v
            else:
                det += (previous_u * v - previous_v * u) ** 2
            if k == 2:
                det += (first_u * v - first_v * u) ** 2
            previous_u, previous_v = u, v
        if not (det > 0 and det < np.inf):
            continue
        if orthographic:
            mx, my = K[0, 0] * p[0] + K[0, 2], K[1, 1] * p[1] + K[1, 2]
        else:
            mx, my = K[0, 0] * p[0] / p[2] + K[0, 2], K[1, 1] * p[1] / p[2] + K[1, 2]
        reach = 2 * math.log(opacity / alpha_min)
        rx, ry = math.sqrt(reach * a), math.sqrt(reach * c2)
        if not (mx + rx > 0 and mx - rx < size[0] and my + ry > 0 and my - ry < size[1]):
            continue
        visible[i] = True
        footprints[i, MEAN_X] = mx
        footprints[i, MEAN_Y] = my
        footprints[i, PRECISION] = c2 / det
        footprints[i, SLOPE] = b / c2
        footprints[i, PRECISION_Y] = 1 / c2
        footprints[i, REACH] = reach
        footprints[i, OPACITY] = opacity
        footprints[i, RED] = colors[i, 0]
        footprints[i, GREEN] = colors[i, 1]
        footprints[i, BLUE] = colors[i, 2]
        footprints[i, DEPTH] = p[2]
        footprints[i, RADIUS_X] = rx


@njit(cache=True, parallel=True, error_model="numpy")
def project_backward(
    means: Float,
    quats: Float,
    scales: Float,
    viewmat: Double,
    K: Double,
    size: Double,
    orthographic: int,
    order: Index,
    gradients: Float,
    v_means: Float,
    v_quats: Float,
    v_scales: Float,
    v_opacities: Float,
    v_colors: Float,
) -> None:
    """Chain the gradients of the footprints back to the Gaussians.

    Args:
        means: as in :func:`project`, like ``quats`` to ``orthographic``.
        quats: (G, 4).
        scales: (G, 3).
        viewmat: (4, 4).
        K: (3, 3).
        size: (2,).
        orthographic: 1 for parallel rays, 0 for a pinhole.
        order: (N,) Gaussian of each visible footprint.
        gradients: (N, GRADIENTS) of the visible footprints.
        v_means: (G, 3) output, zero before; so are the following.
        v_quats: (G, 4) output.
        v_scales: (G, 3) output.
        v_opacities: (G,) output.
        v_colors: (G, 3) output.
    """
    fx, fy = K[0, 0], K[1, 1]
    count = order.shape[0]
    for chunk in prange((count + _CHUNK - 1) // _CHUNK):
        # Once a chunk: making small arrays takes longer than what is worked out in them.
        p, q, v_p = np.empty(3), np.empty(4), np.empty(3)
        R, P, v_P, v_R = np.empty((3, 3)), np.empty((2, 3)), np.empty((2, 3)), np.empty((3, 3))
        for n in range(chunk * _CHUNK, min(count, (chunk + 1) * _CHUNK)):
            i = order[n]
            v_opacities[i] = gradients[n, G_OPACITY]
            v_colors[i, 0] = gradients[n, G_RED]
            v_colors[i, 1] = gradients[n, G_GREEN]
            v_colors[i, 2] = gradients[n, G_BLUE]
            for r in range(3):
                p[r] = viewmat[r, 3]
                for c in range(3):
                    p[r] += viewmat[r, c] * means[i, c]
            w, x, y, z = (
                float(quats[i, 0]),
                float(quats[i, 1]),
                float(quats[i, 2]),
                float(quats[i, 3]),
            )
            norm = math.sqrt(w * w + x * x + y * y + z * z)
            q[0], q[1], q[2], q[3] = w / norm, x / norm, y / norm, z / norm
            _rotation(q[0], q[1], q[2], q[3], R)
            _image_map(p, viewmat, K, size, orthographic, P)
            g_xx, g_yy = float(gradients[n, G_COV_XX]), float(gradients[n, G_COV_YY])
            g_xy = 0.5 * float(gradients[n, G_COV_XY])
            # Σ₂ = U·Uᵀ + ε·1 with U = P·R·S; hence v_U = 2·v_Σ₂·U.
            v_P[:] = 0.0
            for k in range(3):
                s = float(scales[i, k])
                mu = P[0, 0] * R[0, k] + P[0, 1] * R[1, k] + P[0, 2] * R[2, k]
                mv = P[1, 0] * R[0, k] + P[1, 1] * R[1, k] + P[1, 2] * R[2, k]
                vu, vv = 2 * s * (g_xx * mu + g_xy * mv), 2 * s * (g_xy * mu + g_yy * mv)
                v_scales[i, k] = vu * mu + vv * mv
                for r in range(3):
                    v_P[0, r] += vu * s * R[r, k]
                    v_P[1, r] += vv * s * R[r, k]
                    v_R[r, k] = s * (P[0, r] * vu + P[1, r] * vv)
            _quaternion_backward(q, v_R, norm, v_quats[i])
            v_p[:] = 0.0
            v_p[2] = gradients[n, G_DEPTH]
            v_mx, v_my = float(gradients[n, G_MEAN_X]), float(gradients[n, G_MEAN_Y])
            if orthographic:
                v_p[0] = fx * v_mx
                v_p[1] = fy * v_my
            else:
                ahead = p[2]
                v_p[0] += fx / ahead * v_mx
                v_p[1] += fy / ahead * v_my
                v_p[2] -= (fx * p[0] * v_mx + fy * p[1] * v_my) / (ahead * ahead)
                for axis in range(2):
                    _image_map_backward(p, axis, viewmat, K, size, v_P, v_p)
            for c in range(3):
                v_means[i, c] = (
                    viewmat[0, c] * v_p[0] + viewmat[1, c] * v_p[1] + viewmat[2, c] * v_p[2]
                )


@njit(cache=True, error_model="numpy")
def _image_map_backward(
    p: Double, axis: int, viewmat: Double, K: Double, size: Double, v_P: Double, v_p: Double
) -> None:
    """Add to ``v_p`` what row ``axis`` of the image map's gradient ``v_P`` brings."""
    f, z = K[axis, axis], p[2]
    u = _held(p[axis], z, f, K[axis, 2], size[axis])
    # Row: f/z·(V[axis] − u/z·V[2]).
    along, ahead = 0.0, 0.0
    for c in range(3):
        along += v_P[axis, c] * viewmat[axis, c]
        ahead += v_P[axis, c] * viewmat[2, c]
    v_p[2] += -f / (z * z) * along
    if u == z * (p[axis] / z):
        v_p[axis] += -f / (z * z) * ahead
        v_p[2] += 2 * f * u / (z * z * z) * ahead
    else:
        # u is proportional to z where it is held.
        v_p[2] += f * u / (z * z * z) * ahead


@njit(cache=True, error_model="numpy")
def _quaternion_backward(q: Double, v_R: Double, norm: float, v_quat: Any) -> None:
    """Gradient by the unnormalised quaternion; ``q`` is the unit one, ``norm`` its length."""
    w, x, y, z = q[0], q[1], q[2], q[3]
    v0 = 2 * (
        x * (v_R[2, 1] - v_R[1, 2]) + y * (v_R[0, 2] - v_R[2, 0]) + z * (v_R[1, 0] - v_R[0, 1])
    )
    v1 = 2 * (
        w * (v_R[2, 1] - v_R[1, 2])
        + y * (v_R[0, 1] + v_R[1, 0])
        + z * (v_R[0, 2] + v_R[2, 0])
        - 2 * x * (v_R[1, 1] + v_R[2, 2])
    )
    v2 = 2 * (
        w * (v_R[0, 2] - v_R[2, 0])
        + x * (v_R[0, 1] + v_R[1, 0])
        + z * (v_R[1, 2] + v_R[2, 1])
        - 2 * y * (v_R[0, 0] + v_R[2, 2])
    )
    v3 = 2 * (
        w * (v_R[1, 0] - v_R[0, 1])
        + x * (v_R[0, 2] + v_R[2, 0])
        + y * (v_R[1, 2] + v_R[2, 1])
        - 2 * z * (v_R[0, 0] + v_R[1, 1])
    )
    along = v0 * w + v1 * x + v2 * y + v3 * z
    v_quat[0] = (v0 - along * w) / norm
    v_quat[1] = (v1 - along * x) / norm
    v_quat[2] = (v2 - along * y) / norm
    v_quat[3] = (v3 - along * z) / norm
