# SPDX-License-Identifier: GPL-3.0-or-later
"""The colour network in one pass over the Gaussians.

The tensor form in :mod:`engine.avatar.color` gives the same; here nothing of a size between the
inputs and the colours goes through memory. For pictures alone: what trains takes the tensor form.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import njit, prange

from engine.core.arrays import Float
from engine.splatting.cpu.threads import KERNELS, array

_0, _1 = np.float32(0), np.float32(1)


@njit(fastmath=True, error_model="numpy")
def _outputs(hidden: Float, first: Float, second: Float, x: Any, y: Any, z: Any) -> Any:
    """The three sums of the second layer.

    Args:
        hidden: (H,) the part of the first layer that is the Gaussian's own.
        first: (4, H) what a frame adds, and the weights of the direction.
        second: (3, H).
        x: of the direction.
        y: of the direction.
        z: of the direction.
    """
    red, green, blue = _0, _0, _0
    for h in range(hidden.shape[0]):
        value = hidden[h] + first[0, h] + x * first[1, h] + y * first[2, h] + z * first[3, h]
        value = max(_0, value)
        red += value * second[0, h]
        green += value * second[1, h]
        blue += value * second[2, h]
    return red, green, blue


@njit(cache=True, error_model="numpy")
def _sigmoid(value: Any) -> Any:
    return _1 / (_1 + np.float32(math.exp(-value)))


@njit(cache=True, parallel=True, fastmath=True, error_model="numpy")
def network_colors(
    hidden: Float, first: Float, second: Float, bias: Float, directions: Float, colors: Float
) -> None:
    """Colours of the two-layer network.

    Args:
        hidden: (G, H) latent part of the first layer.
        first: (4, H): bias with the expression's part, then the weights of the direction.
        second: (3, H) second layer.
        bias: (3,) of the second layer.
        directions: (G, 3) unit vectors, or zeros.
        colors: (G, 3) output.
    """
    for g in prange(hidden.shape[0]):
        x, y, z = directions[g, 0], directions[g, 1], directions[g, 2]
        red, green, blue = _outputs(hidden[g], first, second, x, y, z)
        colors[g, 0] = _sigmoid(red + bias[0])
        colors[g, 1] = _sigmoid(green + bias[1])
        colors[g, 2] = _sigmoid(blue + bias[2])


def network_colors_of(
    hidden: torch.Tensor,
    first: torch.Tensor,
    second_weight: torch.Tensor,
    second_bias: torch.Tensor,
    directions: torch.Tensor,
) -> torch.Tensor:
    """(G, 3) colours of :func:`network_colors`, from float32 tensors on the CPU."""
    colors = np.empty((len(hidden), 3), np.float32)
    inputs = (array(hidden), array(first), array(second_weight), array(second_bias))
    with KERNELS:
        network_colors(*inputs, array(directions), colors)
    return torch.from_numpy(colors)


def warm_up() -> None:
    """Compile the kernel, or load it."""
    ones = np.ones((4, 1), np.float32)
    one = np.ones((1, 3), np.float32)
    network_colors(ones[:1], ones, ones[:3], one[0], one, one.copy())
