# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend beside the CPU's: pictures and gradients of small hard scenes, and a whole avatar."""

from __future__ import annotations

import torch

from engine.avatar import load_avatar, splats
from engine.heads.default import load_default_head
from engine.rendering.frames import portrait_camera
from engine.splatting.backend import Splats
from engine.splatting.cpu.backend import CpuBackend
from tests.engine.splatting.comparison import BACKGROUND, cameras, colored, gradients, sure_pixels
from tests.engine.splatting.scenes import splats_of

LIMITS = {
    "needle": {"rgb": 1e-2, "alpha": 1e-2, "depth": 1e-2, "gradients": 2e-2},
    "others": {"rgb": 1e-3, "alpha": 1e-3, "depth": 1e-3, "gradients": 2e-2},
}
"""Largest difference of a pixel, and of gradients as a part of their norm.

gsplat's kernels take fast, inexact exponentials, and its determinant loses a needle's width.
"""
_TINY = 1e-5


def errors(backend, kind: str, *, orthographic: bool) -> dict[str, float]:
    """Largest differences in the pixels and gradients of three views of a scene."""
    views = cameras(3, orthographic=orthographic)
    scene = colored(splats_of(kind, 120, 3), len(views))
    sure = sure_pixels(scene, views)
    cpu = CpuBackend()
    pictures = [
        [tensor.cpu()[sure] for tensor in each.render_views(scene, views, BACKGROUND)]
        for each in (cpu, backend)
    ]
    found = {
        name: float((mine - other).abs().max())
        for name, mine, other in zip(("rgb", "alpha", "depth"), *pictures, strict=True)
    }
    pairs = zip(
        gradients(cpu, scene, views, sure), gradients(backend, scene, views, sure), strict=True
    )
    found["gradients"] = max(
        float(max(0, (mine - other).norm() - _TINY) / (mine.norm() + _TINY))
        for mine, other in pairs
    )
    return found


@torch.inference_mode()
def decibels(backend, width: int, height: int) -> float:
    """PSNR between the two backends' pictures of the default avatar."""
    head = load_default_head()
    avatar, camera = load_avatar("default", head), portrait_camera(head, width, height)
    vertices, eye = torch.from_numpy(head.template), torch.from_numpy(camera.viewpoint)
    scene = Splats(*splats(avatar, vertices, None, None, eye))
    mine, other = (each.render(scene, camera).rgb.cpu() for each in (CpuBackend(), backend))
    return round(float(-10 * (mine - other).square().mean().clamp(min=1e-12).log10()), 2)
