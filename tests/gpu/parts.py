# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a session on a GPU: each measures, says what it found, and fails by an assertion.

``python -m tests.gpu.parts NAME FIGURES`` runs one and writes its figures as JSON. Backend, device
and sizes are arguments, so that the tests run the same code, small, on a CPU.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from tests.gpu.session import NO_DEVICE, NO_DEVICE_CODE

Figures = dict[str, Any]
WIDTH, HEIGHT = 1100, 1604
"""Pixels of a training picture at full size."""


def device() -> Figures:
    """What the machine is."""
    figures = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cpus": os.cpu_count(),
        "gpu": torch.cuda.get_device_name(),
        "capability": list(torch.cuda.get_device_capability()),
        "gigabytes": round(torch.cuda.get_device_properties(0).total_memory / 1e9, 1),
    }
    for program, words in (("nvcc", ["--version"]), ("c++", ["--version"])):
        path = shutil.which(program)
        if path is not None:
            said = subprocess.run([path, *words], capture_output=True, text=True, check=False)
            figures[program] = said.stdout.strip().splitlines()[:4]
    return figures


def compile_kernels() -> Figures:
    """gsplat's kernels, from its sources unless they are there, and the first picture."""
    import gsplat

    from engine.splatting.gsplat_backend import GsplatBackend, kernels_are_built, why_unavailable

    os.environ.setdefault("MAX_JOBS", str(os.cpu_count() or 1))
    lacking = why_unavailable()
    assert lacking is None, lacking
    start = time.monotonic()
    GsplatBackend().warm_up()
    torch.cuda.synchronize()
    return {
        "gsplat": gsplat.__version__,
        "prebuilt": kernels_are_built(),
        "seconds": round(time.monotonic() - start, 1),
    }


def parity(
    backend: Any,
    *,
    kinds: tuple[str, ...] | None = None,
    avatar_size: tuple[int, int] = (550, 802),
) -> Figures:
    """The backend's pictures and gradients against the CPU backend's."""
    from engine.splatting import gsplat_backend
    from tests.engine.splatting.scenes import KINDS
    from tests.gpu import parity as compared

    figures: Figures = {}
    failed = []
    for kind, orthographic, packed in product(kinds or KINDS, (False, True), (False, True)):
        with mock.patch.object(gsplat_backend, "PACKED_FROM", 0 if packed else 1 << 40):
            found = compared.errors(backend, kind, orthographic=orthographic)
        scene = f"{kind}, {orthographic=}, {packed=}"
        print(scene, found)
        group = "needle" if kind == "needle" else "others"
        worst = figures.setdefault(group, {})
        for name, value in found.items():
            worst[name] = max(value, worst.get(name, 0.0))
            if not value <= compared.LIMITS[group][name]:
                failed.append((scene, name, value))
    figures["decibels of the default avatar"] = compared.decibels(backend, *avatar_size)
    print(figures)
    assert not failed, failed
    assert figures["decibels of the default avatar"] > 50
    return figures


def graph(target: str, *, frames: int = 200) -> Figures:
    """The operations before the rasteriser, captured as a CUDA graph and one by one."""
    from tests.gpu import capture

    return capture.measure(target, frames)


def benchmark(
    backend: Any,
    *,
    counts: tuple[int, ...] | None = None,
    sizes: tuple[tuple[int, int], ...] | None = None,
    frames: int = 100,
) -> Figures:
    """The table of tests/benchmarks/splatting_gpu.py."""
    from engine.heads.default import load_default_head
    from engine.rendering.frames import portrait_camera
    from tests.benchmarks import splatting, splatting_gpu

    head = load_default_head()
    rows = []
    print(splatting_gpu.header())
    for count in counts or splatting.COUNTS:
        color = splatting.color_models(count, len(head.expression_names))["Mlp"]
        avatar = replace(splatting.avatar_of(head, count), color=color)
        for width, height in sizes or splatting.SIZES:
            camera = portrait_camera(head, width, height)
            row = splatting_gpu.measure(avatar, head, camera, backend, frames)
            print(splatting_gpu.line(count, camera, row))
            figures = {name: round(value, 4) for name, value in row._asdict().items()}
            rows.append({"splats": count, "width": width, "height": height, **figures})
    return {"milliseconds": rows}


def training(
    backend: Any,
    *,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    steps: int = 400,
    seconds: float = 45.0,
) -> Figures:
    """A short training on pictures of the default avatar: does it learn, and how fast."""
    from tests.gpu import short_training

    with tempfile.TemporaryDirectory() as folder:
        return short_training.train(Path(folder), backend, size, steps, seconds)


def convergence(
    backend: Any,
    *,
    size: tuple[int, int] = (WIDTH // 2, HEIGHT // 2),
    steps: int = 3000,
    seconds: float = 200.0,
    near: float = 0.3,
) -> Figures:
    """A training with its whole schedule: when it is within 0.3 dB of what it comes to."""
    from tests.gpu import short_training

    with tempfile.TemporaryDirectory() as folder:
        return short_training.converge(Path(folder), backend, size, steps, seconds, near)


def main(name: str, figures: Path) -> int:
    """Run a part on the GPU."""
    if not torch.cuda.is_available():
        print(f"{NO_DEVICE}: PyTorch {torch.__version__} sees none.")
        return NO_DEVICE_CODE

    def on_gpu(part: Callable[..., Figures]) -> Callable[[], Figures]:
        from engine.splatting.gsplat_backend import GsplatBackend

        return lambda: part(GsplatBackend())

    parts: dict[str, Callable[[], Figures]] = {
        "device": device,
        "compile": compile_kernels,
        "parity": on_gpu(parity),
        "graph": lambda: graph("cuda"),
        "benchmark": on_gpu(benchmark),
        "training": on_gpu(training),
        "convergence": on_gpu(convergence),
    }
    found = parts[name]()
    print(json.dumps(found, indent=1))
    figures.write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
