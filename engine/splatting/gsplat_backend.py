# SPDX-License-Identifier: GPL-3.0-or-later
"""gsplat's CUDA rasteriser as a backend."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.core.errors import MissingDependencyError
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
from engine.splatting.transfer import upload


def why_unavailable() -> tuple[str, str] | None:
    """What keeps gsplat from running here and what to do about it; ``None`` where it can run.

    gsplat itself imports without CUDA and then fails obscurely at the first call, so the device,
    the package and the compiler are asked for one by one. Nothing is imported or compiled.
    """
    if not torch.cuda.is_available():
        return (
            "PyTorch sees no CUDA device.",
            "Use the 'cpu' backend, or install an NVIDIA driver and a CUDA build of PyTorch.",
        )
    if importlib.util.find_spec("gsplat") is None:
        return "gsplat is not installed.", "Install it with: pip install 'gaussianspeech[gpu]'."
    return None if kernels_are_built() else _why_not_compiled()


def _why_not_compiled() -> tuple[str, str] | None:
    """As :func:`why_unavailable`, of the kernels alone."""
    if not _has_nvcc():
        return (
            "gsplat compiles its CUDA kernels at first use, and there is no nvcc to do it.",
            "Install the CUDA toolkit of PyTorch's CUDA version, or a prebuilt gsplat wheel.",
        )
    missing = [name for name in ("ninja", "packaging") if importlib.util.find_spec(name) is None]
    if missing:
        return (
            f"gsplat compiles its CUDA kernels at first use, which takes {' and '.join(missing)}.",
            "Install it with: pip install 'gaussianspeech[gpu]'.",
        )
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl")):
        return (
            "gsplat compiles its CUDA kernels at first use, and there is no C++ compiler for nvcc.",
            "Install g++ (on Windows the Visual Studio build tools), or a prebuilt gsplat wheel.",
        )
    return None


def kernels_are_built() -> bool:
    """Whether this gsplat is a wheel with its kernels inside; others compile them, for minutes."""
    spec = importlib.util.find_spec("gsplat")
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    return any(
        importlib.machinery.PathFinder.find_spec("csrc", [folder]) is not None for folder in folders
    )


def _has_nvcc() -> bool:
    """Whether nvcc stands on the path or where PyTorch's builds look for it."""
    folders = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    return shutil.which("nvcc") is not None or any(
        shutil.which("nvcc", path=str(Path(folder) / "bin")) is not None
        for folder in folders
        if folder
    )


PACKED_FROM = 1 << 22
"""Pairs of a camera and a Gaussian from which on gsplat keeps only those it sees.

Its packed mode gathers them into lists: memory for what is in view alone, for one more wait for the
device to learn how many that is. A head fills its picture, so an avatar's frame loses by it; the
dense mode's ~100 bytes for each pair are what counts from some hundred megabytes on.
"""


class GsplatBackend:
    """gsplat 1.5 ``rasterization()`` in its classic mode; see :mod:`engine.splatting.backend`.

    Splats, images and gradients lie on the CUDA device; splats from elsewhere are copied there.
    Where everything lies there already, the only wait for the device is gsplat's own: it reads the
    number of pairs of tile and Gaussian to know how much memory they take.

    The settings are those that make gsplat's picture the CPU backend's:

    - ``rasterize_mode="classic"``, ``eps2d=0.3``: the covariance is widened by 0.3 px² and the
      opacity is not corrected for it ("antialiased" would), as avatars are trained.
    - ``radius_clip=0``: no Gaussian is left out for being small. A head has none far away, and the
      gaps would show.
    - ``render_mode="RGB+ED"``: the expected depth costs one more channel of the same pass.
    - ``sh_degree=None``: colours come from the avatar's colour model, harmonics included.
    - ``tile_size=16``: the only one gsplat tests.
    - ``packed``: see :data:`PACKED_FROM`.
    """

    name = "gsplat"

    def __init__(self, device: str = "cuda") -> None:
        """Check that gsplat can run.

        Args:
            device: the CUDA device to render on.

        Raises:
            MissingDependencyError: no CUDA device, no gsplat, or no compiler for its kernels.
        """
        lacking = why_unavailable()
        if lacking is not None:
            raise MissingDependencyError(*lacking)
        self.device = torch.device(device)
        # Compiled into gsplat's kernels but for eps2d; stated here so that the CPU backend can be
        # held to them.
        self.blend_settings = BlendSettings()

    def render(
        self, splats: Splats, camera: Camera, background: torch.Tensor | None = None
    ) -> Image:
        """Render one view; see :class:`engine.splatting.backend.Backend`.

        Raises:
            BadInputError: attributes of different lengths, or an empty image.
            MissingDependencyError: gsplat's kernels could not be compiled or loaded.
        """
        check_shapes(splats)
        return Image(*(tensor[0] for tensor in self.render_views(splats, [camera], background)))

    def render_views(
        self, splats: Splats, cameras: Sequence[Camera], background: torch.Tensor | None = None
    ) -> Image:
        """Render all views in one call; see :class:`engine.splatting.backend.Backend`.

        Raises:
            BadInputError: no cameras, cameras that are not alike, an empty image, or attributes of
                different lengths.
            MissingDependencyError: gsplat's kernels could not be compiled or loaded.
        """
        check_alike(cameras)
        check_shapes(splats, len(cameras))
        first, count = cameras[0], len(cameras)
        matrices = np.concatenate(
            [np.concatenate([c.viewmat.reshape(-1), c.K.reshape(-1)]) for c in cameras]
        )
        view = upload(matrices.astype(np.float32), self.device).reshape(count, 25)
        means, quats, scales, opacities, colors = (
            tensor.to(self.device, torch.float32) for tensor in splats
        )
        if not len(means):
            # gsplat divides by their number, and the process ends.
            nothing = torch.stack([tensor.sum() for tensor in splats]).sum().to(self.device)
            alphas = nothing.expand(count, first.height, first.width, 1)
            return self._image(alphas.expand(-1, -1, -1, 4), alphas, background)
        try:
            values, alphas = self._rasterization()(
                means=means,
                quats=quats,
                scales=scales,
                opacities=opacities,
                colors=colors,
                viewmats=view[:, :16].reshape(count, 4, 4),
                Ks=view[:, 16:].reshape(count, 3, 3),
                width=first.width,
                height=first.height,
                near_plane=first.near,
                far_plane=first.far,
                radius_clip=0.0,
                eps2d=self.blend_settings.eps2d,
                sh_degree=None,
                packed=count * len(means) >= PACKED_FROM,
                tile_size=16,
                render_mode="RGB+ED",
                rasterize_mode="classic",
                camera_model="ortho" if first.orthographic else "pinhole",
            )[:2]
        except (ImportError, AttributeError, RuntimeError) as error:
            if isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            raise MissingDependencyError(
                f"gsplat cannot render: {' '.join(str(error).split())[:200]}.",
                "Check its CUDA toolkit against PyTorch's, or use the 'cpu' backend.",
            ) from error
        return self._image(values, alphas, background)

    def _image(
        self, values: torch.Tensor, alphas: torch.Tensor, background: torch.Tensor | None
    ) -> Image:
        """Of gsplat's colours with depth (C, H, W, 4) and alphas (C, H, W, 1)."""
        rgb = values[..., :3]
        if background is not None:
            behind = background.to(self.device, torch.float32, non_blocking=True)
            rgb = torch.addcmul(rgb, 1 - alphas, behind)
        return Image(rgb, alphas[..., 0], values[..., 3])

    def warm_up(self, progress: Progress = no_progress) -> None:
        """Have gsplat load its kernels, which it compiles when they are first used.

        Args:
            progress: called before the work starts, so that a wait is announced.

        Raises:
            MissingDependencyError: the kernels could not be compiled or loaded.
        """
        progress(0.0, "Preparing gsplat (its CUDA kernels are compiled once, which takes minutes)")
        self.render(*one_splat())
        progress(1.0, "gsplat is ready")

    @staticmethod
    def _rasterization() -> Any:
        # Importing gsplat costs seconds and may start a compiler: only when a frame is asked for.
        from gsplat import rasterization

        return rasterization
