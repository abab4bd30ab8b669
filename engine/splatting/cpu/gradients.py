# SPDX-License-Identifier: GPL-3.0-or-later
"""Derivatives of the blending, deterministic to the bit.

Each tile is walked front to back once more. With vᵢ = v_rgb·cᵢ + v_z·zᵢ the value of a footprint at
a pixel (z measured from the pixel's own depth) and e what a unit of leftover light is worth there,
the loss depends on an alpha through

    ∂L/∂αᵢ = Tᵢ·vᵢ − Qᵢ / (1 − αᵢ),    Qᵢ = Σ_{j>i} wⱼ·vⱼ + T_end·e,

so one running number Q per pixel, known in full at the start from the rendered image, is enough.
Every pair of tile and footprint writes its own row; the rows are summed in a fixed order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from engine.core.arrays import Float, Ids, Index
from engine.splatting.cpu.blending import EDGE, SIGMA_MAX, exp_of_minus, row_range, strip_rows
from engine.splatting.cpu.layout import (
    BLOCKS,
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
    GRADIENTS,
    GREEN,
    LANES,
    MEAN_X,
    MEAN_Y,
    OPACITY,
    PRECISION,
    PRECISION_Y,
    RADIUS_X,
    REACH,
    RED,
    SLOPE,
    TILE_HEIGHT,
    TILE_WIDTH,
)

_0, _1, _HALF = np.float32(0), np.float32(1), np.float32(0.5)
_PLANES = 7
_LANES = np.float32(LANES)
"""Per block: T, the gradients of R, G, B and Z, Q, and the pixel's depth, sixteen lanes each."""
_SUMS = 10
"""See :func:`_block_gradient`."""


@njit(fastmath=True, error_model="numpy", forceinline=True)
def _block_gradient(
    lanes: Float,
    sums: Float,
    offset: Any,
    dy: Any,
    half_precision: Any,
    sigma_y: Any,
    opacity: Any,
    red: Any,
    green: Any,
    blue: Any,
    depth: Any,
    alpha_max: Any,
    alpha_min: Any,
    transmittance_min: Any,
) -> Any:
    """Step one footprint over sixteen pixels; add up what its gradient needs, lane by lane.

    ``sums`` gathers v_σ times 1, d, d², y, d·y and y², and the gradients of red, green, blue and
    depth, where d is the distance from the row's centre and y that of the row from the footprint's.
    Returns how many of the pixels are finished.
    """
    finished = _0
    for j in range(16):
        d = np.float32(j) + offset
        sigma = min(half_precision * d * d + sigma_y, SIGMA_MAX)
        unbounded = opacity * exp_of_minus(sigma)
        alpha = min(unbounded, alpha_max)
        light = lanes[j]
        alpha = alpha if alpha >= alpha_min else _0
        weight = alpha * light
        left = light - weight
        stop = left <= transmittance_min
        weight = _0 if stop else weight
        alpha = _0 if stop else alpha
        v_red, v_green, v_blue, v_depth = lanes[16 + j], lanes[32 + j], lanes[48 + j], lanes[64 + j]
        value = v_red * red + v_green * green + v_blue * blue + v_depth * (depth - lanes[96 + j])
        remaining = lanes[80 + j] - weight * value
        lanes[80 + j] = remaining
        v_alpha = light * value - remaining / (_1 - alpha)
        v_sigma = -alpha * v_alpha
        v_sigma = v_sigma if unbounded <= alpha_max else _0
        sums[j] += v_sigma
        sums[16 + j] += v_sigma * d
        sums[32 + j] += v_sigma * d * d
        sums[48 + j] += v_sigma * dy
        sums[64 + j] += v_sigma * d * dy
        sums[80 + j] += v_sigma * dy * dy
        sums[96 + j] += weight * v_red
        sums[112 + j] += weight * v_green
        sums[128 + j] += weight * v_blue
        sums[144 + j] += weight * v_depth
        lanes[j] = -abs(light) if stop else left
        finished += _1 if stop else _0
    return finished


@njit(fastmath=True, error_model="numpy")
def _lane_sum(lanes: Float) -> Any:
    total = _0
    for j in range(16):
        total += lanes[j]
    return total


@njit(fastmath=True, error_model="numpy")
def _clear(lanes: Float) -> None:
    for j in range(lanes.shape[0]):
        lanes[j] = _0


@njit(fastmath=True, error_model="numpy")
def _load(
    pixels: Float,
    left: int,
    top: int,
    rgb: Float,
    alpha: Float,
    depth: Float,
    v_rgb: Float,
    v_alpha: Float,
    v_depth: Float,
) -> None:
    """Fill a tile's planes from the rendered image and the gradients that came in."""
    height, width = alpha.shape
    for y in range(min(TILE_HEIGHT, height - top)):
        for x in range(min(TILE_WIDTH, width - left)):
            at = (x // LANES * TILE_HEIGHT + y) * _PLANES * LANES + x % LANES
            Y, X = top + y, left + x
            opaque = alpha[Y, X]
            # The derivative of Z / A is that of Σ w·(z − depth) / A with depth and A held: in this
            # form nothing large cancels, and nothing of it remains at the start.
            v_z = v_depth[Y, X] / opaque if opaque > _0 else _0
            q = -(_1 - opaque) * v_alpha[Y, X]
            for c in range(3):
                q += v_rgb[Y, X, c] * rgb[Y, X, c]
                pixels[at + 16 * (c + 1)] = v_rgb[Y, X, c]
            pixels[at] = _1
            pixels[at + 64] = v_z
            pixels[at + 80] = q
            pixels[at + 96] = depth[Y, X]


@njit(cache=True, parallel=True, fastmath=True, boundscheck=False, error_model="numpy")
def blend_backward(
    rows: Float,
    starts: Ids,
    entries: Index,
    tiles: Index,
    alpha_max: Any,
    alpha_min: Any,
    transmittance_min: Any,
    rgb: Float,
    alpha: Float,
    depth: Float,
    v_rgb: Float,
    v_alpha: Float,
    v_depth: Float,
    pairs: Float,
) -> None:
    """Gradient of every pair of tile and footprint.

    Args:
        rows: as in :func:`blending.blend`, like all up to ``depth``, which hold its results.
        starts: (tiles + 1,).
        entries: (P,).
        tiles: (tiles,).
        alpha_max: float32.
        alpha_min: float32.
        transmittance_min: float32.
        rgb: (H, W, 3).
        alpha: (H, W).
        depth: (H, W).
        v_rgb: (H, W, 3) gradient of the loss by ``rgb``.
        v_alpha: (H, W) by ``alpha``.
        v_depth: (H, W) by ``depth``.
        pairs: (P, GRADIENTS) output.
    """
    height, width = alpha.shape
    across = (width + TILE_WIDTH - 1) // TILE_WIDTH
    for t in prange(tiles.shape[0]):
        tile = tiles[t]
        left, top = (tile % across) * TILE_WIDTH, (tile // across) * TILE_HEIGHT
        w, h = min(TILE_WIDTH, width - left), min(TILE_HEIGHT, height - top)
        pixels = np.zeros(BLOCKS * TILE_HEIGHT * _PLANES * LANES, np.float32)
        _load(pixels, left, top, rgb, alpha, depth, v_rgb, v_alpha, v_depth)
        is_open = np.ones(BLOCKS * TILE_HEIGHT, np.bool_)
        open_rows = (w + LANES - 1) // LANES * h
        sums = np.zeros(_SUMS * LANES, np.float32)
        for k in range(starts[tile], starts[tile + 1]):
            g = pairs[k]
            if open_rows <= 0:
                _clear(g)
                continue
            n = entries[k]
            mx = rows[n, MEAN_X] - np.float32(left) - _HALF
            my = rows[n, MEAN_Y] - np.float32(top) - _HALF
            precision, slope, precision_y = rows[n, PRECISION], rows[n, SLOPE], rows[n, PRECISION_Y]
            reach, radius = rows[n, REACH], rows[n, RADIUS_X]
            x0, x1 = row_range(mx, radius + EDGE, w)
            _clear(sums)
            for block in range(x0 // LANES, x1 // LANES + 1 if x1 >= x0 else 0):
                first = np.float32(block * LANES) - mx
                y0, y1 = strip_rows(first, my, precision, slope, precision_y, reach, radius, h)
                for y in range(y0, y1 + 1):
                    row = block * TILE_HEIGHT + y
                    if not is_open[row]:
                        continue
                    dy = np.float32(y) - my
                    at = row * _PLANES * LANES
                    finished = _block_gradient(
                        pixels[at : at + 112],
                        sums,
                        first - slope * dy,
                        dy,
                        _HALF * precision,
                        _HALF * precision_y * dy * dy,
                        rows[n, OPACITY],
                        rows[n, RED],
                        rows[n, GREEN],
                        rows[n, BLUE],
                        rows[n, DEPTH],
                        alpha_max,
                        alpha_min,
                        transmittance_min,
                    )
                    if finished >= _LANES:
                        is_open[row] = False
                        open_rows -= 1
            # Σ⁻¹·(x − mean) = (p·d, r − slope·p·d) with p the precision and r = precision_y·y; then
            # ∂σ/∂mean = −Σ⁻¹(x − mean) and ∂σ/∂Σ = −½·Σ⁻¹(x − mean)(x − mean)ᵀΣ⁻¹.
            s0, s1, s2 = _lane_sum(sums[:16]), _lane_sum(sums[16:32]), _lane_sum(sums[32:48])
            r0, r1, r2 = _lane_sum(sums[48:64]), _lane_sum(sums[64:80]), _lane_sum(sums[80:96])
            u, uu = precision * s1, precision * precision * s2
            r, ru, rr = (
                precision_y * r0,
                precision_y * precision * r1,
                precision_y * precision_y * r2,
            )
            g[G_MEAN_X] = -u
            g[G_MEAN_Y] = slope * u - r
            g[G_COV_XX] = -_HALF * uu
            g[G_COV_XY] = slope * uu - ru
            g[G_COV_YY] = -_HALF * (rr - (slope + slope) * ru + slope * slope * uu)
            g[G_OPACITY] = -s0 / rows[n, OPACITY]
            g[G_RED] = _lane_sum(sums[96:112])
            g[G_GREEN] = _lane_sum(sums[112:128])
            g[G_BLUE] = _lane_sum(sums[128:144])
            g[G_DEPTH] = _lane_sum(sums[144:160])


@njit(cache=True)
def summed(entries: Index, pairs: Float, count: int) -> Float:
    """(count, GRADIENTS) gradient of each footprint: its pairs, added in the order of the tiles."""
    result = np.zeros((count, GRADIENTS), np.float32)
    for k in range(entries.shape[0]):
        n = entries[k]
        for c in range(GRADIENTS):
            result[n, c] += pairs[k, c]
    return result
