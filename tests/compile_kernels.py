# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the kernels that most tests run, before several processes need them at once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from engine.core import runtime

runtime.prepare()

import torch  # noqa: E402 - after runtime.prepare

from engine.avatar.kernels import warm_up  # noqa: E402
from engine.cli import main  # noqa: E402
from engine.splatting.cpu.backend import CpuBackend  # noqa: E402
from training.losses.ssim import ssim  # noqa: E402

VOICE = Path(__file__).resolve().parents[1] / "engine" / "assets" / "sample_voice.wav"

warm_up(CpuBackend(), gradients=True)
picture = torch.rand(24, 24, 3, requires_grad=True)
ssim(picture, torch.rand(24, 24, 3)).backward()
with tempfile.TemporaryDirectory() as folder:
    assert main(["animate", str(VOICE), "--out", folder]) == 0
