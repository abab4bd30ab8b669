# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Gaussians are hidden in a picture."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.splatting.backend import Image, Splats
from engine.splatting.camera import Camera

_BEHIND = 0.01
"""Metres behind what is seen from which on a Gaussian counts as hidden: hair is that thick."""
_REACH = 2.0
"""Standard deviations by which a Gaussian may come forward."""
_SOLID = 0.5


def hidden(splats: Splats, image: Image, camera: Camera) -> Tensor:
    """(G,) whether a Gaussian lies behind what a picture shows.

    Light that leaks through what is in front gives the nape a gradient from the front camera, tiny
    and wrong; Adam would make steps of full size of it.

    Args:
        splats: in world space.
        image: of the same splats; its depth decides.
        camera: of the image; parallel rays hide nothing.
    """
    viewmat = torch.from_numpy(camera.viewmat).to(splats.means.device)
    inside = splats.means.detach() @ viewmat[:3, :3].T + viewmat[:3, 3]
    z = inside[:, 2]
    if camera.orthographic:
        return torch.zeros_like(z, dtype=torch.bool)
    focal_x, focal_y = float(camera.K[0, 0]), float(camera.K[1, 1])
    ahead = z.clamp(min=camera.near)
    x = (focal_x * inside[:, 0] / ahead + float(camera.K[0, 2])).floor().long()
    y = (focal_y * inside[:, 1] / ahead + float(camera.K[1, 2])).floor().long()
    within = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    place = y.clamp(0, camera.height - 1) * camera.width + x.clamp(0, camera.width - 1)
    seen = image.depth.detach().flatten()[place]
    solid = image.alpha.detach().flatten()[place] > _SOLID
    front = z - _REACH * splats.scales.detach().amax(dim=1)
    return within & solid & (front > seen + _BEHIND)
