# SPDX-License-Identifier: GPL-3.0-or-later
"""Do once what several processes would each do: ``python -m tests.compile_kernels FOLDER``.

Compiles the kernels that most tests run, and leaves the sample voice's performance and a clip of a
FLAME head in the folder.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from engine.core import runtime

VOICE = Path(__file__).resolve().parents[1] / "engine" / "assets" / "sample_voice.wav"


def compile_kernels(folder: Path) -> None:
    import torch

    from engine.commands.animate import animate
    from engine.commands.warm_up import warm_up
    from tests.engine.heads.flame_clip import write_flame_clip
    from training.losses.ssim import ssim

    assert warm_up(training=True) == 0
    picture = torch.rand(24, 24, 3, requires_grad=True)
    ssim(picture, torch.rand(24, 24, 3)).backward()
    assert animate((VOICE,), folder) == 0
    shutil.rmtree(folder / "flame", ignore_errors=True)
    write_flame_clip(folder / "flame")


if __name__ == "__main__":
    runtime.prepare()  # Before torch and numba are imported.
    compile_kernels(Path(sys.argv[1]))
