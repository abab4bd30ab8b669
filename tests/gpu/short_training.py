# SPDX-License-Identifier: GPL-3.0-or-later
"""Short trainings on pictures of the default avatar, which the CPU backend draws."""

from __future__ import annotations

import time
from collections.abc import Sequence
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
from training.data.multiview import MultiViewCapture, View
from training.losses.avatar import AvatarLoss
from training.synthetic.small_capture import Size, write_small_capture

_VIEWS = 3
_WARM = 5
"""First steps, which load libraries and pictures."""
_MARKS = 20
"""Times that a long training is measured."""


def train(
    folder: Path, backend: Any, size: tuple[int, int], steps: int, seconds: float
) -> dict[str, Any]:
    """Train for so many steps, or until the seconds are over.

    Raises:
        AssertionError: the held-out camera's pictures got no better.
    """
    start = time.monotonic()
    trainer, views = prepared(folder, backend, size, steps)
    ready = time.monotonic() - start
    before = measured(trainer.avatar, views, backend, _VIEWS)
    times: list[float] = []
    start = time.monotonic()
    while trainer.step < steps and time.monotonic() - start < seconds:
        begin = time.monotonic()
        terms = trainer.advance()
        wait(trainer.processes.device)
        times.append(time.monotonic() - begin)
    after = measured(trainer.avatar, views, backend, _VIEWS)
    figures = about(trainer, size) | {
        "seconds to the first step": round(ready, 2),
        "seconds a step": round(float(np.median(times[_WARM:] or times)), 5),
        "loss": round(terms["total"], 5),
        "decibels before": round(before.psnr, 2),
        "decibels after": round(after.psnr, 2),
    }
    print(figures)
    assert after.psnr > before.psnr + 1, figures
    return figures


def converge(
    folder: Path, backend: Any, size: tuple[int, int], steps: int, seconds: float, near: float
) -> dict[str, Any]:
    """Train with all of a schedule, and find from when on it is near to what it comes to, in dB.

    Raises:
        AssertionError: the seconds are over before, or the last tenth of the steps still brings
            more than that.
    """
    trainer, views = prepared(folder, backend, size, steps)
    curve = [measured(trainer.avatar, views, backend, _VIEWS).psnr]
    clock = [0.0]
    for mark in range(1, _MARKS + 1):
        begin = time.monotonic()
        while trainer.step < steps * mark // _MARKS:
            trainer.advance()
        wait(trainer.processes.device)
        clock.append(clock[-1] + time.monotonic() - begin)
        curve.append(measured(trainer.avatar, views, backend, _VIEWS).psnr)
        print(f"{trainer.step} steps, {clock[-1]:.1f} s, {curve[-1]:.2f} dB")
        if clock[-1] > seconds:
            break
    first = near_the_end(curve, near)
    figures = about(trainer, size) | {
        "seconds": round(clock[-1], 1),
        "decibels": [round(value, 2) for value in curve],
        f"steps to within {near} dB": steps * first // _MARKS,
        f"seconds to within {near} dB": round(clock[first], 1),
    }
    print(figures)
    assert trainer.step == steps, figures
    assert first <= 0.9 * _MARKS, figures
    return figures


def near_the_end(curve: Sequence[float], near: float) -> int:
    """Index of the first value from which on all are as near to the last one."""
    far = [index for index, value in enumerate(curve) if abs(value - curve[-1]) > near]
    return far[-1] + 1 if far else 0


def prepared(
    folder: Path, backend: Any, size: tuple[int, int], steps: int
) -> tuple[AvatarTrainer, list[View]]:
    """What trains for so many steps on new pictures of a size, and the held-out camera's views."""
    CpuBackend().warm_up()
    write_small_capture(folder, size=Size(*size))
    capture = MultiViewCapture.open(folder)
    # A full schedule lowers the opacities in between; so short a one has no time to recover.
    rules = Density(rounds=2, resets=0)
    settings = replace(PRESETS["default"], steps=steps, coarse=(0.0, 0.0), density=rules)
    processes = processes_of("auto", backend)
    loss = AvatarLoss(settings.losses, processes.device)
    print(loss.off_note)
    avatar = seeded_avatar(capture, settings, backend)
    trainer = AvatarTrainer(capture, avatar, settings, backend, processes, loss)
    return trainer, list(capture.split("test"))


def about(trainer: AvatarTrainer, size: tuple[int, int]) -> dict[str, Any]:
    """What was trained, and where."""
    device = trainer.processes.device
    figures: dict[str, Any] = {
        "width": size[0],
        "height": size[1],
        "device": str(device),
        "steps": trainer.step,
        "gaussians": trainer.avatar.count,
    }
    if device.type == "cuda":
        figures["gigabytes"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return figures


def wait(device: torch.device) -> None:
    """Let the device finish: a step's time is its own."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
