# SPDX-License-Identifier: GPL-3.0-or-later
"""Front-to-back compositing of tiles.

A tile keeps its pixels in blocks of sixteen, laid out ``[T | R | G | B | Z | A] · 16``: T is the
light left (transmittance), its sign turned once the pixel is finished, Z the depth gathered and A
the alpha. A is summed because 1 − T has few digits where little is covered, and Z is divided by it.
A footprint visits only the rows and blocks that its contributing ellipse meets.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange

from engine.core.arrays import Float, Ids, Index
from engine.splatting.cpu.layout import (
    BLOCKS,
    BLUE,
    DEPTH,
    GREEN,
    LANES,
    MEAN_X,
    MEAN_Y,
    OPACITY,
    PRECISION,
    PRECISION_Y,
    REACH,
    RED,
    SLOPE,
    TILE_HEIGHT,
    TILE_WIDTH,
)

# Python literals are float64 inside numba and would widen the whole lane arithmetic.
_0, _1, _HALF, _EIGHTH = np.float32(0), np.float32(1), np.float32(0.5), np.float32(0.125)
_C2, _C3, _C4 = np.float32(1 / 2), np.float32(1 / 6), np.float32(1 / 24)
_C5, _C6, _C7 = np.float32(1 / 120), np.float32(1 / 720), np.float32(1 / 5040)
SIGMA_MAX = np.float32(6)
"""Exponents up to here are exact enough; alpha_min must not be below exp(−SIGMA_MAX)."""
_PLANES = 6
EDGE = np.float32(0.01)
"""Pixels added to a row's span, so that rounding loses no pixel of the ellipse."""


@njit(inline="always", fastmath=True)
def exp_of_minus(sigma: Any) -> Any:
    """exp(−sigma) for sigma in [0, SIGMA_MAX]: Taylor series of the eighth part, to the eighth."""
    y = -sigma * _EIGHTH
    e = _1 + y * (_1 + y * (_C2 + y * (_C3 + y * (_C4 + y * (_C5 + y * (_C6 + y * _C7))))))
    e *= e
    e *= e
    return e * e


@njit(fastmath=True, error_model="numpy")
def _blend_block(
    lanes: Float,
    offset: Any,
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
    """Blend one footprint into sixteen pixels of a row; how many of them this finished."""
    finished = _0
    for j in range(16):
        d = np.float32(j) + offset
        sigma = min(half_precision * d * d + sigma_y, SIGMA_MAX)
        alpha = min(opacity * exp_of_minus(sigma), alpha_max)
        light = lanes[j]
        alpha = alpha if alpha >= alpha_min else _0
        alpha = alpha if light > _0 else _0
        weight = alpha * light
        stop = (weight > _0) and (light - weight <= transmittance_min)
        weight = _0 if stop else weight
        lanes[16 + j] += weight * red
        lanes[32 + j] += weight * green
        lanes[48 + j] += weight * blue
        lanes[64 + j] += weight * depth
        lanes[80 + j] += weight
        lanes[j] = -light if stop else light - weight
        finished += _1 if stop else _0
    return finished


@njit(cache=True, inline="always")
def row_range(center: Any, radius: Any, count: int) -> tuple[int, int]:
    """First and last whole number within ``radius`` of ``center``, cut to [0, count)."""
    # Cut while still floating: a huge Gaussian's edge does not fit an integer.
    first = math.ceil(min(max(center - radius, _0), np.float32(count)))
    last = math.floor(max(min(center + radius, np.float32(count - 1)), -_1))
    return int(first), int(last)


@njit(cache=True, parallel=True, fastmath=True, boundscheck=False, error_model="numpy")
def blend(  # noqa: C901, PLR0912 - inner loops in one kernel: a call would hide the slices.
    rows: Float,
    starts: Ids,
    entries: Index,
    tiles: Index,
    alpha_max: Any,
    alpha_min: Any,
    transmittance_min: Any,
    background: Float,
    rgb: Float,
    alpha: Float,
    depth: Float,
) -> None:
    """Composite every tile.

    Args:
        rows: (N, COLUMNS) footprints in depth order.
        starts: (tiles + 1,) from :func:`binning.tile_lists`.
        entries: (P,) from there too.
        tiles: (tiles,) the order in which tiles are worked off.
        alpha_max: float32, see :class:`engine.splatting.backend.BlendSettings`.
        alpha_min: float32.
        transmittance_min: float32.
        background: (3,).
        rgb: (H, W, 3) output.
        alpha: (H, W) output.
        depth: (H, W) output.
    """
    height, width = alpha.shape
    across = (width + TILE_WIDTH - 1) // TILE_WIDTH
    for t in prange(tiles.shape[0]):
        tile = tiles[t]
        left, top = (tile % across) * TILE_WIDTH, (tile // across) * TILE_HEIGHT
        w, h = min(TILE_WIDTH, width - left), min(TILE_HEIGHT, height - top)
        pixels = np.zeros(BLOCKS * TILE_HEIGHT * _PLANES * LANES, np.float32)
        for y in range(h):
            for x in range(w):
                pixels[(y * BLOCKS + x // LANES) * _PLANES * LANES + x % LANES] = _1
        # Lanes right of the image keep T = 0: they are never blended.
        open_pixels = np.full(TILE_HEIGHT, w, np.int32)
        open_rows = h
        for k in range(starts[tile], starts[tile + 1]):
            n = entries[k]
            mx = rows[n, MEAN_X] - np.float32(left) - _HALF
            my = rows[n, MEAN_Y] - np.float32(top) - _HALF
            precision, slope, precision_y = rows[n, PRECISION], rows[n, SLOPE], rows[n, PRECISION_Y]
            reach, variance = rows[n, REACH], _1 / precision
            y0, y1 = row_range(my, np.float32(math.sqrt(reach / precision_y)) + EDGE, h)
            for y in range(y0, y1 + 1):
                if open_pixels[y] <= 0:
                    continue
                dy = np.float32(y) - my
                square_y = precision_y * dy * dy
                center = mx + slope * dy
                span = np.float32(math.sqrt(max((reach - square_y) * variance, _0))) + EDGE
                x0, x1 = row_range(center, span, w)
                finished = _0
                for block in range(x0 // LANES, x1 // LANES + 1 if x1 >= x0 else 0):
                    at = (y * BLOCKS + block) * _PLANES * LANES
                    finished += _blend_block(
                        pixels[at : at + 96],
                        np.float32(block * LANES) - center,
                        _HALF * precision,
                        _HALF * square_y,
                        rows[n, OPACITY],
                        rows[n, RED],
                        rows[n, GREEN],
                        rows[n, BLUE],
                        rows[n, DEPTH],
                        alpha_max,
                        alpha_min,
                        transmittance_min,
                    )
                if finished > _0:
                    open_pixels[y] -= int(finished)
                    if open_pixels[y] <= 0:
                        open_rows -= 1
            if open_rows <= 0:
                break
        for y in range(h):
            for x in range(w):
                at = (y * BLOCKS + x // LANES) * _PLANES * LANES + x % LANES
                light = abs(pixels[at])
                for c in range(3):
                    rgb[top + y, left + x, c] = pixels[at + 16 * (c + 1)] + light * background[c]
                covered = pixels[at + 80]
                alpha[top + y, left + x] = covered
                depth[top + y, left + x] = pixels[at + 64] / covered if covered > _0 else _0
