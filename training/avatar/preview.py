# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar in training beside the held-out views, as scores and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image as Picture
from torch import Tensor

from engine.core.files import atomic_write
from engine.splatting.backend import Backend
from training.avatar.model import TrainableAvatar
from training.data.multiview import View
from training.metrics.image import color_corrected, psnr, ssim

_ERROR_GAIN = 4.0


class Scores(NamedTuple):
    """Means over views.

    Attributes:
        psnr: decibels, whole pictures on black.
        ssim: 0 to 1.
        views: how many.
        corrected: psnr under each view's map of :func:`training.metrics.image.color_corrected`.
    """

    psnr: float
    ssim: float
    views: int
    corrected: float


@torch.no_grad()
def rendered(
    avatar: TrainableAvatar, view: View, backend: Backend, backdrop: Tensor | None = None
) -> Tensor:
    """(H, W, 3) the avatar as the view's camera sees it, on the CPU, in [0, 1].

    Args:
        avatar: the avatar.
        view: head pose, expression and camera.
        backend: rasteriser.
        backdrop: (3,) colour behind it; black without.
    """
    device = avatar.binding.device
    splats = avatar.splats(
        view.vertices.to(device),
        view.expression.to(device),
        torch.from_numpy(view.camera.viewpoint).to(device),
        view.head_matrix.to(device),
    )
    return backend.render(splats, view.camera, backdrop).rgb.clamp(0, 1).cpu()


def spread(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` indices, evenly over ``count``."""
    places = np.linspace(0, count - 1, min(count, wanted)).round().astype(int)
    return list(dict.fromkeys(places.tolist()))


def measured(avatar: TrainableAvatar, views: Sequence[View], backend: Backend, most: int) -> Scores:
    """Scores on evenly spread views that were composited on black.

    Args:
        avatar: the avatar.
        views: of the held-out camera.
        backend: rasteriser.
        most: views looked at.
    """
    noise, structure, corrected = [], [], []
    for index in spread(len(views), most):
        view = views[index]
        ours = rendered(avatar, view, backend)
        noise.append(psnr(ours, view.image))
        corrected.append(psnr(color_corrected(ours, view.image, view.alpha), view.image))
        if min(ours.shape[:2]) >= 11:
            structure.append(ssim(ours, view.image))
    means = (float(np.mean(values or [np.nan])) for values in (noise, structure, corrected))
    plain, similar, fitted = means
    return Scores(plain, similar, len(noise), fitted)


def save_preview(
    path: Path, avatar: TrainableAvatar, views: Sequence[View], backend: Backend
) -> None:
    """A picture: a row for each view with the truth, the avatar, and four times the difference.

    Args:
        path: PNG.
        avatar: the avatar.
        views: one or a few.
        backend: rasteriser.
    """
    sheet = []
    for view in views:
        ours = rendered(avatar, view, backend)
        error = (_ERROR_GAIN * (ours - view.image).abs()).clamp(0, 1)
        sheet.append(torch.cat([view.image, ours, error], 1))
    pixels = (torch.cat(sheet, 0) * 255 + 0.5).to(torch.uint8).numpy()
    with atomic_write(path) as temporary:
        Picture.fromarray(pixels).save(temporary, "PNG")


def most_expressive(views: Sequence[View]) -> int:
    """Index of the view with the strongest expression, among at most 32."""
    strengths = {index: float(views[index].expression.norm()) for index in spread(len(views), 32)}
    return max(strengths, key=lambda index: strengths[index])
