# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402 - runtime.prepare comes before the imports that read its variables.
"""How long the CPU rasteriser takes: ``python tests/benchmarks/splatting.py``.

Prints milliseconds by stage, the median of several runs, and the ratio to the float64 reference of
the tests. Nothing is asserted: machines differ, and shared ones are noisy.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from engine import runtime

runtime.prepare()

import numba
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "engine" / "splatting"))
import reference
from scenes import camera_of, splats_of

from engine.avatar import load_avatar, splats
from engine.heads.default import load_default_head
from engine.render import portrait_camera
from engine.splatting.backend import Semantics, Splats
from engine.splatting.camera import Camera
from engine.splatting.cpu import backend as cpu

SIZES = ((550, 802), (1100, 1604))
COUNTS = (32_000, 100_000)


def milliseconds(work: Callable[[], object], runs: int = 9) -> float:
    """Median time of ``work`` after one run that is not counted."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def head_like(count: int) -> Splats:
    """Flat splats over an ellipsoid of a head's size, thinner the more there are."""
    random = np.random.default_rng(0)
    normals = random.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    means = normals * [0.078, 0.115, 0.1] + 0.0015 * random.normal(size=(count, 3))
    size = 1.3e-3 * np.sqrt(32_000 / count)
    scales = size * np.exp(0.5 * random.normal(size=(count, 3))) * [1, 1, 0.25]
    attributes = (
        means,
        random.normal(size=(count, 4)),
        scales,
        1 / (1 + np.exp(-1 - 2 * random.normal(size=count))),
        0.5 + 0.4 * normals,
    )
    return Splats(*(torch.tensor(values, dtype=torch.float32) for values in attributes))


def head_camera(width: int, height: int) -> Camera:
    focal = 0.72 * height / 0.24
    viewmat = np.diag([1, -1, -1, 1]).astype(np.float32)
    viewmat[2, 3] = 1
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float32)
    return Camera(viewmat, K, width, height)


def stages(scene: Splats, camera: Camera, label: str) -> None:
    """Print the stages of one scene."""
    rasteriser, semantics, black = cpu.CpuBackend(), Semantics(), np.zeros(3, np.float32)
    arrays = [tensor.contiguous().numpy() for tensor in scene]
    prepared = cpu.prepare(arrays, camera, semantics)
    prepare = milliseconds(lambda: cpu.prepare(arrays, camera, semantics))
    blend = milliseconds(lambda: cpu.composite(prepared, camera, semantics, black))
    leaves = Splats(*(tensor.clone().requires_grad_() for tensor in scene))

    def step() -> None:
        rasteriser.render(leaves, camera).rgb.sum().backward()

    both = milliseconds(step, runs=5)
    print(
        f"{label:>24} {camera.width:>5}×{camera.height:<5} {prepare:8.1f} {blend:8.1f} "
        f"{prepare + blend:8.1f} {both - prepare - blend:9.1f} {len(prepared.entries):10,}"
    )


def main() -> None:
    """Print the tables."""
    print(
        f"{numba.get_num_threads()} threads, torch {torch.__version__}, numba {numba.__version__}"
    )
    start = time.perf_counter()
    cpu.CpuBackend().warm_up(gradients=True)
    print(f"kernels ready after {time.perf_counter() - start:.1f} s\n")
    print(f"{'ms':>24} {'size':>11} prepare    blend    total  backward      pairs")
    for count in COUNTS:
        scene = head_like(count)
        for width, height in SIZES:
            stages(scene, head_camera(width, height), f"{count:,} splats")
    head = load_default_head()
    avatar, vertices = load_avatar("default", head), torch.from_numpy(head.template)
    for width, height in SIZES:
        stages(splats(avatar, vertices), portrait_camera(head, width, height), "default avatar")
    with torch.inference_mode():
        bind = milliseconds(lambda: splats(avatar, vertices))
    print(f"\nbinding of the default avatar ({avatar.count:,} splats): {bind:.1f} ms")
    scene, camera = splats_of("plain", 400, 0), camera_of(96, 64, shift=0.0, orthographic=False)
    black = torch.zeros(3)
    ours = milliseconds(lambda: cpu.CpuBackend().render(scene, camera))
    theirs = milliseconds(lambda: reference.render(scene, camera, black, Semantics()), runs=3)
    print(
        f"400 splats, 96×64: {ours:.2f} ms; float64 reference {theirs:.0f} ms, {theirs / ours:.0f}×"
    )


if __name__ == "__main__":
    main()
