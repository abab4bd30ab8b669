# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU's part of :mod:`splatting`: gsplat alone, and all of ours from vertices to pixels."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from engine.avatar import AvatarPipeline, GaussianAvatar
from engine.heads.head import Head
from engine.splatting.backend import Image, Splats
from engine.splatting.camera import Camera
from engine.splatting.gsplat_backend import GsplatBackend
from engine.splatting.transfer import Download

FRAMES, REPEATS = 100, 5
TARGET_FPS, TARGET_RATIO = 1000, 1.3
"""On an H200 at 32,000 splats and 1100×1604, vertices to RGBA on the device."""


class Row(NamedTuple):
    """Milliseconds a frame.

    Attributes:
        gsplat: ``rasterization()`` alone, of splats that lie on the device.
        eager: vertices from the host to RGBA on the device, operation by operation.
        graph: the same with the operations before gsplat captured as a CUDA graph.
        down: ``graph`` and the picture in the host's memory.
        backward: gradients by the splats, gsplat alone.
    """

    gsplat: float
    eager: float
    graph: float
    down: float
    backward: float

    @property
    def ratio(self) -> float:
        """Of the whole pipeline to gsplat alone."""
        return self.graph / self.gsplat

    @property
    def fps(self) -> float:
        """Frames per second of the whole pipeline, on the device."""
        return 1e3 / self.graph


def milliseconds(work: Callable[[], object], device: torch.device, frames: int = FRAMES) -> float:
    """Least time of one ``work`` over several rows of them; the device's queue is never empty."""

    def finish() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    work()
    finish()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(frames):
            work()
        finish()
        times.append(1e3 * (time.perf_counter() - start) / frames)
    return min(times)


def rasterization_of(
    backend: GsplatBackend, splats: Splats, camera: Camera
) -> Callable[[], object]:
    """gsplat's call as the backend makes it, with nothing of ours round it."""
    real, asked = backend._rasterization(), {}

    def note(**arguments: Any) -> Any:
        asked.update(arguments)
        return real(**arguments)

    noting = GsplatBackend(str(backend.device))
    noting._rasterization = lambda: note  # type: ignore[method-assign]
    noting.render(splats, camera)
    return lambda: real(**asked)


def measure(
    avatar: GaussianAvatar,
    head: Head,
    camera: Camera,
    backend: GsplatBackend,
    frames: int = FRAMES,
) -> Row:
    """Times of one scene."""
    device = backend.device
    eager = AvatarPipeline(avatar, device, graph=False)
    graph = AvatarPipeline(avatar, device)
    random = np.random.default_rng(0)
    psi = random.random(len(head.expression_names), np.float32)
    matrix = np.eye(4, dtype=np.float32)

    def rendered(pipeline: AvatarPipeline) -> Image:
        with torch.inference_mode():
            splats = pipeline.splats(head.template, psi, matrix, camera.viewpoint)
            return backend.render(splats, camera)

    with torch.inference_mode():
        splats = Splats(
            *(t.clone() for t in eager.splats(head.template, psi, matrix, camera.viewpoint))
        )
        alone = milliseconds(rasterization_of(backend, splats, camera), device, frames)
    leaves = Splats(*(tensor.detach().clone().requires_grad_() for tensor in splats))
    image = backend.render(leaves, camera)
    loss = image.rgb.sum() + image.alpha.sum()

    def backward() -> object:
        return torch.autograd.grad(loss, leaves, retain_graph=True)

    return Row(
        gsplat=alone,
        eager=milliseconds(lambda: rendered(eager), device, frames),
        graph=milliseconds(lambda: rendered(graph), device, frames),
        down=milliseconds(lambda: Download(*rendered(graph)).numpy(), device, frames),
        backward=milliseconds(backward, device, frames),
    )


def header() -> str:
    """Names of the columns of :func:`line`."""
    names = ("gsplat", "eager", "graph", "down", "backward", "ratio", "frames/s")
    return f"{'splats':>8} {'size':>10}" + "".join(f"{name:>10}" for name in names)


def line(count: int, camera: Camera, row: Row) -> str:
    """One scene of the table."""
    times = "".join(f"{value:>10.3f}" for value in row)
    size = f"{camera.width}×{camera.height}"
    return f"{count:>8,} {size:>10}{times}{row.ratio:>10.2f}{row.fps:>10.0f}"
