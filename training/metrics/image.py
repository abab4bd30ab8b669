# SPDX-License-Identifier: GPL-3.0-or-later
"""How close a rendered picture is to the true one: PSNR and SSIM, as the field computes them.

Pictures are (H, W, 3) sRGB in [0, 1]; what is rendered outside is clamped first, as a file would.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from engine.core.errors import BadInputError
from training.losses.ssim import WINDOW, gaussian_window, structure

_OPAQUE = 0.5
"""Alpha above which a pixel is the person's."""


def psnr(ours: Tensor, true: Tensor, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio, decibels; infinite for equal pictures.

    Args:
        ours: (H, W, 3).
        true: (H, W, 3).
        mask: (H, W) bool, the pixels that are looked at; all without.

    Returns:
        10·log₁₀(1 / mean squared error); NaN where the mask is empty.

    Raises:
        BadInputError: pictures of different sizes.
    """
    _check(ours, true)
    error = squared_error(ours, true)
    if mask is not None:
        error = error[mask]
    return decibels(float(error.mean())) if error.numel() else math.nan


def squared_error(ours: Tensor, true: Tensor) -> Tensor:
    """(H, W) mean squared error of each pixel's channels, float64, after clamping."""
    return (ours.clamp(0, 1).double() - true.clamp(0, 1).double()).square().mean(-1)


def color_corrected(ours: Tensor, true: Tensor, alpha: Tensor) -> Tensor:
    """A picture under the affine map of colours that brings it nearest to the true one.

    For cameras whose colours no training could learn: exposure and white balance count for nothing.
    As RawNeRF (Mildenhall et al. 2022) and gsplat's ``cc_psnr`` do, a figure of it stands beside
    the plain one.

    Args:
        ours: (H, W, 3) over black.
        true: (H, W, 3) over black.
        alpha: (H, W) of the true picture; the map is fitted by least squares where the person is,
            and leaves what is behind alone.

    Returns:
        (H, W, 3).
    """
    person = alpha > _OPAQUE
    values = torch.cat([ours.clamp(0, 1), alpha[..., None]], -1).double()
    if int(person.sum()) < values.shape[-1]:
        return ours
    found = torch.linalg.lstsq(values[person], true[person].double(), driver="gelsd").solution
    corrected: Tensor = (values @ found).to(ours.dtype)
    return corrected


def decibels(squared: float) -> float:
    """PSNR of a mean squared error for a peak of 1."""
    if squared <= 0:
        return math.inf
    return -10 * math.log10(squared)


def ssim(ours: Tensor, true: Tensor) -> float:
    """Structural similarity (Wang et al. 2004), Gaussian window of 11 pixels, σ 1.5.

    The mean over all pixels and channels; the picture is mirrored at its border, as torchmetrics
    does (papers that leave the border out, or take black there, differ in the third decimal).

    Args:
        ours: (H, W, 3), at least 11 pixels high and wide.
        true: (H, W, 3).

    Raises:
        BadInputError: pictures of different sizes, or smaller than the window.
    """
    _check(ours, true)
    if min(ours.shape[:2]) < WINDOW:
        raise BadInputError(
            f"SSIM needs pictures of at least {WINDOW}×{WINDOW} pixels, not "
            f"{ours.shape[1]}×{ours.shape[0]}.",
            "Evaluate at a larger scale.",
        )
    x, y = (picture.clamp(0, 1).double().permute(2, 0, 1)[:, None] for picture in (ours, true))
    window = gaussian_window(torch.float64).to(x.device)

    def mean(planes: Tensor) -> Tensor:
        planes = functional.pad(planes, (WINDOW // 2,) * 4, mode="reflect")
        columns = functional.conv2d(planes, window.view(1, 1, -1, 1))
        return functional.conv2d(columns, window.view(1, 1, 1, -1))

    return float(structure(mean(x), mean(y), mean(x * x), mean(y * y), mean(x * y)).mean())


def _check(ours: Tensor, true: Tensor) -> None:
    if ours.shape != true.shape or ours.ndim != 3:
        raise BadInputError(
            f"Pictures of {tuple(ours.shape)} and {tuple(true.shape)} cannot be compared.",
            "Render at the size of the view.",
        )
