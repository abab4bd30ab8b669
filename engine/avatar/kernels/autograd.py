# SPDX-License-Identifier: GPL-3.0-or-later
"""Binding and colour through the CPU's compiled kernels, differentiable.

The tensor forms of :mod:`engine.avatar.binding` and :mod:`engine.avatar.color` say the same on any
device and in any precision; these are taken for float32 in the CPU's memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from engine.avatar.kernels import binding as placing
from engine.avatar.kernels import binding_gradients as placing_gradients
from engine.avatar.kernels import color_mlp as shading
from engine.avatar.kernels import color_mlp_gradients as shading_gradients
from engine.splatting.cpu.threads import KERNELS, array

__all__ = ["network_colors", "placed"]


def placed(
    vertices: torch.Tensor,
    faces: torch.Tensor,
    binding: torch.Tensor,
    positions: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gaussians on their triangles.

    Args:
        vertices: (V, 3) float32, metres.
        faces: (F, 3) int32.
        binding: (G,) int32.
        positions: (G, 3) float32 in the triangle's frame.
        quats: (G, 4) unit, there.
        scales: (G, 3) there, after the exponential.

    Returns:
        Means (G, 3), quaternions (G, 4) and scales (G, 3) in the space of the vertices.
    """
    outgoing: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = _Placed.apply(  # type: ignore[no-untyped-call]
        vertices, positions, quats, scales, faces, binding
    )
    return outgoing


class _Placed(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        vertices: torch.Tensor,
        positions: torch.Tensor,
        quats: torch.Tensor,
        scales: torch.Tensor,
        faces: torch.Tensor,
        binding: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        indices = array(faces, np.int32), array(binding, np.int32)
        bound = tuple(map(array, (positions, quats, scales)))
        corners = array(vertices)
        with KERNELS:
            frames = placing.frames_of(corners, indices[0])
            images = placing.place(frames, indices[1], *bound)
        ctx.state = (corners, indices[0]), frames, (indices[1], *bound)
        return tuple(map(torch.from_numpy, images))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *incoming: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        mesh, frames, bound = ctx.state
        v_means, v_quats, v_scales = map(array, incoming)
        with KERNELS:
            outgoing = placing_gradients.place_backward(
                mesh,
                frames,
                bound,
                (v_means, v_quats, v_scales),
                by_vertices=ctx.needs_input_grad[0],
            )
        tensors = (None if values is None else torch.from_numpy(values) for values in outgoing)
        return (*tensors, None, None)


def network_colors(
    hidden: torch.Tensor,
    first: torch.Tensor,
    second_weight: torch.Tensor,
    second_bias: torch.Tensor,
    directions: torch.Tensor,
) -> torch.Tensor:
    """Colours of the two-layer network from what its first layer makes of the latents.

    Args:
        hidden: (G, H) float32, the latent part of the first layer.
        first: (4, H): bias with the expression's part, then the weights of the direction.
        second_weight: (3, H).
        second_bias: (3,).
        directions: (G, 3) unit vectors, or zeros.

    Returns:
        (G, 3).
    """
    colors: torch.Tensor = _NetworkColors.apply(  # type: ignore[no-untyped-call]
        hidden, first, second_weight, second_bias, directions
    )
    return colors


class _NetworkColors(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        hidden, first, second, bias, directions = map(array, inputs)
        colors = np.empty((len(hidden), 3), np.float32)
        with KERNELS:
            shading.network_colors(hidden, first, second, bias, directions, colors)
        ctx.state = (hidden, first, second, directions, colors)
        return torch.from_numpy(colors)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, v_colors: torch.Tensor) -> tuple[torch.Tensor, ...]:  # type: ignore[override]
        hidden, first, second, directions, colors = ctx.state
        with KERNELS:
            outgoing = shading_gradients.network_colors_backward(
                hidden, first, second, directions, colors, array(v_colors)
            )
        return tuple(map(torch.from_numpy, outgoing))
