# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of field: the mean, in linear light, of pictures from points of a round aperture.

A camera that is moved by (dx, dy) in its image plane, and whose principal point is moved so that
what lies in the focal plane stays where it is, sees through that point of a thin lens (Haeberli and
Akeley 1990). Adding the circle of confusion to each Gaussian's covariance instead costs one picture
and is wrong where it shows most: many opaque layers overlap at a head's outline, which swells by
half the circle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from engine.splatting.backend import Image
from engine.splatting.camera import Camera

_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class Lens:
    """A thin lens.

    Attributes:
        radius: of the aperture, metres.
        focus: planar distance that is sharp, metres.
    """

    radius: float
    focus: float


def lens_cameras(
    camera: Camera, lens: Lens, samples: int, *, first: int = 0, step: int = 1
) -> list[Camera]:
    """The cameras whose pictures are averaged: evenly spread over the aperture (Vogel 1979).

    Args:
        camera: a pinhole in the middle of the aperture.
        lens: of the camera.
        samples: in all.
        first: of those that are wanted; with ``step`` a share of them, for a picture that is an
            average over something else, too.
        step: from one that is wanted to the next.
    """
    cameras = []
    for index in range(first, samples, step):
        distance, angle = lens.radius * math.sqrt((index + 0.5) / samples), index * _GOLDEN_ANGLE
        offset = np.array([distance * math.cos(angle), distance * math.sin(angle)], np.float32)
        viewmat, K = camera.viewmat.copy(), camera.K.copy()
        viewmat[:2, 3] -= offset
        K[:2, 2] += np.diag(K)[:2] * offset / np.float32(lens.focus)
        cameras.append(replace(camera, viewmat=viewmat, K=K))
    return cameras


def mean_in_linear_light(images: Sequence[Image]) -> Image:
    """The mean of pictures as light adds up.

    Args:
        images: display-referred sRGB over black, all of one size.

    Returns:
        Display-referred colours again; the depth is the mean of those that there are, by alpha.
    """
    alpha = torch.stack([image.alpha for image in images])
    light = torch.stack([_linear(image.rgb, image.alpha) for image in images]).mean(0)
    depth = (torch.stack([image.depth for image in images]) * alpha).sum(0)
    cover = alpha.mean(0)
    return Image(_display(light, cover), cover, depth / alpha.sum(0).clamp(min=1e-6))


def _linear(rgb: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Premultiplied scene-linear colours of premultiplied sRGB (IEC 61966-2-1)."""
    cover = alpha[..., None]
    colors = (rgb / cover.clamp(min=1e-6)).clamp(min=0)
    linear = torch.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    return linear * cover


def _display(light: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """The way back from :func:`_linear`."""
    cover = alpha[..., None]
    colors = light / cover.clamp(min=1e-6)
    shown = torch.where(
        colors <= 0.0031308, colors * 12.92, 1.055 * colors.clamp(min=1e-9) ** (1 / 2.4) - 0.055
    )
    return shown * cover
