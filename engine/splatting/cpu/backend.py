# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU rasteriser as a backend: torch tensors in, torch tensors out, differentiable."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd.function import once_differentiable

from engine.core.arrays import Float, Ids, Index
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.splatting.backend import (
    BlendSettings,
    Image,
    Splats,
    check_alike,
    check_shapes,
    one_splat,
)
from engine.splatting.camera import Camera
from engine.splatting.cpu import (
    binning,
    blending,
    gradients,
    projection,
)
from engine.splatting.cpu.layout import COLUMNS, DEPTH, GRADIENTS
from engine.splatting.cpu.threads import KERNELS


@dataclass(frozen=True, eq=False)
class _View:
    """A camera as the kernels take it."""

    viewmat: NDArray[np.float64]
    K: NDArray[np.float64]
    size: NDArray[np.float64]
    planes: NDArray[np.float64]
    orthographic: int

    @classmethod
    def of(cls, camera: Camera) -> _View:
        return cls(
            np.ascontiguousarray(camera.viewmat, np.float64),
            np.ascontiguousarray(camera.K, np.float64),
            np.array([camera.width, camera.height], np.float64),
            np.array([camera.near, camera.far], np.float64),
            int(camera.orthographic),
        )


@dataclass(frozen=True, eq=False)
class Prepared:
    """Projected, sorted and binned splats of one view.

    Attributes:
        order: (N,) visible Gaussians from near to far.
        rows: (N, COLUMNS) their footprints.
        starts: (tiles + 1,) where each tile's entries begin.
        entries: (P,) footprints by tile.
        tiles: (tiles,) the order of work.
    """

    order: Index
    rows: Float
    starts: Ids
    entries: Index
    tiles: Index


def prepare(arrays: list[Float], camera: Camera, settings: BlendSettings) -> Prepared:
    """Everything before the blending.

    Args:
        arrays: means, quats, scales, opacities, colors as C-contiguous float32.
        camera: the view.
        settings: constants.
    """
    view, count = _View.of(camera), len(arrays[0])
    means, quats, scales, opacities, colors = arrays
    footprints, visible = np.empty((count, COLUMNS), np.float32), np.empty(count, np.bool_)
    projection.project(
        means,
        quats,
        scales,
        opacities,
        colors,
        view.viewmat,
        view.K,
        view.size,
        view.planes,
        view.orthographic,
        settings.eps2d,
        settings.alpha_min,
        footprints,
        visible,
    )
    keys: NDArray[np.uint32] = footprints.T[DEPTH].copy().view(np.uint32)
    order = binning.depth_order(keys, visible)
    rows = binning.gathered(footprints, order)
    starts, entries = binning.tile_lists(rows, camera.width, camera.height)
    return Prepared(order, rows, starts, entries, binning.balanced(starts, numba.get_num_threads()))


def _constants(settings: BlendSettings) -> tuple[np.float32, np.float32, np.float32]:
    return (
        np.float32(settings.alpha_max),
        np.float32(settings.alpha_min),
        np.float32(settings.transmittance_min),
    )


def composite(
    prepared: Prepared, camera: Camera, settings: BlendSettings, background: Float
) -> tuple[Float, Float, Float]:
    """Blend prepared splats: rgb (H, W, 3), alpha (H, W), depth (H, W)."""
    shape = (camera.height, camera.width)
    rgb, alpha, depth = np.empty((*shape, 3), np.float32), *np.empty((2, *shape), np.float32)
    blending.blend(
        prepared.rows,
        prepared.starts,
        prepared.entries,
        prepared.tiles,
        *_constants(settings),
        background,
        rgb,
        alpha,
        depth,
    )
    return rgb, alpha, depth


class _Rasterise(torch.autograd.Function):
    """Rendering with its analytic gradient; camera and background are constants."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        means: torch.Tensor,
        quats: torch.Tensor,
        scales: torch.Tensor,
        opacities: torch.Tensor,
        colors: torch.Tensor,
        camera: Camera,
        settings: BlendSettings,
        background: Float,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        tensors = [tensor.contiguous() for tensor in (means, quats, scales, opacities, colors)]
        with KERNELS:
            prepared = prepare([tensor.numpy() for tensor in tensors], camera, settings)
            images = composite(prepared, camera, settings, background)
        rgb, alpha, depth = (torch.from_numpy(image) for image in images)
        # PyTorch then refuses the backward of what was written over in the meantime.
        ctx.save_for_backward(*tensors, rgb, alpha, depth)
        ctx.constants = (prepared, camera, settings)
        return rgb, alpha, depth

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(  # type: ignore[override]
        ctx: Any, v_rgb: torch.Tensor, v_alpha: torch.Tensor, v_depth: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        *arrays, rgb, alpha, depth = (tensor.detach().numpy() for tensor in ctx.saved_tensors)
        prepared, camera, settings = ctx.constants
        means, quats, scales = arrays[:3]
        v_means, v_quats, v_scales, v_opacities, v_colors = map(np.zeros_like, arrays)
        pairs = np.empty((len(prepared.entries), GRADIENTS), np.float32)
        view = _View.of(camera)
        with KERNELS:
            gradients.blend_backward(
                prepared.rows,
                prepared.starts,
                prepared.entries,
                prepared.tiles,
                *_constants(settings),
                rgb,
                alpha,
                depth,
                np.ascontiguousarray(v_rgb.numpy()),
                np.ascontiguousarray(v_alpha.numpy()),
                np.ascontiguousarray(v_depth.numpy()),
                pairs,
            )
            projection.project_backward(
                means,
                quats,
                scales,
                view.viewmat,
                view.K,
                view.size,
                view.orthographic,
                prepared.order,
                gradients.summed(prepared.entries, pairs, len(prepared.rows)),
                v_means,
                v_quats,
                v_scales,
                v_opacities,
                v_colors,
            )
        outgoing = (v_means, v_quats, v_scales, v_opacities, v_colors)
        return (*map(torch.from_numpy, outgoing), None, None, None)


class CpuBackend:
    """Rasteriser for CPUs (see :mod:`engine.splatting.cpu`).

    The images lie on the CPU; gradients return to the device of the splats. Not differentiable
    with respect to the background and the camera. Two runs on equal input give equal bits.
    """

    name = "cpu"
    device = torch.device("cpu")

    def __init__(self, settings: BlendSettings | None = None) -> None:
        """Make a backend; constants default to gsplat's.

        Raises:
            BadInputError: ``alpha_min`` below what the kernels' exponential covers.
        """
        self.blend_settings = settings or BlendSettings()
        lowest = math.exp(-float(blending.SIGMA_MAX))
        if not lowest <= self.blend_settings.alpha_min < self.blend_settings.alpha_max < 1:
            raise BadInputError(
                f"alpha_min {self.blend_settings.alpha_min:g} and alpha_max "
                f"{self.blend_settings.alpha_max:g} are not usable on the CPU.",
                f"They must satisfy {lowest:.4f} ≤ alpha_min < alpha_max < 1.",
            )

    def render(
        self, splats: Splats, camera: Camera, background: torch.Tensor | None = None
    ) -> Image:
        """Render one view; see :class:`engine.splatting.backend.Backend`.

        Raises:
            BadInputError: attributes of different lengths, or an empty image.
        """
        check_alike([camera])
        check_shapes(splats)
        tensors = [tensor.to("cpu", torch.float32) for tensor in splats]
        behind = torch.zeros(3) if background is None else background
        behind_array = np.ascontiguousarray(behind.detach().to("cpu", torch.float32).numpy())
        images = _Rasterise.apply(*tensors, camera, self.blend_settings, behind_array)  # type: ignore[no-untyped-call]
        return Image(*images)

    def render_views(
        self, splats: Splats, cameras: Sequence[Camera], background: torch.Tensor | None = None
    ) -> Image:
        """Render each view in turn; see :class:`engine.splatting.backend.Backend`.

        What splats have in common before a camera is chosen, their covariances, takes a hundredth
        of a frame: nothing of it is kept.

        Raises:
            BadInputError: no cameras, cameras that are not alike, an empty image, or attributes of
                different lengths.
        """
        check_alike(cameras)
        check_shapes(splats, len(cameras))
        colors = splats.colors if splats.colors.ndim == 3 else [splats.colors] * len(cameras)
        views = [
            self.render(splats._replace(colors=seen), camera, background)
            for seen, camera in zip(colors, cameras, strict=True)
        ]
        return Image(*(torch.stack(tensors) for tensors in zip(*views, strict=True)))

    def warm_up(self, progress: Progress = no_progress, *, gradients: bool = False) -> None:
        """Compile the kernels, or load them from the user's cache.

        Compiling happens once per machine and version and takes ten to thirty seconds; loading
        takes less than one.

        Args:
            progress: called before the work starts, so that a wait is announced.
            gradients: the kernels of the gradients too.
        """
        folder = os.environ.get("NUMBA_CACHE_DIR", "the source folder")
        progress(0.0, f"Preparing the CPU rasteriser (compiled once, kept in {folder})")
        splats, camera = one_splat()
        leaves = Splats(*(tensor.requires_grad_(gradients) for tensor in splats))
        image = self.render(leaves, camera)
        if gradients:
            progress(0.5, "Preparing the CPU rasteriser's gradients")
            torch.autograd.backward([image.rgb.sum() + image.alpha.sum()])
        progress(1.0, "The CPU rasteriser is ready")
