# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars of any number of Gaussians for measurements, and plain 3DGS that is measured beside."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.avatar import ColorModel, GaussianAvatar, MlpColor, ShColor
from engine.avatar.binding import triangle_frames
from engine.heads.head import Head
from engine.heads.identity import Identity
from engine.splatting.backend import BlendSettings, Splats
from engine.splatting.camera import Camera

LATENT, HIDDEN = 32, 128


def avatar_of(head: Head, count: int) -> GaussianAvatar:
    """Flat splats all over a head's surface, smaller the more there are."""
    random = np.random.default_rng(0)
    faces, template = torch.from_numpy(head.faces), torch.from_numpy(head.template)
    corners = head.template[head.faces].astype(np.float64)
    edges = corners[:, 1:] - corners[:, :1]
    areas = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
    binding = random.choice(len(faces), count, p=areas / areas.sum())
    triangles = triangle_frames(template, faces).scales.numpy()[binding].clip(min=1e-4)
    size = 1.3e-3 * np.sqrt(32_000 / count)
    sizes = size * np.exp(0.5 * random.normal(size=(count, 3))) * [1, 0.25, 1]
    positions, scales, quats, opacities = (
        torch.tensor(values, dtype=torch.float32)
        for values in (
            0.3 * random.normal(size=(count, 3)) * [1, 0.1, 1],
            np.log(sizes / triangles[:, None]),
            random.normal(size=(count, 4)) * 0.2 + [1, 0, 0, 0],
            1 + 2 * random.normal(size=count),
        )
    )
    return GaussianAvatar(
        Identity.of(head),
        faces,
        torch.from_numpy(binding.astype(np.int32)),
        positions,
        scales,
        quats,
        opacities,
        ShColor.constant(torch.full((count, 3), 0.5)),
    )


def color_models(count: int, expressions: int) -> dict[str, ColorModel]:
    """The ways to make colours: harmonics of degree 3, and the network at the paper's size."""
    random = torch.Generator().manual_seed(0)

    def values(*shape: int) -> Tensor:
        return 0.1 * torch.randn(*shape, generator=random)

    width = LATENT + 3 + expressions
    return {
        "Sh": ShColor(values(count, 16, 3)),
        "Mlp": MlpColor(
            values(count, LATENT),
            values(HIDDEN, width),
            values(HIDDEN),
            values(3, HIDDEN),
            values(3),
        ),
    }


def joined(several: list[Splats]) -> Splats:
    """The splats of several avatars as one scene."""
    return Splats(*(torch.cat(tensors) for tensors in zip(*several, strict=True)))


def plain_render(splats: Splats, camera: Camera, settings: BlendSettings) -> Tensor:
    """3D Gaussian Splatting in plain torch (Kerbl et al. 2023, EWA as gsplat): all at all pixels.

    Returns:
        (H, W, 3) float32, over black.
    """
    view, K = torch.from_numpy(camera.viewmat), torch.from_numpy(camera.K)
    points = splats.means @ view[:3, :3].T + view[:3, 3]
    order = torch.argsort(points[:, 2])
    order = order[points[order, 2] > camera.near]
    x, y, z = points[order].T
    w, i, j, k = torch.nn.functional.normalize(splats.quats[order], dim=1).T
    turn = torch.stack(
        [
            *(1 - 2 * (j * j + k * k), 2 * (i * j - w * k), 2 * (i * k + w * j)),
            *(2 * (i * j + w * k), 1 - 2 * (i * i + k * k), 2 * (j * k - w * i)),
            *(2 * (i * k - w * j), 2 * (j * k + w * i), 1 - 2 * (i * i + j * j)),
        ],
        1,
    ).reshape(-1, 3, 3)
    axes = view[:3, :3] @ turn * splats.scales[order, None]
    zero = torch.zeros_like(z)
    fx, fy = K[0, 0], K[1, 1]
    jacobian = torch.stack([fx / z, zero, -fx * x / z**2, zero, fy / z, -fy * y / z**2], 1).reshape(
        -1, 2, 3
    )
    flat = jacobian @ axes
    covariance = flat @ flat.transpose(1, 2) + settings.eps2d * torch.eye(2)
    inverse = torch.linalg.inv(covariance)
    centres = torch.stack([fx * x / z + K[0, 2], fy * y / z + K[1, 2]], 1)
    rows, columns = torch.meshgrid(
        torch.arange(camera.height) + 0.5, torch.arange(camera.width) + 0.5, indexing="ij"
    )
    pixels = torch.stack([columns.ravel(), rows.ravel()], 1)
    away = pixels[:, None] - centres
    power = torch.einsum("pgi,gij,pgj->pg", away, inverse, away)
    alpha = (splats.opacities[order] * torch.exp(-0.5 * power)).clamp(max=settings.alpha_max)
    alpha = torch.where(alpha >= settings.alpha_min, alpha, 0.0)
    before = torch.cumprod(torch.cat([torch.ones(len(alpha), 1), 1 - alpha], 1), 1)[:, :-1]
    before = torch.where(before > settings.transmittance_min, before, 0.0)
    picture = (alpha * before) @ splats.colors[order]
    return picture.reshape(camera.height, camera.width, 3)
