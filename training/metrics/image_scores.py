# SPDX-License-Identifier: GPL-3.0-or-later
"""The scores of an avatar's pictures: view by view, then all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.heads.head import Head
from training.data.multiview import View
from training.metrics.image import color_corrected, decibels, psnr, squared_error, ssim
from training.metrics.image_lpips import Lpips
from training.metrics.image_regions import REGIONS, WRINKLES, region_masks

REGION_NAMES: tuple[str, ...] = (*REGIONS, WRINKLES)


@dataclass(frozen=True)
class RegionError:
    """What a region adds to a pooled PSNR.

    Attributes:
        squared: sum of the squared errors of its pixels, each the mean of its channels.
        pixels: how many.
    """

    squared: float = 0.0
    pixels: int = 0

    @property
    def psnr(self) -> float | None:
        """Decibels; ``None`` where no pixel shows the region."""
        return decibels(self.squared / self.pixels) if self.pixels else None


@dataclass(frozen=True)
class ViewScores:
    """One view.

    Attributes:
        camera_id, timestep: which.
        psnr: decibels, whole picture.
        ssim: see :func:`training.metrics.image.ssim`.
        lpips: see :class:`training.metrics.image_lpips.Lpips`; ``None`` without weights.
        regions: by :data:`REGION_NAMES`.
        corrected: PSNR under the map of :func:`training.metrics.image.color_corrected`.
    """

    camera_id: str
    timestep: int
    psnr: float
    ssim: float
    lpips: float | None
    regions: Mapping[str, RegionError]
    corrected: float


@dataclass(frozen=True)
class Scores:
    """All views.

    Attributes:
        psnr, ssim, lpips: means over the views.
        regions: PSNR of each region, decibels, over its pixels of all views together; ``None``
            where no view shows it.
        views: how many.
        corrected: mean PSNR under each view's map of colours.
    """

    psnr: float
    ssim: float
    lpips: float | None
    regions: Mapping[str, float | None]
    views: int
    corrected: float


@torch.no_grad()
def score_view(ours: Tensor, view: View, head: Head, lpips: Lpips | None = None) -> ViewScores:
    """Compare a rendered picture with the true one.

    Args:
        ours: (H, W, 3) over the background of the view, on the CPU.
        view: the true one.
        head: its regions.
        lpips: the metric, where its weights are available.
    """
    ours = ours.clamp(0, 1)
    masks = region_masks(
        head, view.vertices.numpy(), view.camera, view.alpha.numpy(), view.image.numpy()
    )
    error = squared_error(ours, view.image).numpy()
    return ViewScores(
        view.camera_id,
        view.timestep,
        psnr(ours, view.image),
        ssim(ours, view.image),
        None if lpips is None else lpips(ours, view.image),
        {
            name: RegionError(float(error[mask].sum()), int(mask.sum()))
            for name, mask in masks.items()
        },
        psnr(color_corrected(ours, view.image, view.alpha), view.image),
    )


def together(views: Sequence[ViewScores]) -> Scores:
    """Means over views; regions by their pixels."""
    perceptual = [view.lpips for view in views if view.lpips is not None]
    regions = {}
    for name in REGION_NAMES:
        parts = [view.regions[name] for view in views]
        whole = RegionError(sum(part.squared for part in parts), sum(part.pixels for part in parts))
        regions[name] = whole.psnr
    return Scores(
        float(np.mean([view.psnr for view in views])),
        float(np.mean([view.ssim for view in views])),
        float(np.mean(perceptual)) if perceptual else None,
        regions,
        len(views),
        float(np.mean([view.corrected for view in views])),
    )
