# SPDX-License-Identifier: GPL-3.0-or-later
"""Do once what several processes would each do: ``python -m tests.compile_kernels FOLDER``.

Compiles the kernels that most tests run, and leaves in the folder what the tests inside Blender
need of the engine.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from engine.core import runtime
from tests.blender_addon.engine_files import MAKERS, make


def compile_rasteriser(folder: Path) -> None:
    """What draws Gaussians and trains them; and the files that take no recogniser."""
    runtime.prepare()  # Before torch and numba are imported.
    import torch

    from engine.avatar.kernels import warm_up
    from engine.splatting.registry import choose_backend
    from training.losses.ssim import ssim

    warm_up(choose_backend("auto"), gradients=True)
    picture = torch.rand(24, 24, 3, requires_grad=True)
    ssim(picture, torch.rand(24, 24, 3)).backward()
    make(folder, *(name for name in MAKERS if name != "performance"))


def compile_recogniser(folder: Path) -> None:
    """What finds phones, by the performance that is left."""
    make(folder, "performance")


if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        folder = Path(sys.argv[1])
        parts = [pool.submit(part, folder) for part in (compile_rasteriser, compile_recogniser)]
        for part in parts:
            part.result()
