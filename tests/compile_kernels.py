# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the kernels that most tests run, before several processes need them at once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from engine.core import runtime

VOICE = Path(__file__).resolve().parents[1] / "engine" / "assets" / "sample_voice.wav"


def compile_kernels() -> None:
    import torch

    from engine.avatar.kernels import warm_up
    from engine.cli import main
    from engine.splatting.cpu.backend import CpuBackend
    from training.losses.ssim import ssim

    warm_up(CpuBackend(), gradients=True)
    picture = torch.rand(24, 24, 3, requires_grad=True)
    ssim(picture, torch.rand(24, 24, 3)).backward()
    with tempfile.TemporaryDirectory() as folder:
        assert main(["animate", str(VOICE), "--out", folder]) == 0


if __name__ == "__main__":
    runtime.prepare()  # Before torch and numba are imported.
    compile_kernels()
