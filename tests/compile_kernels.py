# SPDX-License-Identifier: GPL-3.0-or-later
"""Do once what several processes would each do: ``python -m tests.compile_kernels FOLDER``.

Compiles the kernels that most tests run, and leaves the sample voice's performance and a clip of a
FLAME head in the folder.
"""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from engine.core import runtime

VOICE = Path(__file__).resolve().parents[1] / "engine" / "assets" / "sample_voice.wav"


def compile_rasteriser() -> None:
    """What draws Gaussians and trains them."""
    runtime.prepare()  # Before torch and numba are imported.
    import torch

    from engine.avatar.kernels import warm_up
    from engine.splatting.registry import choose_backend
    from training.losses.ssim import ssim

    warm_up(choose_backend("auto"), gradients=True)
    picture = torch.rand(24, 24, 3, requires_grad=True)
    ssim(picture, torch.rand(24, 24, 3)).backward()


def compile_recogniser(folder: Path) -> None:
    """What finds phones, by the performance that is left; and the clip."""
    runtime.prepare()
    from engine.commands.animate import animate
    from tests.engine.heads.flame_clip import write_flame_clip

    assert animate((VOICE,), folder) == 0
    shutil.rmtree(folder / "flame", ignore_errors=True)
    write_flame_clip(folder / "flame")


if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        parts = [
            pool.submit(compile_rasteriser),
            pool.submit(compile_recogniser, Path(sys.argv[1])),
        ]
        for part in parts:
            part.result()
