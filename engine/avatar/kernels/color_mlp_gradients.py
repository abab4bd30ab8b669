# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back through the colour network, one pass over the Gaussians.

The hidden layer is worked out again rather than kept: that costs less than the way to memory and
back. Sums over Gaussians are taken in chunks of a fixed size and in their order, so that two runs
give equal bits whatever the threads do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from engine.splatting.cpu.layout import LANES, Float

_0, _1 = np.float32(0), np.float32(1)
_CHUNK = 512
"""Gaussians whose shares of the weights' gradients are added up together."""
_ROWS = 7
"""Rows of the weights, and of their gradients: of ``first`` four, of ``second`` three."""


@njit(fastmath=True, error_model="numpy")
def _block(
    hidden: Float,
    weights: Float,
    x: Any,
    y: Any,
    z: Any,
    red: Any,
    green: Any,
    blue: Any,
    v_hidden: Float,
    sums: Float,
) -> None:
    """Sixteen hidden units of one Gaussian: their gradients, and what the sums get of them."""
    for j in range(16):
        value = hidden[j] + weights[j]
        value += x * weights[16 + j] + y * weights[32 + j] + z * weights[48 + j]
        v = red * weights[64 + j] + green * weights[80 + j] + blue * weights[96 + j]
        v = v if value > _0 else _0
        value = max(_0, value)
        v_hidden[j] = v
        sums[j] += v
        sums[16 + j] += x * v
        sums[32 + j] += y * v
        sums[48 + j] += z * v
        sums[64 + j] += red * value
        sums[80 + j] += green * value
        sums[96 + j] += blue * value


@njit(fastmath=True, error_model="numpy")
def _by_direction(v_hidden: Float, first: Float) -> Any:
    v_x, v_y, v_z = _0, _0, _0
    for h in range(v_hidden.shape[0]):
        v_x += v_hidden[h] * first[1, h]
        v_y += v_hidden[h] * first[2, h]
        v_z += v_hidden[h] * first[3, h]
    return v_x, v_y, v_z


@njit(cache=True, parallel=True, fastmath=True, error_model="numpy")
def _chunks(
    hidden: Float,
    first: Float,
    weights: Float,
    directions: Float,
    v_outputs: Float,
    v_hidden: Float,
    v_directions: Float,
    sums: Float,
) -> None:
    for chunk in prange(sums.shape[0]):
        for g in range(chunk * _CHUNK, min(hidden.shape[0], (chunk + 1) * _CHUNK)):
            x, y, z = directions[g, 0], directions[g, 1], directions[g, 2]
            red, green, blue = v_outputs[g, 0], v_outputs[g, 1], v_outputs[g, 2]
            for b in range(weights.shape[0]):
                _block(
                    hidden[g, 16 * b : 16 * b + 16],
                    weights[b],
                    x,
                    y,
                    z,
                    red,
                    green,
                    blue,
                    v_hidden[g, 16 * b : 16 * b + 16],
                    sums[chunk, b],
                )
            v_x, v_y, v_z = _by_direction(v_hidden[g], first)
            v_directions[g, 0], v_directions[g, 1], v_directions[g, 2] = v_x, v_y, v_z


def network_colors_backward(
    hidden: Float,
    first: Float,
    second: Float,
    directions: Float,
    colors: Float,
    v_colors: Float,
) -> tuple[Float, Float, Float, Float, Float]:
    """Gradients of :func:`shading.network_colors`.

    Args:
        hidden: (G, H) as on the way there, like all up to ``colors``, which it gave.
        first: (4, H).
        second: (3, H).
        directions: (G, 3).
        colors: (G, 3).
        v_colors: (G, 3) gradient of the loss by ``colors``.

    Returns:
        Gradients by ``hidden``, ``first``, ``second``, the second layer's bias and ``directions``.
    """
    count, width = hidden.shape
    blocks = -(-width // LANES)
    if blocks * LANES != width:
        unused = ((0, 0), (0, blocks * LANES - width))
        hidden, first, second = (np.pad(values, unused) for values in (hidden, first, second))
    weights = np.concatenate([first, second]).reshape(_ROWS, blocks, LANES)
    v_outputs = v_colors * colors * (_1 - colors)
    v_hidden, v_directions = np.empty_like(hidden), np.empty_like(directions)
    sums = np.zeros((-(-count // _CHUNK), blocks, _ROWS * LANES), np.float32)
    _chunks(
        hidden,
        first,
        np.ascontiguousarray(weights.transpose(1, 0, 2)).reshape(blocks, _ROWS * LANES),
        directions,
        v_outputs,
        v_hidden,
        v_directions,
        sums,
    )
    total = sums.sum(0).reshape(blocks, _ROWS, LANES).transpose(1, 0, 2).reshape(_ROWS, -1)
    v_first, v_second = total[:4, :width].copy(), total[4:, :width].copy()
    return v_hidden[:, :width], v_first, v_second, v_outputs.sum(0), v_directions


def warm_up() -> None:
    """Compile the kernels, or load them."""
    ones, one = np.ones((4, 1), np.float32), np.ones((1, 3), np.float32)
    network_colors_backward(ones[:1], ones, ones[:3], one, one, one)
