# SPDX-License-Identifier: GPL-3.0-or-later
"""Splatting: an avatar's frame from its head's vertices to pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numba
import torch

from engine.avatar import AvatarPipeline, GaussianAvatar, load_avatar
from engine.avatar.kernels import warm_up
from engine.heads.default import load_default_head
from engine.heads.head import Head
from engine.rendering.frames import portrait_camera
from engine.splatting.backend import Backend, BlendSettings
from engine.splatting.camera import Camera
from engine.splatting.registry import choose_backend
from training.bench.figures import Part, seconds
from training.bench.scenes import avatar_of, color_models, joined, plain_render

SIZES = ((550, 802), (1100, 1604))
_FEW, _SMALL = 400, (96, 64)
_PRODUCT = "a product of two 1024×1024 matrices, torch"


def splatting(part: Part) -> None:
    """Frames by size, count, threads and people."""
    backend, head = choose_backend("auto"), load_default_head()
    warm_up(backend)
    _plain(part, backend, head)
    shown = load_avatar("default", head)
    for width, height in SIZES:
        camera = portrait_camera(head, width, height)
        size = f"{width}×{height}"
        for count in (32_000,) if part.quick or width < 1000 else (32_000, 100_000):
            part.compare(
                f"splatting.{count // 1000}k_{width}",
                f"a frame of {count:,} splats, {size}",
                _frame(_colored(head, count), head, backend, camera),
                *(_PRODUCT, _product(backend)),
            )
        part.compare(
            f"splatting.default_{width}",
            f"a frame of the default avatar, {size}",
            _frame(shown, head, backend, camera),
            "a frame of 32,000 splats",
            _frame(_colored(head, 32_000), head, backend, camera),
        )
    _growth(part, backend, head, shown)


def _colored(head: Head, count: int) -> GaussianAvatar:
    models = color_models(count, len(head.expression_names))
    return replace(avatar_of(head, count), color=models["Mlp"])


def _frame(
    avatar: GaussianAvatar, head: Head, backend: Backend, camera: Camera
) -> Callable[[], object]:
    """From vertices in the host's memory to a finished picture, where the backend is."""
    pipeline = AvatarPipeline(avatar, backend.device)

    @torch.inference_mode()
    def work() -> None:
        gaussians = pipeline.splats(head.template, None, None, camera.viewpoint)
        backend.render(gaussians, camera)
        if backend.device.type == "cuda":
            torch.cuda.synchronize(backend.device)

    return work


def _product(backend: Backend) -> Callable[[], object]:
    square = torch.rand(1024, 1024, device=backend.device)

    def work() -> None:
        square @ square
        if backend.device.type == "cuda":
            torch.cuda.synchronize(backend.device)

    return work


def _plain(part: Part, backend: Backend, head: Head) -> None:
    camera = portrait_camera(head, *_SMALL)
    pipeline = AvatarPipeline(avatar_of(head, _FEW), backend.device)
    with torch.inference_mode():
        few = pipeline.splats(head.template, None, None, camera.viewpoint)
        here = type(few)(*(tensor.cpu() for tensor in few))

        def work() -> object:
            return backend.render(few, camera).rgb.cpu()

        part.compare(
            *("splatting.plain", f"{_FEW} splats, {_SMALL[0]}×{_SMALL[1]}, rasterised"),
            work,
            "3D Gaussian Splatting in plain torch, all splats at all pixels",
            lambda: plain_render(here, camera, BlendSettings()),
        )


def _growth(part: Part, backend: Backend, head: Head, shown: GaussianAvatar) -> None:
    runs = 2 if part.quick else 7

    def time(work: Callable[[], object]) -> float:
        return 1e3 * seconds(work, runs)

    camera = portrait_camera(head, *SIZES[0])
    counts = (8_000, 32_000) if part.quick else (8_000, 16_000, 32_000, 64_000, 128_000)
    points = {
        float(count): time(_frame(_colored(head, count), head, backend, camera)) for count in counts
    }
    part.grow(
        *("splatting.splats", f"Frame by splats, {camera.width}×{camera.height}"),
        *(("splats", "ms a frame"), points),
    )
    points = {}
    for factor in (0.5, 1.0) if part.quick else (0.5, 1.0, 1.5, 2.0, 3.0):
        wide, high = (round(factor * side) for side in SIZES[0])
        view = portrait_camera(head, wide, high)
        points[wide * high / 1e6] = time(_frame(shown, head, backend, view))
    part.grow(
        *("splatting.pixels", "Frame of the default avatar by pixels"),
        *(("million pixels", "ms a frame"), points),
    )
    points = {}
    before = numba.get_num_threads()
    for threads in range(1, before + 1):
        numba.set_num_threads(threads)
        points[float(threads)] = time(_frame(shown, head, backend, camera))
    numba.set_num_threads(before)
    part.grow(
        *("splatting.threads", "Frame of the default avatar by threads"),
        *(("threads", "ms a frame"), points),
    )
    points = {float(people): time(_group(people, shown, head, backend)) for people in (1, 2, 4, 6)}
    part.grow(
        *("splatting.people", "Frame of 1920×1080 by people in it"),
        *(("people", "ms a frame"), points),
    )


def _group(
    people: int, shown: GaussianAvatar, head: Head, backend: Backend
) -> Callable[[], object]:
    """So many avatars side by side in one picture, the same part of it for each."""
    camera = portrait_camera(head, 1920, 1080)
    pipeline = AvatarPipeline(shown, backend.device)
    matrices = []
    for index in range(people):
        matrix = torch.eye(4)
        matrix[0, 3] = 0.28 * (index - (people - 1) / 2)
        matrices.append(matrix.numpy())

    @torch.inference_mode()
    def work() -> None:
        several = [
            # A pipeline may give the same memory for every frame.
            type(splats)(*(tensor.clone() for tensor in splats))
            for splats in (
                pipeline.splats(head.template, None, matrix, camera.viewpoint)
                for matrix in matrices
            )
        ]
        backend.render(joined(several), camera)
        if backend.device.type == "cuda":
            torch.cuda.synchronize(backend.device)

    return work
