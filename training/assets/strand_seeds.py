# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians along strands: a start for hair that a mesh does not have.

Densification finds hair only where pictures show it, blob by blob. Where the strands are known, as
those of the filmed default head, a few long thin Gaussians along each give hair its grain from the
start, from behind too.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.avatar.binding import matrix_to_quaternion, triangle_frames
from engine.heads.head import Head

_OPACITY = 0.9
_LONG = 1.2
"""Standard deviation along a segment of a strand against that of the segment itself."""


def along_strands(
    head: Head,
    roots: NDArray[np.intp],
    points: NDArray[np.float64],
    segments: int,
    radius: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Gaussians that follow polylines.

    Args:
        head: what the strands grow on, neutral.
        roots: (N,) the triangle of each strand's root; its Gaussians are bound to it.
        points: (N, P, 3) from the root to the tip, head space, metres.
        segments: Gaussians a strand.
        radius: standard deviation across a strand, metres.

    Returns:
        Binding (N·segments,) int32, and the parameters of shape by name.
    """
    cuts = np.linspace(0, points.shape[1] - 1, segments + 1)
    low = np.floor(cuts).astype(int).clip(0, points.shape[1] - 2)
    part = (cuts - low)[None, :, None]
    ends = points[:, low] * (1 - part) + points[:, low + 1] * part
    start, stop = ends[:, :-1].reshape(-1, 3), ends[:, 1:].reshape(-1, 3)
    binding = torch.from_numpy(np.repeat(roots, segments).astype(np.int64))
    frames = triangle_frames(
        torch.from_numpy(head.template), torch.from_numpy(np.array(head.faces, np.int64))
    )
    rotations, sizes = frames.rotations[binding], frames.scales[binding, None]
    middle = torch.from_numpy((0.5 * (start + stop)).astype(np.float32))
    positions = torch.einsum("gji,gj->gi", rotations, middle - frames.centers[binding]) / sizes
    span = torch.from_numpy((stop - start).astype(np.float32))
    along = torch.nn.functional.normalize(
        torch.einsum("gji,gj->gi", rotations, span), dim=-1, eps=1e-9
    )
    aside = torch.zeros_like(along)
    aside.scatter_(1, along.abs().argmin(1, keepdim=True), 1.0)
    across = torch.nn.functional.normalize(torch.linalg.cross(along, aside), dim=-1)
    turn = torch.stack([along, across, torch.linalg.cross(along, across)], -1)
    length = _LONG * span.norm(dim=1, keepdim=True) / 12**0.5
    sigma = torch.cat([length.clamp(min=radius), torch.full((len(length), 2), radius)], 1)
    return binding.to(torch.int32), {
        "positions": positions,
        "log_scales": (sigma / sizes).log(),
        "quats": matrix_to_quaternion(turn),
        "opacity_logits": torch.full((len(binding),), float(np.log(_OPACITY / (1 - _OPACITY)))),
    }
