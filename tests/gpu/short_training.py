# SPDX-License-Identifier: GPL-3.0-or-later
"""A short training on pictures of the default avatar, which the CPU backend draws."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.splatting.cpu.backend import CpuBackend
from training.avatar.config import PRESETS, Density
from training.avatar.preview import measured
from training.avatar.run import processes_of
from training.avatar.start import seeded_avatar
from training.avatar.trainer import AvatarTrainer
from training.data.multiview import MultiViewCapture
from training.losses.avatar import AvatarLoss
from training.synthetic.small_capture import Size, write_small_capture

_VIEWS = 3
_WARM = 5
"""First steps, which load libraries and pictures."""


def train(
    folder: Path, backend: Any, size: tuple[int, int], steps: int, seconds: float
) -> dict[str, Any]:
    """Train for so many steps, or until the seconds are over.

    Raises:
        AssertionError: the loss is no number, or the held-out camera's pictures got no better.
    """
    CpuBackend().warm_up()
    write_small_capture(folder, size=Size(*size))
    capture = MultiViewCapture.open(folder)
    # A full schedule lowers the opacities in between; so short a one has no time to recover.
    rules = Density(rounds=2, resets=0)
    settings = replace(PRESETS["default"], steps=steps, coarse=(0.0, 0.0), density=rules)
    processes = processes_of("auto", backend)
    loss = AvatarLoss(settings.losses, processes.device)
    print(loss.off_note)
    start = time.monotonic()
    avatar = seeded_avatar(capture, settings, backend)
    trainer = AvatarTrainer(capture, avatar, settings, backend, processes, loss)
    ready = time.monotonic() - start
    views = capture.split("test")
    before = measured(trainer.avatar, views, backend, _VIEWS)
    times: list[float] = []
    start = time.monotonic()
    while trainer.step < steps and time.monotonic() - start < seconds:
        begin = time.monotonic()
        terms = trainer.advance()
        wait(processes.device)
        times.append(time.monotonic() - begin)
    after = measured(trainer.avatar, views, backend, _VIEWS)
    figures = {
        "width": size[0],
        "height": size[1],
        "device": str(processes.device),
        "steps": trainer.step,
        "seconds to the first step": round(ready, 2),
        "seconds a step": round(float(np.median(times[_WARM:] or times)), 5),
        "gaussians": trainer.avatar.count,
        "loss": round(terms["total"], 5),
        "decibels before": round(before.psnr, 2),
        "decibels after": round(after.psnr, 2),
    }
    if processes.device.type == "cuda":
        figures["gigabytes"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    print(figures)
    assert after.psnr > before.psnr + 1, figures
    return figures


def wait(device: torch.device) -> None:
    """Let the device finish: a step's time is its own."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
