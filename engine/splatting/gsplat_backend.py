# SPDX-License-Identifier: GPL-3.0-or-later
"""gsplat's CUDA rasteriser as a backend."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from engine.errors import MissingDependencyError
from engine.progress import Progress, silent
from engine.splatting.backend import Image, Semantics, Splats, one_splat
from engine.splatting.camera import Camera


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
    if not (_kernels_are_built() or _has_compiler()):
        return (
            "gsplat compiles its CUDA kernels at first use, and there is no nvcc to do it.",
            "Install the CUDA toolkit of PyTorch's CUDA version, or a prebuilt gsplat wheel.",
        )
    return None


def _kernels_are_built() -> bool:
    """Whether this gsplat is a wheel with its kernels inside."""
    spec = importlib.util.find_spec("gsplat")
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    return any(
        importlib.machinery.PathFinder.find_spec("csrc", [folder]) is not None for folder in folders
    )


def _has_compiler() -> bool:
    """Whether nvcc stands on the path or where PyTorch's builds look for it."""
    folders = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    return shutil.which("nvcc") is not None or any(
        shutil.which("nvcc", path=str(Path(folder) / "bin")) is not None
        for folder in folders
        if folder
    )


class GsplatBackend:
    """gsplat 1.5 ``rasterization()`` in its classic mode; see :mod:`engine.splatting.backend`.

    Splats, images and gradients lie on the CUDA device; splats from elsewhere are copied there.
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
        # Compiled into gsplat's kernels; stated here so that the CPU backend can be held to them.
        self.semantics = Semantics()

    def render(
        self, splats: Splats, camera: Camera, background: torch.Tensor | None = None
    ) -> Image:
        """Render one view; see :class:`engine.splatting.backend.Backend`.

        Raises:
            MissingDependencyError: gsplat's kernels could not be compiled or loaded.
        """
        means, quats, scales, opacities, colors = (
            tensor.to(self.device, torch.float32) for tensor in splats
        )
        behind = torch.zeros(3) if background is None else background
        try:
            values, alphas = self._rasterization()(
                means=means,
                quats=quats,
                scales=scales,
                opacities=opacities,
                colors=colors,
                viewmats=torch.as_tensor(camera.viewmat, device=self.device)[None],
                Ks=torch.as_tensor(camera.K, device=self.device)[None],
                width=camera.width,
                height=camera.height,
                near_plane=camera.near,
                far_plane=camera.far,
                eps2d=self.semantics.eps2d,
                sh_degree=None,
                packed=False,
                render_mode="RGB+ED",
                camera_model="ortho" if camera.orthographic else "pinhole",
            )[:2]
        except (ImportError, AttributeError, RuntimeError) as error:
            if isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            raise MissingDependencyError(
                f"gsplat cannot render: {' '.join(str(error).split())[:200]}.",
                "Check its CUDA toolkit against PyTorch's, or use the 'cpu' backend.",
            ) from error
        alpha = alphas[0, ..., 0]
        light = (1 - alpha)[..., None]
        rgb = values[0, ..., :3] + light * behind.to(self.device, torch.float32)
        return Image(rgb, alpha, values[0, ..., 3])

    def warm_up(self, progress: Progress = silent) -> None:
        """Have gsplat load its kernels, which it compiles when they are first used.

        Args:
            progress: is told before the work starts, so that a wait is announced.

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
