# SPDX-License-Identifier: GPL-3.0-or-later
"""Binding through the CPU's compiled kernels, differentiable.

The tensor form in :mod:`engine.avatar.binding` gives the same on any device and in any precision;
this one is for float32 in the CPU's memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from engine.avatar.kernels import binding as binding_kernels
from engine.avatar.kernels import binding_gradients
from engine.splatting.cpu.threads import KERNELS, array


def bind_to_triangles(
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
    outgoing: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = _BindToTriangles.apply(  # type: ignore[no-untyped-call]
        vertices, positions, quats, scales, faces, binding
    )
    return outgoing


class _BindToTriangles(torch.autograd.Function):
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
        ctx.save_for_backward(vertices, faces, binding, positions, quats, scales)
        triangles, bound_to = array(faces, np.int32), array(binding, np.int32)
        with KERNELS:
            frames = binding_kernels.frames_of(array(vertices), triangles)
            images = binding_kernels.bind(frames, bound_to, *map(array, (positions, quats, scales)))
        ctx.frames = frames
        return tuple(map(torch.from_numpy, images))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *incoming: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        vertices, faces, binding, positions, quats, scales = ctx.saved_tensors
        v_means, v_quats, v_scales = incoming
        with KERNELS:
            outgoing = binding_gradients.bind_backward(
                (array(vertices), array(faces, np.int32)),
                ctx.frames,
                (array(binding, np.int32), array(positions), array(quats), array(scales)),
                (array(v_means), array(v_quats), array(v_scales)),
                by_vertices=ctx.needs_input_grad[0],
            )
        tensors = (None if values is None else torch.from_numpy(values) for values in outgoing)
        return (*tensors, None, None)
