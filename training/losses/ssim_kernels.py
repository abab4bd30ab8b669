# SPDX-License-Identifier: GPL-3.0-or-later
"""The mean SSIM of two pictures and its gradient in two passes over bands of rows, for CPUs.

Pictures lie as rows of interleaved channels, (H, W·C), so that a row is one run of memory and a
step of one pixel sideways is C numbers. With μ, σ² and σ₁₂ the local moments under the window w,

    S = A·B / (D·E),   A = 2μ₁μ₂ + C₁,  B = 2σ₁₂ + C₂,  D = μ₁² + μ₂² + C₁,  E = σ₁² + σ₂² + C₂,

and ∂ΣS/∂x = w ∗ P₁ + 2x·(w ∗ P₁₁) + y·(w ∗ P₁₂), where P₁, P₁₁, P₁₂ are the derivatives of S by
w∗x, w∗x² and w∗xy: the window is symmetric, so its adjoint is itself.

Bands and the order of every sum are fixed: two runs give equal bits, whatever the threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from engine.core.arrays import Float

BAND = 32
"""Rows of a band; a part of the definition, for the sums follow it."""

_0, _1, _2 = np.float32(0), np.float32(1), np.float32(2)


@njit(cache=True, fastmath=True, error_model="numpy")
def _add_scaled(into: Float, values: Float, factor: Any) -> None:
    for x in range(into.shape[0]):
        into[x] += factor * values[x]


@njit(cache=True, fastmath=True, error_model="numpy")
def _along_row(into: Float, padded: Float, window: Float, channels: int) -> None:
    """Convolve one padded row of interleaved channels."""
    length = into.shape[0]
    for x in range(length):
        into[x] = window[0] * padded[x]
    for k in range(1, window.shape[0]):
        _add_scaled(into, padded[k * channels : k * channels + length], window[k])


@njit(cache=True, fastmath=True, error_model="numpy")
def _down_columns(into: Float, rows: Float, first: int, window: Float) -> None:
    """Convolve one row's worth of columns of an already row-convolved band."""
    into[:] = _0
    for k in range(window.shape[0]):
        _add_scaled(into, rows[first + k], window[k])


@njit(cache=True, fastmath=True, error_model="numpy")
def _structure(m: Float, c1: Any, c2: Any, p1: Float, p11: Float, p12: Float) -> Any:
    """SSIM of a row from its moments; returns their sum and fills the derivatives."""
    total = _0
    for x in range(m.shape[1]):
        a, b = m[0, x], m[1, x]
        A, B = _2 * a * b + c1, _2 * (m[4, x] - a * b) + c2
        D, E = a * a + b * b + c1, (m[2, x] - a * a) + (m[3, x] - b * b) + c2
        inverse = _1 / (D * E)
        S = A * B * inverse
        total += S
        by_variance = -S / E
        by_covariance = _2 * A * inverse
        by_mean = _2 * b * B * inverse - _2 * S * a / D
        p1[x] = by_mean - _2 * a * by_variance - b * by_covariance
        p11[x] = by_variance
        p12[x] = by_covariance
    return total


@njit(cache=True, fastmath=True, error_model="numpy")
def _band_values(
    x: Float,
    y: Float,
    channels: int,
    window: Float,
    c1: Any,
    c2: Any,
    top: int,
    derivatives: Float,
) -> Any:
    """Sum of SSIM over a band, and its derivatives by the five moments, as three planes."""
    H, length = x.shape
    radius = window.shape[0] // 2
    pad = radius * channels
    rows = np.zeros((5, BAND + 2 * radius, length), np.float32)
    padded = np.zeros(length + 2 * pad, np.float32)
    inside = padded[pad : pad + length]
    for Y in range(max(0, top - radius), min(H, top + BAND + radius)):
        k = Y - top + radius
        inside[:] = x[Y]
        _along_row(rows[0, k], padded, window, channels)
        inside[:] = y[Y]
        _along_row(rows[1, k], padded, window, channels)
        inside[:] = x[Y] * x[Y]
        _along_row(rows[2, k], padded, window, channels)
        inside[:] = y[Y] * y[Y]
        _along_row(rows[3, k], padded, window, channels)
        inside[:] = x[Y] * y[Y]
        _along_row(rows[4, k], padded, window, channels)
    moments = np.empty((5, length), np.float32)
    total = 0.0
    for Y in range(top, min(H, top + BAND)):
        for q in range(5):
            _down_columns(moments[q], rows[q], Y - top, window)
        total += _structure(
            moments, c1, c2, derivatives[0, Y], derivatives[1, Y], derivatives[2, Y]
        )
    return total


@njit(cache=True, fastmath=True, error_model="numpy")
def _band_gradient(
    x: Float,
    y: Float,
    channels: int,
    window: Float,
    top: int,
    derivatives: Float,
    gradient: Float,
) -> None:
    """Fill a band of the gradient of the mean."""
    H, length = x.shape
    radius = window.shape[0] // 2
    pad = radius * channels
    scale = np.float32(1.0 / (H * length))
    rows = np.zeros((3, BAND + 2 * radius, length), np.float32)
    padded = np.zeros(length + 2 * pad, np.float32)
    inside = padded[pad : pad + length]
    for Y in range(max(0, top - radius), min(H, top + BAND + radius)):
        for q in range(3):
            inside[:] = derivatives[q, Y]
            _along_row(rows[q, Y - top + radius], padded, window, channels)
    smooth = np.empty((3, length), np.float32)
    for Y in range(top, min(H, top + BAND)):
        for q in range(3):
            _down_columns(smooth[q], rows[q], Y - top, window)
        g, a, b = gradient[Y], x[Y], y[Y]
        for i in range(length):
            g[i] = scale * (smooth[0, i] + _2 * a[i] * smooth[1, i] + b[i] * smooth[2, i])


@njit(cache=True, parallel=True, fastmath=True, error_model="numpy")
def ssim_and_gradient(
    x: Float, y: Float, channels: int, window: Float, c1: Any, c2: Any, gradient: Float
) -> Any:
    """Mean SSIM, and its gradient by ``x``; outside the pictures is black.

    Args:
        x: (H, W·C) the picture that is differentiated.
        y: (H, W·C).
        channels: C.
        window: (2r + 1,) weights that sum to one.
        c1: constant of the means.
        c2: constant of the variances.
        gradient: (H, W·C), is filled.
    """
    H, length = x.shape
    bands = (H + BAND - 1) // BAND
    sums = np.zeros(bands, np.float64)
    derivatives = np.empty((3, H, length), np.float32)
    for band in prange(bands):
        sums[band] = _band_values(x, y, channels, window, c1, c2, band * BAND, derivatives)
    for band in prange(bands):
        _band_gradient(x, y, channels, window, band * BAND, derivatives, gradient)
    return sums.sum() / (H * length)
