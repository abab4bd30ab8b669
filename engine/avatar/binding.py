# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats bound to triangles, as in GaussianAvatars (Qian et al., CVPR 2024, section 3.2).

Each Gaussian lives in the frame of one triangle and follows it: with R the triangle's rotation,
s its size and c its centre, a local position x, rotation q and scale σ become R·(s·x) + c, q_R ⊗ q
and s·σ.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch

from engine.avatar.kernels import autograd
from engine.splatting.cpu.threads import compilable

_TINY = 1e-12
"""Metres (or metres²): below this length a direction is taken as undefined."""


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


def bind_to_triangles(
    vertices: torch.Tensor,
    faces: torch.Tensor,
    binding: torch.Tensor,
    positions: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gaussians on their triangles, differentiable by all that is no index.

    On a CPU in float32 through compiled kernels; elsewhere as tensor operations that never wait
    for the device.

    Args:
        vertices: (V, 3), metres.
        faces: (F, 3) integers; int32 is quickest on a CPU, int64 on a GPU.
        binding: (G,) integers likewise, the triangle of each Gaussian.
        positions: (G, 3) in the triangle's frame.
        quats: (G, 4) unit, there.
        scales: (G, 3) there, after the exponential.

    Returns:
        Means (G, 3), quaternions (G, 4) and scales (G, 3) in the space of the vertices.
    """
    if compilable(vertices, positions, quats, scales):
        return autograd.bind_to_triangles(vertices, faces, binding, positions, quats, scales)
    frames = triangle_frames(vertices, faces)
    F = len(frames.scales)
    rows = torch.cat(
        [frames.rotations.reshape(F, 9), frames.quats, frames.scales[:, None], frames.centers], 1
    )
    row = rows.index_select(0, binding)
    size = row[:, 13:14]
    turned = (row[:, :9].reshape(-1, 3, 3) * positions[:, None]).sum(-1)
    means = torch.addcmul(row[:, 14:], turned, size)
    return means, quaternion_product(row[:, 9:13], quats), size * scales


def triangle_frames(vertices: torch.Tensor, faces: torch.Tensor) -> TriangleFrames:
    """Frames of a mesh's triangles, differentiable by the vertices.

    A triangle without area gets some frame along its longest remaining direction, and its size;
    never a NaN.

    Args:
        vertices: (V, 3), metres.
        faces: (F, 3) integers.
    """
    corners = vertices[faces.long()]
    edges = corners[:, 1:] - corners[:, :1]
    lengths = torch.linalg.vector_norm(edges, dim=-1, keepdim=True)
    directed = lengths > _TINY
    along = edges / lengths.clamp(min=_TINY)
    table = _tables(vertices.device, vertices.dtype)
    otherwise = torch.where(directed[:, 1], along[:, 1], table.axes[0])
    a0 = torch.where(directed[:, 0], along[:, 0], otherwise)
    # The second edge brought to about one: products of micrometres are too small for float32.
    longest = lengths.detach().amax(1).clamp(min=_TINY)
    across = torch.linalg.cross(a0, edges[:, 1] / longest)
    sine = torch.linalg.vector_norm(across, dim=-1, keepdim=True)
    # Some perpendicular of the first axis, for triangles that have no normal.
    farthest = table.axes[a0.detach().abs().argmin(-1)]
    some = torch.linalg.cross(a0, farthest)
    some = some / torch.linalg.vector_norm(some, dim=-1, keepdim=True)
    flat = sine <= _TINY
    a1 = torch.where(flat, some, across / sine.clamp(min=_TINY))
    rotations = torch.stack([a0, a1, torch.linalg.cross(a0, a1)], dim=-1)
    # Base ‖v1 − v0‖ and the height over it, |a2·(v2 − v0)| = ‖a0 × (v2 − v0)‖.
    size = 0.5 * (lengths[:, 0] + sine.masked_fill(flat, 0) * longest)[:, 0]
    return TriangleFrames(rotations, matrix_to_quaternion(rotations), size, corners.mean(1))


class _Tables(NamedTuple):
    """Constants on one device.

    Attributes:
        axes: (3, 3) the axes of space.
        identity: (16,) and
        outer: (9, 16): 4·q⊗q of a rotation matrix is ``identity`` + the flat matrix · ``outer``.
        order: (16,) and
        signs: (4, 4): of the components of r in the matrix of q ↦ q ⊗ r.
    """

    axes: torch.Tensor
    identity: torch.Tensor
    outer: torch.Tensor
    order: torch.Tensor
    signs: torch.Tensor


@lru_cache(maxsize=16)
def _tables(device: torch.device, dtype: torch.dtype) -> _Tables:
    outer = torch.zeros(16, 9)
    # xx, yy and zz on the diagonal, differences and sums of the others beside it.
    for k, diagonal in enumerate(((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))):
        outer[5 * k, [0, 4, 8]] = torch.tensor(diagonal, dtype=torch.float32)
    pairs = {(0, 1): (7, 5, -1), (0, 2): (2, 6, -1), (0, 3): (3, 1, -1)}
    pairs |= {(1, 2): (1, 3, 1), (1, 3): (2, 6, 1), (2, 3): (5, 7, 1)}
    for (i, j), (first, second, sign) in pairs.items():
        for at in (4 * i + j, 4 * j + i):
            outer[at, first], outer[at, second] = 1, sign
    signs = torch.tensor([[1, 1, 1, 1], [-1, 1, -1, 1], [-1, 1, 1, -1], [-1, -1, 1, 1]])
    # Not inference tensors, whatever asks first: autograd would refuse them later.
    with torch.inference_mode(mode=False):
        return _Tables(
            torch.eye(3, dtype=dtype, device=device),
            torch.eye(4, dtype=dtype, device=device).reshape(16),
            outer.T.contiguous().to(device, dtype),
            torch.tensor([0, 1, 2, 3, 1, 0, 3, 2, 2, 3, 0, 1, 3, 2, 1, 0], device=device),
            signs.to(device, dtype),
        )


def matrix_to_quaternion(matrices: torch.Tensor) -> torch.Tensor:
    """Unit quaternions wxyz (..., 4) of rotation matrices (..., 3, 3).

    The rows of 4·q⊗q, which is linear in the matrix, are the quaternion times each of its
    components: the row with the largest is taken per matrix (Shepperd 1978).
    """
    table = _tables(matrices.device, matrices.dtype)
    flat = matrices.reshape(-1, 9)
    rows = torch.addmm(table.identity, flat, table.outer).reshape(-1, 4, 4)
    best = rows.detach().diagonal(dim1=1, dim2=2).argmax(-1)
    chosen = rows.gather(1, best[:, None, None].expand(-1, 1, 4))[:, 0]
    unit: torch.Tensor = chosen / torch.linalg.vector_norm(chosen, dim=-1, keepdim=True)
    return unit.reshape(*matrices.shape[:-2], 4)


def quaternion_product(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Hamilton product (..., 4) wxyz: the rotation ``second``, then ``first``."""
    table = _tables(second.device, second.dtype)
    matrix = second[..., table.order].reshape(*second.shape[:-1], 4, 4) * table.signs
    return (first[..., None] * matrix).sum(-2)


def transformed(points: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """(..., 3) points through a (4, 4) affine matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]
