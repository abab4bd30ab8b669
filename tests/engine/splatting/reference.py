# SPDX-License-Identifier: GPL-3.0-or-later
"""A brute-force float64 rasteriser: every Gaussian at every pixel, autograd for gradients.

Written from the formulas with matrices and cumulative products, so that it shares no step with the
kernels it judges.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from engine.splatting.backend import BlendSettings, Splats
from engine.splatting.camera import Camera


class Reference(NamedTuple):
    """``edge`` marks pixels within rounding of a decision: cut-off, stop, or alpha's bound."""

    rgb: torch.Tensor
    alpha: torch.Tensor
    depth: torch.Tensor
    edge: torch.Tensor


def rotations(quats: torch.Tensor) -> torch.Tensor:
    w, x, y, z = (quats / quats.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        torch.stack([w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z], -1),
    ]
    return torch.stack(rows, -2)


def project(splats: Splats, camera: Camera, eps2d: float):
    V = torch.as_tensor(camera.viewmat, dtype=torch.float64)
    K = torch.as_tensor(camera.K, dtype=torch.float64)
    W, H = camera.width, camera.height
    points = splats.means @ V[:3, :3].T + V[:3, 3]
    inside = (points[:, 2] >= camera.near) & (points[:, 2] <= camera.far)
    M = rotations(splats.quats) @ torch.diag_embed(splats.scales)
    covariance = V[:3, :3] @ M @ M.transpose(1, 2) @ V[:3, :3].T
    f = torch.stack([K[0, 0], K[1, 1]])
    c = torch.stack([K[0, 2], K[1, 2]])
    J = torch.zeros(len(points), 2, 3, dtype=torch.float64)
    if camera.orthographic:
        means2d = points[:, :2] * f + c
        J[:, 0, 0], J[:, 1, 1] = f
    else:
        z = torch.where(inside, points[:, 2], torch.ones_like(points[:, 2]))
        means2d = points[:, :2] / z[:, None] * f + c
        size = torch.tensor([W, H], dtype=torch.float64)
        margin = 0.3 * 0.5 * size / f
        slope = points[:, :2] / z[:, None]
        held = torch.maximum(torch.minimum(slope, (size - c) / f + margin), -(c / f + margin))
        J[:, 0, 0], J[:, 1, 1] = f[0] / z, f[1] / z
        J[:, :, 2] = -f * held / z[:, None]
    cov2d = J @ covariance @ J.transpose(1, 2) + eps2d * torch.eye(2, dtype=torch.float64)
    return means2d, cov2d, points[:, 2], inside


def render(
    splats: Splats, camera: Camera, background: torch.Tensor, settings: BlendSettings
) -> Reference:
    splats = Splats(*(tensor.double() for tensor in splats))
    means2d, cov2d, z, inside = project(splats, camera, settings.eps2d)
    inside = inside & (splats.opacities >= settings.alpha_min)
    order = torch.sort(z.detach().float(), stable=True).indices  # Depths are float32.
    order = order[inside[order]]
    ys, xs = torch.meshgrid(
        torch.arange(camera.height, dtype=torch.float64) + 0.5,
        torch.arange(camera.width, dtype=torch.float64) + 0.5,
        indexing="ij",
    )
    pixels = torch.stack([xs, ys], -1).reshape(-1, 1, 2)
    d = pixels - means2d[order]
    solved = torch.linalg.solve(cov2d[order], d.transpose(0, 1).transpose(1, 2))
    sigma = 0.5 * (d.transpose(0, 1).transpose(1, 2) * solved).sum(1).T
    raw = splats.opacities[order] * torch.exp(-sigma)
    alpha = torch.clamp(raw, max=settings.alpha_max)
    counted = alpha >= settings.alpha_min
    alpha = torch.where(counted, alpha, torch.zeros_like(alpha))
    light = torch.cumprod(1 - alpha, 1)
    alpha = torch.where(light > settings.transmittance_min, alpha, torch.zeros_like(alpha))
    left = torch.cumprod(1 - alpha, 1)
    before = torch.cat([torch.ones(len(left), 1, dtype=torch.float64), left], 1)
    weights, end = alpha * before[:, :-1], before[:, -1]
    rgb = weights @ splats.colors[order] + end[:, None] * background.double()
    opaque = 1 - end
    depth = torch.where(opaque > 0, weights @ z[order] / torch.where(opaque > 0, opaque, 1.0), 0.0)
    near_cut = ((raw / settings.alpha_min - 1).abs() < 2e-3).any(1)
    near_stop = ((light / settings.transmittance_min - 1).abs() < 2e-2).any(1)
    near_bound = ((raw / settings.alpha_max - 1).abs() < 1e-4).any(1)
    shape = (camera.height, camera.width)
    return Reference(
        rgb.reshape(*shape, 3),
        opaque.reshape(shape),
        depth.reshape(shape),
        (near_cut | near_stop | near_bound).reshape(shape),
    )
