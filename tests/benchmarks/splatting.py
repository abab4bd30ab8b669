# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an avatar's frame takes on the CPU: ``python -m tests.benchmarks.splatting``.

Prints milliseconds by stage, each as the least and the median of several runs: on a machine that
others use too, the least is what the program needs, the median what a busy machine gave. Then the
ratios to the float64 reference of the tests and to gsplat's own functions in plain torch, and where
gsplat runs a table of the GPU (see :mod:`splatting_gpu`).

Which vectors the kernels use decides most of it; ``NUMBA_CPU_NAME=znver2`` with
``NUMBA_CPU_FEATURES`` (llvmlite's names, without those of AVX-512) measures a processor that has
AVX2 alone.

With ``--cpu`` everything runs in one thread and the processor's time in it is counted, which other
programs hardly change; all but sort and bins are otherwise shared among the cores.

Nothing is asserted: machines differ, and shared ones are noisy.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numba
import numpy as np
import torch

from engine.avatar import load_avatar, splats
from engine.avatar.kernels import warm_up
from engine.core.arrays import Float
from engine.heads.default import load_default_head
from engine.heads.head import Head
from engine.rendering.frames import portrait_camera
from engine.splatting.backend import BlendSettings, Splats
from engine.splatting.camera import Camera
from engine.splatting.cpu import backend as cpu
from engine.splatting.cpu import binning, projection
from engine.splatting.cpu.layout import COLUMNS, DEPTH
from engine.splatting.gsplat_backend import GsplatBackend, why_unavailable
from tests.benchmarks import splatting_gpu
from tests.benchmarks.machine import processor, vector_bits
from tests.engine.splatting import reference
from tests.engine.splatting.scenes import camera_of, splats_of
from training.bench.scenes import avatar_of, color_models

SIZES = ((550, 802), (1100, 1604))
COUNTS = (32_000, 100_000)
TARGETS = {(32_000, 550): 33, (32_000, 1100): 60, (100_000, 1100): 120}
"""Milliseconds of a whole frame on two cores, by splats and width."""


class Time(NamedTuple):
    """Milliseconds."""

    least: float
    median: float

    def __str__(self) -> str:
        return f"{self.least:6.1f} {self.median:6.1f}"


clock = time.perf_counter


def timed(work: Callable[[], object], runs: int = 15) -> Time:
    """Time of ``work`` after one run that is not counted."""
    work()
    times = []
    for _ in range(runs):
        start = clock()
        work()
        times.append(1e3 * (clock() - start))
    return Time(min(times), float(np.median(times)))


class Stages(NamedTuple):
    """Times of one scene; ``binding`` to ``raster`` are the parts of ``total`` (with Mlp)."""

    binding: Time
    sh: Time
    mlp: Time
    projection: Time
    sort: Time
    bins: Time
    raster: Time
    total: Time
    backward: Time


def measure(head: Head, count: int, camera: Camera) -> Stages:
    """The stages of a frame from the head's vertices to the picture."""
    body = avatar_of(head, count)
    vertices, eye = torch.from_numpy(head.template), torch.from_numpy(camera.viewpoint)
    psi = torch.rand(len(head.expression_names), generator=torch.Generator().manual_seed(1))
    models = color_models(count, len(psi))
    full = replace(body, color=models["Mlp"])
    rasteriser, settings = cpu.CpuBackend(), BlendSettings()
    with torch.inference_mode():
        placed = splats(full, vertices, psi, None, eye)
        directions = torch.nn.functional.normalize(placed.means - eye, dim=-1)
        arrays = [tensor.contiguous().numpy() for tensor in placed]
        project, sort, bins = prepared_stages(arrays, camera, settings)
        prepared = cpu.prepare(arrays, camera, settings)
        black = np.zeros(3, np.float32)
        times = {
            "binding": timed(lambda: splats(body, vertices)),
            "sh": timed(lambda: models["Sh"].colors(psi, directions)),
            "mlp": timed(lambda: models["Mlp"].colors(psi, directions)),
            "raster": timed(lambda: cpu.composite(prepared, camera, settings, black)),
            "total": timed(
                lambda: rasteriser.render(splats(full, vertices, psi, None, eye), camera), 25
            ),
        }
    leaves = Splats(*(tensor.clone().requires_grad_() for tensor in placed))

    def backward() -> float:
        image = rasteriser.render(leaves, camera)
        start = clock()
        image.rgb.sum().backward()
        return 1e3 * (clock() - start)

    backward()
    steps = [backward() for _ in range(7)]
    return Stages(
        projection=project,
        sort=sort,
        bins=bins,
        backward=Time(min(steps), float(np.median(steps))),
        **times,
    )


def prepared_stages(
    arrays: list[Float], camera: Camera, settings: BlendSettings
) -> tuple[Time, Time, Time]:
    """Projection, depth order with the gathering, and bins."""
    view, count = cpu._View.of(camera), len(arrays[0])
    footprints, visible = np.empty((count, COLUMNS), np.float32), np.empty(count, np.bool_)

    def project() -> None:
        constants = (view.orthographic, settings.eps2d, settings.alpha_min)
        projection.project(
            *arrays, view.viewmat, view.K, view.size, view.planes, *constants, footprints, visible
        )

    def sort() -> Float:
        keys = footprints.T[DEPTH].copy().view(np.uint32)
        return binning.gathered(footprints, binning.depth_order(keys, visible))

    project_time, sort_time, rows = timed(project), timed(sort), sort()
    return (
        project_time,
        sort_time,
        timed(lambda: binning.tile_lists(rows, camera.width, camera.height)),
    )


def print_ratios(head: Head) -> None:
    """Against the tests' float64 reference, and against gsplat's functions on this CPU."""
    scene, camera = splats_of("plain", 400, 0), camera_of(96, 64, shift=0.0, orthographic=False)
    ours = timed(lambda: cpu.CpuBackend().render(scene, camera))
    theirs = timed(lambda: reference.render(scene, camera, torch.zeros(3), BlendSettings()), runs=3)
    print(
        f"400 splats, 96×64, whole render: {ours.least:.2f} ms; float64 reference "
        f"{theirs.least:.0f} ms, {theirs.least / ours.least:.0f}×"
    )
    try:
        from gsplat.cuda import _torch_impl as gsplat
    except ImportError:
        print("gsplat is not installed: no ratio to its functions (the 'gpu' extra).")
        return
    count, camera = COUNTS[0], portrait_camera(head, *SIZES[0])
    with torch.inference_mode():
        placed = splats(avatar_of(head, count), torch.from_numpy(head.template))
        arrays = [tensor.contiguous().numpy() for tensor in placed]
        V, K = (torch.from_numpy(matrix)[None] for matrix in (camera.viewmat, camera.K))

        def their_projection() -> None:
            covariances, _ = gsplat._quat_scale_to_covar_preci(
                placed.quats, placed.scales, compute_preci=False
            )
            gsplat._fully_fused_projection(
                placed.means, covariances, V, K, camera.width, camera.height
            )

        projected, _, _ = prepared_stages(arrays, camera, BlendSettings())
        view = torch.nn.functional.normalize(placed.means, dim=-1)
        model = color_models(count, 1)["Sh"]
        pairs = (
            ("projection", projected, timed(their_projection)),
            (
                "harmonics of degree 3",
                timed(lambda: model.colors(None, view)),
                timed(
                    lambda: gsplat._spherical_harmonics(3, view, model.tensors()["coefficients"])
                ),
            ),
        )
    for name, mine, other in pairs:
        print(
            f"{count:,} splats, {name}: {mine.least:.1f} ms; gsplat's torch functions "
            f"{other.least:.1f} ms, {other.least / mine.least:.1f}×"
        )


def print_gpu(head: Head) -> None:
    """gsplat alone against the whole way from vertices to RGBA, where there is a GPU."""
    lacking = why_unavailable()
    if lacking is not None:
        print(f"no table of the GPU: {lacking[0]}")
        return
    backend = GsplatBackend()
    backend.warm_up(lambda _fraction, message: print(message, flush=True))
    print(f"{torch.cuda.get_device_name(backend.device)}, ms a frame, Mlp colours; target at")
    print(
        f"32,000 splats, 1100×1604: {splatting_gpu.TARGET_FPS} frames/s and at most "
        f"{splatting_gpu.TARGET_RATIO}× gsplat alone\n{splatting_gpu.header()}"
    )
    for count in COUNTS:
        models = color_models(count, len(head.expression_names))
        avatar = replace(avatar_of(head, count), color=models["Mlp"])
        for width, height in SIZES:
            camera = portrait_camera(head, width, height)
            row = splatting_gpu.measure(avatar, head, camera, backend)
            print(splatting_gpu.line(count, camera, row))


def main() -> None:
    """Print the tables."""
    global clock  # noqa: PLW0603 - a script's one switch.
    if "--cpu" in sys.argv[1:]:
        clock = time.thread_time
        numba.set_num_threads(1)
        torch.set_num_threads(1)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"{processor()}, vectors of {vector_bits()} bits, {numba.get_num_threads()} threads, torch "
        f"{torch.__version__}, numba {numba.__version__}, load {load:.1f} before the start"
    )
    start = time.perf_counter()
    warm_up(cpu.CpuBackend(), gradients=True)
    print(f"kernels ready after {time.perf_counter() - start:.1f} s")
    print("ms, least and median; total is binding, Mlp colours and the rasteriser\n")
    head = load_default_head()
    names = "".join(f"{name:>14}" for name in Stages._fields)
    print(f"{'splats':>8} {'size':>10}{names}    target")
    for count in COUNTS:
        for width, height in SIZES:
            stages = measure(head, count, portrait_camera(head, width, height))
            columns = "".join(f" {stage!s:>13}" for stage in stages)
            target = TARGETS.get((count, width), "")
            print(f"{count:>8,} {f'{width}×{height}':>10}{columns}  {target:>8}")
    avatar, vertices = load_avatar("default", head), torch.from_numpy(head.template)
    for width, height in SIZES:
        camera = portrait_camera(head, width, height)
        eye = torch.from_numpy(camera.viewpoint)
        with torch.inference_mode():
            frame = timed(
                lambda camera=camera, eye=eye: cpu.CpuBackend().render(
                    splats(avatar, vertices, None, None, eye), camera
                )
            )
        print(f"default avatar ({avatar.count:,} splats), {width}×{height}, a whole frame: {frame}")
    print()
    print_ratios(head)
    print()
    print_gpu(head)


if __name__ == "__main__":
    main()
