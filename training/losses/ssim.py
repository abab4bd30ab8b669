# SPDX-License-Identifier: GPL-3.0-or-later
"""Structural similarity (Wang et al. 2004) as a differentiable term.

The window is the Gaussian of 11 pixels with σ 1.5 and beyond the border is black, as in 3D Gaussian
Splatting; the *metric*, which mirrors the picture there, is :func:`training.metrics.image.ssim`.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from engine.core.errors import BadInputError
from engine.splatting.cpu.threads import KERNELS, array

WINDOW = 11
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2
"""Of Wang et al., for values in [0, 1]."""


def gaussian_window(dtype: torch.dtype = torch.float32) -> Tensor:
    """(11,) weights of the window, sum one."""
    x = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-0.5 * (x / SIGMA) ** 2)
    return (weights / weights.sum()).to(dtype)


def ssim(ours: Tensor, true: Tensor) -> Tensor:
    """Mean SSIM of two pictures, differentiable by the first.

    On a CPU both passes are compiled kernels (``ssim_kernels.py``); on CUDA the package
    ``fused-ssim`` is used where it is installed, plain torch where not.

    Args:
        ours: (H, W, C) in [0, 1], float32.
        true: (H, W, C), a constant.

    Returns:
        Scalar in [−1, 1].

    Raises:
        BadInputError: pictures of different or no size.
    """
    if ours.shape != true.shape or ours.ndim != 3 or not ours.numel():
        raise BadInputError(
            f"Pictures of {tuple(ours.shape)} and {tuple(true.shape)} cannot be compared.",
            "Render at the size of the view.",
        )
    if ours.device.type == "cpu" and ours.dtype == torch.float32:
        value: Tensor = _FusedSsim.apply(ours, true.detach().to("cpu", torch.float32))  # type: ignore[no-untyped-call]
        return value
    fused = _fused_ssim() if ours.device.type == "cuda" and ours.dtype == torch.float32 else None
    if fused is not None:
        planes = ours.permute(2, 0, 1)[None].contiguous()
        result: Tensor = fused(planes, true.permute(2, 0, 1)[None].contiguous(), padding="same")
        return result
    return plain_ssim(ours, true)


def plain_ssim(ours: Tensor, true: Tensor) -> Tensor:
    """What :func:`ssim` computes, in tensor operations of any device and precision."""
    channels = ours.shape[-1]
    window = gaussian_window(ours.dtype).to(ours.device)
    down = window.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    right = window.view(1, 1, 1, -1).expand(channels, 1, 1, -1)

    def mean(planes: Tensor) -> Tensor:
        columns = functional.conv2d(planes, down, padding=(WINDOW // 2, 0), groups=channels)
        return functional.conv2d(columns, right, padding=(0, WINDOW // 2), groups=channels)

    x, y = ours.permute(2, 0, 1)[None], true.permute(2, 0, 1)[None]
    return structure(mean(x), mean(y), mean(x * x), mean(y * y), mean(x * y)).mean()


def structure(x: Tensor, y: Tensor, xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """SSIM at each place from the local moments."""
    luminance = (2 * x * y + C1) / (x * x + y * y + C1)
    return luminance * (2 * (xy - x * y) + C2) / ((xx - x * x) + (yy - y * y) + C2)


class _FusedSsim(torch.autograd.Function):
    """Value and gradient at once: the gradient needs the moments that the value was made of."""

    @staticmethod
    def forward(ctx: Any, ours: Tensor, true: Tensor) -> Tensor:  # type: ignore[override]
        from training.losses.ssim_kernels import ssim_and_gradient

        height, width, channels = ours.shape
        x, y = (array(picture).reshape(height, width * channels) for picture in (ours, true))
        gradient = np.empty_like(x)
        window = gaussian_window().numpy()
        constants = np.float32(C1), np.float32(C2)
        with KERNELS:
            value: Any = ssim_and_gradient(x, y, channels, window, *constants, gradient)
        ctx.gradient = torch.from_numpy(gradient).view(height, width, channels)
        return torch.tensor(value, dtype=torch.float32)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, outgoing: Tensor) -> tuple[Tensor, None]:
        return ctx.gradient * outgoing, None


@cache
def _fused_ssim() -> Any:
    """The function of the package ``fused-ssim``; ``None`` where it is not installed."""
    if importlib.util.find_spec("fused_ssim") is None:
        return None
    try:
        return importlib.import_module("fused_ssim").fused_ssim
    except (ImportError, OSError, AttributeError):
        return None
