# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats bound to triangles, as in GaussianAvatars (Qian et al., CVPR 2024, section 3.2).

Each Gaussian lives in the frame of one triangle and follows it: with R the triangle's rotation,
s its size and c its centre, a local position x, rotation q and scale σ become R·(s·x) + c, q_R ⊗ q
and s·σ.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

_TINY = 1e-24
"""Metres² (or metres⁴): below this squared length a direction is taken as undefined."""


class TriangleFrames(NamedTuple):
    """The frames of F triangles.

    Attributes:
        rotations: (F, 3, 3) orthonormal, right-handed; columns are the first edge's direction, the
            normal, and their cross product.
        quats: (F, 4) the same as unit quaternions wxyz.
        scales: (F,) metres: the mean of the first edge's length and the height over it.
        centers: (F, 3) metres.
    """

    rotations: torch.Tensor
    quats: torch.Tensor
    scales: torch.Tensor
    centers: torch.Tensor


def _unit(vector: torch.Tensor, otherwise: torch.Tensor) -> torch.Tensor:
    """``vector`` at length one; ``otherwise`` where it has no direction, with no NaN gradient."""
    squared = (vector * vector).sum(-1, keepdim=True)
    unit = vector * torch.rsqrt(squared.clamp(min=_TINY))
    return torch.where(squared > _TINY, unit, otherwise)


def _perpendicular(unit: torch.Tensor) -> torch.Tensor:
    """Some unit vector perpendicular to ``unit``."""
    axis = torch.zeros_like(unit)
    axis.scatter_(-1, unit.detach().abs().argmin(-1, keepdim=True), 1.0)
    return torch.nn.functional.normalize(torch.linalg.cross(unit, axis), dim=-1)


def triangle_frames(vertices: torch.Tensor, faces: torch.Tensor) -> TriangleFrames:
    """Frames of a mesh's triangles, differentiable by the vertices.

    A triangle without area gets some frame along its longest remaining direction, and its size;
    never a NaN.

    Args:
        vertices: (V, 3) float32, metres.
        faces: (F, 3) integers.
    """
    v0, v1, v2 = vertices[faces.long()].unbind(1)
    first, second = v1 - v0, v2 - v0
    x_axis = torch.zeros_like(first)
    x_axis[:, 0] = 1.0
    a0 = _unit(first, _unit(second, x_axis))
    # Both edges scaled to about one: the product of micrometre edges is too small for float32.
    longest = first.norm(dim=-1, keepdim=True).maximum(second.norm(dim=-1, keepdim=True))
    across = torch.linalg.cross(a0, second / longest.detach().clamp(min=1e-12))
    a1 = _unit(across, _perpendicular(a0))
    a2 = torch.linalg.cross(a0, a1)
    rotations = torch.stack([a0, a1, a2], dim=-1)
    base = (first * a0).sum(-1).abs()
    height = (a2 * second).sum(-1).abs()
    return TriangleFrames(
        rotations, matrix_to_quaternion(rotations), 0.5 * (base + height), (v0 + v1 + v2) / 3
    )


def matrix_to_quaternion(matrices: torch.Tensor) -> torch.Tensor:
    """Unit quaternions wxyz (..., 4) of rotation matrices (..., 3, 3).

    Of the four formulas (Shepperd 1978) the one with the largest divisor is taken per matrix.
    """
    m = matrices
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = torch.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz])
    x = m[..., 2, 1] - m[..., 1, 2]
    y = m[..., 0, 2] - m[..., 2, 0]
    z = m[..., 1, 0] - m[..., 0, 1]
    xy = m[..., 0, 1] + m[..., 1, 0]
    xz = m[..., 0, 2] + m[..., 2, 0]
    yz = m[..., 1, 2] + m[..., 2, 1]
    candidates = torch.stack(
        [
            torch.stack([squares[0], x, y, z], -1),
            torch.stack([x, squares[1], xy, xz], -1),
            torch.stack([y, xy, squares[2], yz], -1),
            torch.stack([z, xz, yz, squares[3]], -1),
        ]
    )
    best = squares.detach().argmax(0)
    chosen = torch.gather(candidates, 0, best[None, ..., None].expand(1, *best.shape, 4))[0]
    return torch.nn.functional.normalize(chosen, dim=-1)


def quaternion_product(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Hamilton product (..., 4) wxyz: the rotation ``second``, then ``first``."""
    a, b, c, d = first.unbind(-1)
    w, x, y, z = second.unbind(-1)
    return torch.stack(
        [
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ],
        -1,
    )


def transformed(points: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """(..., 3) points through a (4, 4) affine matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]
