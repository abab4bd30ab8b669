# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth order, and which footprints each tile has to blend."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.core.arrays import Float, Ids, Index
from engine.splatting.cpu.layout import (
    COLUMNS,
    MEAN_X,
    MEAN_Y,
    PRECISION_Y,
    RADIUS_X,
    REACH,
    TILE_HEIGHT,
    TILE_WIDTH,
)

_DIGIT = 11
"""Bits per pass of the radix sort: three passes for 32 bits."""


@njit(cache=True)
def depth_order(keys: NDArray[np.uint32], visible: NDArray[np.bool_]) -> Index:
    """Visible Gaussians from near to far; equal depths keep their order.

    Args:
        keys: (G,) depths as float32, viewed as uint32.
        visible: (G,).

    Returns:
        (N,) int32 indices of the visible ones.
    """
    count = 0
    for i in range(visible.shape[0]):
        if visible[i]:
            count += 1
    order, other = np.empty(count, np.int32), np.empty(count, np.int32)
    key, other_key = np.empty(count, np.uint32), np.empty(count, np.uint32)
    n = 0
    sign = np.uint32(0x80000000)
    for i in range(visible.shape[0]):
        if visible[i]:
            bits = keys[i]
            # Floats sort as unsigned integers once negatives are flipped.
            key[n] = ~bits if bits & sign else bits | sign
            order[n] = i
            n += 1
    buckets = 1 << _DIGIT
    for step in range(3):
        shift = np.uint32(step * _DIGIT)
        start = np.zeros(buckets + 1, np.int64)
        for i in range(count):
            start[((key[i] >> shift) & np.uint32(buckets - 1)) + 1] += 1
        for b in range(buckets):
            start[b + 1] += start[b]
        for i in range(count):
            b = (key[i] >> shift) & np.uint32(buckets - 1)
            other[start[b]] = order[i]
            other_key[start[b]] = key[i]
            start[b] += 1
        order, other = other, order
        key, other_key = other_key, key
    return order


@njit(cache=True)
def gathered(footprints: Float, order: Index) -> Float:
    """(N, COLUMNS) the visible footprints in depth order, so that blending reads them in a row."""
    result = np.empty((order.shape[0], COLUMNS), np.float32)
    for n in range(order.shape[0]):
        for c in range(COLUMNS):
            result[n, c] = footprints[order[n], c]
    return result


@njit(cache=True)
def _pixels(center: float, radius: float, size: int) -> tuple[int, int]:
    """First and last pixel whose centre lies within ``radius`` of ``center``."""
    # Cut while still floating: a huge Gaussian's edge does not fit an integer.
    first = math.ceil(min(max(center - radius - 0.5, 0.0), float(size)))
    last = math.floor(max(min(center + radius - 0.5, size - 1.0), -1.0))
    return int(first), int(last)


@njit(cache=True)
def tile_lists(rows: Float, width: int, height: int) -> tuple[Ids, Index]:
    """Deal the footprints out to tiles by counting; each tile's list is in depth order.

    Args:
        rows: (N, COLUMNS) footprints in depth order.
        width: of the image, pixels.
        height: of the image, pixels.

    Returns:
        ``starts`` (tiles + 1,) int64 and ``entries`` (P,) int32: tile t, row by row, blends
        ``rows[entries[starts[t]:starts[t + 1]]]``.
    """
    across = (width + TILE_WIDTH - 1) // TILE_WIDTH
    down = (height + TILE_HEIGHT - 1) // TILE_HEIGHT
    starts = np.zeros(across * down + 1, np.int64)
    boxes = np.zeros((rows.shape[0], 4), np.int32)
    for n in range(rows.shape[0]):
        # The tiny surplus keeps a pixel that float32 rounding puts on the ellipse's very edge.
        radius_y = math.sqrt(rows[n, REACH] / rows[n, PRECISION_Y]) * 1.00001 + 0.01
        radius_x = rows[n, RADIUS_X] * 1.00001 + 0.01
        x0, x1 = _pixels(rows[n, MEAN_X], radius_x, width)
        y0, y1 = _pixels(rows[n, MEAN_Y], radius_y, height)
        if x1 < x0 or y1 < y0:
            continue
        boxes[n, 0], boxes[n, 1] = x0 // TILE_WIDTH, x1 // TILE_WIDTH + 1
        boxes[n, 2], boxes[n, 3] = y0 // TILE_HEIGHT, y1 // TILE_HEIGHT + 1
        for ty in range(boxes[n, 2], boxes[n, 3]):
            for tx in range(boxes[n, 0], boxes[n, 1]):
                starts[ty * across + tx + 1] += 1
    for t in range(across * down):
        starts[t + 1] += starts[t]
    position = starts[:-1].copy()
    entries = np.empty(starts[-1], np.int32)
    for n in range(rows.shape[0]):
        for ty in range(boxes[n, 2], boxes[n, 3]):
            for tx in range(boxes[n, 0], boxes[n, 1]):
                t = ty * across + tx
                entries[position[t]] = n
                position[t] += 1
    return starts, entries


def balanced(starts: Ids, threads: int) -> Index:
    """An order of the tiles in which equal stretches hold about equal work.

    numba gives each thread one contiguous stretch; in image order the head lies in one of them.
    """
    by_load = np.argsort(-np.diff(starts), kind="stable").astype(np.int32)
    return np.concatenate([by_load[thread::threads] for thread in range(threads)])
