# SPDX-License-Identifier: GPL-3.0-or-later
"""Front-to-back compositing of tiles.

A tile keeps its pixels in blocks of sixteen, laid out ``[T | R | G | B | Z | A] · 16``: T is the
light left (transmittance), its sign turned once the pixel is finished, Z the depth gathered and A
the alpha. A is summed because 1 − T has few digits where little is covered, and Z is divided by it.
A footprint visits, column of blocks by column, only the rows that its contributing ellipse
meets there.
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
    RADIUS_X,
    REACH,
    RED,
    SLOPE,
    TILE_HEIGHT,
    TILE_WIDTH,
)

# Python literals are float64 inside numba and would widen the whole lane arithmetic.
_0, _1, _HALF = np.float32(0), np.float32(1), np.float32(0.5)
_E0, _E1, _E2 = np.float32(0.99999988), np.float32(-0.12499869), np.float32(0.0078101093)
_E3, _E4, _E5 = np.float32(-0.00032387898), np.float32(9.6489402e-06), np.float32(-1.7391087e-07)
SIGMA_MAX = np.float32(6)
"""Exponents up to here are exact enough; alpha_min must not be below exp(−SIGMA_MAX)."""
_PLANES = 6
_LANES = np.float32(LANES)
EDGE = np.float32(0.01)
"""Pixels added to a row's span, so that rounding loses no pixel of the ellipse."""


@njit(inline="always", fastmath=True)
def exp_of_minus(sigma: Any) -> Any:
    """exp(−sigma) for sigma in [0, SIGMA_MAX], to 3e-6 of it: eighth power of exp(−sigma / 8).

    The polynomial has the least relative error of its degree there (1.2e-7).
    """
    e = _E0 + sigma * (_E1 + sigma * (_E2 + sigma * (_E3 + sigma * (_E4 + sigma * _E5))))
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
    """Blend one footprint into sixteen pixels of a row; how many of them are finished then.

    Finished are those whose T is not positive: light − weight is then under the limit again.
    """
    finished = _0
    for j in range(16):
        d = np.float32(j) + offset
        sigma = min(half_precision * d * d + sigma_y, SIGMA_MAX)
        alpha = min(opacity * exp_of_minus(sigma), alpha_max)
        light = lanes[j]
        alpha = alpha if alpha >= alpha_min else _0
        weight = alpha * light
        left = light - weight
        stop = left <= transmittance_min
        weight = _0 if stop else weight
        lanes[16 + j] += weight * red
        lanes[32 + j] += weight * green
        lanes[48 + j] += weight * blue
        lanes[64 + j] += weight * depth
        lanes[80 + j] += weight
        lanes[j] = -abs(light) if stop else left
        finished += _1 if stop else _0
    return finished


@njit(cache=True, inline="always")
def row_range(center: Any, radius: Any, count: int) -> tuple[int, int]:
    """First and last whole number within ``radius`` of ``center``, cut to [0, count)."""
    # Cut while still floating: a huge Gaussian's edge does not fit an integer.
    first = math.ceil(min(max(center - radius, _0), np.float32(count)))
    last = math.floor(max(min(center + radius, np.float32(count - 1)), -_1))
    return int(first), int(last)


@njit(cache=True, inline="always")
def strip_rows(
    first: Any,
    my: Any,
    precision: Any,
    slope: Any,
    precision_y: Any,
    reach: Any,
    radius: Any,
    count: int,
) -> tuple[int, int]:
    """First and last row of a strip of LANES columns that a contributing ellipse meets.

    With u and v the distances from the mean, its outline is v± = (p·s·u ± √(p·q·(radius² − u²)))
    / (p·s² + q), with p the precision, s the slope and q ``precision_y``: highest at u = s·√(reach
    / q) and lowest at its opposite, or at the side of the strip that is nearest to these.

    Args:
        first: the strip's first pixel centre from the mean, pixels.
        my: row of the mean.
        precision: and the next four, of the footprint.
        slope: likewise.
        precision_y: likewise.
        reach: likewise.
        radius: likewise.
        count: rows of the tile.
    """
    low, high = max(first - EDGE, -radius), min(first + np.float32(LANES - 1) + EDGE, radius)
    tip = slope * np.float32(math.sqrt(reach / precision_y))
    top, bottom = min(max(-tip, low), high), min(max(tip, low), high)
    pq, d = precision * precision_y, _1 / (precision * slope * slope + precision_y)
    rise = np.float32(math.sqrt(max(pq * (radius - top) * (radius + top), _0)))
    fall = np.float32(math.sqrt(max(pq * (radius - bottom) * (radius + bottom), _0)))
    y0 = my + (precision * slope * top - rise) * d - EDGE
    y1 = my + (precision * slope * bottom + fall) * d + EDGE
    limit = np.float32(count)
    first_row, last_row = (
        math.ceil(min(max(y0, _0), limit)),
        math.floor(max(min(y1, limit - _1), -_1)),
    )
    return int(first_row), int(last_row)


@njit(cache=True, parallel=True, fastmath=True, boundscheck=False, error_model="numpy")
def blend(  # noqa: C901 - inner loops in one kernel: a call would hide the slices.
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
                pixels[(x // LANES * TILE_HEIGHT + y) * _PLANES * LANES + x % LANES] = _1
        # Lanes right of the image keep T = 0: they are never blended.
        is_open = np.ones(BLOCKS * TILE_HEIGHT, np.bool_)
        open_rows = (w + LANES - 1) // LANES * h
        for k in range(starts[tile], starts[tile + 1]):
            n = entries[k]
            mx = rows[n, MEAN_X] - np.float32(left) - _HALF
            my = rows[n, MEAN_Y] - np.float32(top) - _HALF
            precision, slope, precision_y = rows[n, PRECISION], rows[n, SLOPE], rows[n, PRECISION_Y]
            reach, radius = rows[n, REACH], rows[n, RADIUS_X]
            x0, x1 = row_range(mx, radius + EDGE, w)
            for block in range(x0 // LANES, x1 // LANES + 1 if x1 >= x0 else 0):
                first = np.float32(block * LANES) - mx
                y0, y1 = strip_rows(first, my, precision, slope, precision_y, reach, radius, h)
                for y in range(y0, y1 + 1):
                    row = block * TILE_HEIGHT + y
                    if not is_open[row]:
                        continue
                    dy = np.float32(y) - my
                    at = row * _PLANES * LANES
                    finished = _blend_block(
                        pixels[at : at + 96],
                        first - slope * dy,
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
            if open_rows <= 0:
                break
        for y in range(h):
            for x in range(w):
                at = (x // LANES * TILE_HEIGHT + y) * _PLANES * LANES + x % LANES
                light = abs(pixels[at])
                for c in range(3):
                    rgb[top + y, left + x, c] = pixels[at + 16 * (c + 1)] + light * background[c]
                covered = pixels[at + 80]
                alpha[top + y, left + x] = covered
                depth[top + y, left + x] = pixels[at + 64] / covered if covered > _0 else _0
