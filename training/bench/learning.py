# SPDX-License-Identifier: GPL-3.0-or-later
"""A step of avatar training beside one of plain 3D Gaussian Splatting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from engine.splatting.backend import Image, Splats
from engine.splatting.registry import choose_backend
from training.avatar.config import PRESETS, Density
from training.avatar.run import processes_of
from training.avatar.start import seeded_avatar
from training.avatar.trainer import AvatarTrainer
from training.bench.figures import Part
from training.data.multiview import MultiViewCapture, View
from training.losses.avatar import AvatarLoss
from training.losses.ssim import ssim
from training.synthetic.small_capture import Size, write_small_capture


def training_step(part: Part) -> None:
    """Steps of both on the same pictures."""
    size = (138, 200) if part.quick else (275, 401)
    data = write_small_capture(part.folder / "capture", size=Size(*size))
    backend, capture = choose_backend("auto"), MultiViewCapture.open(data)
    # Densification changes what a step costs; it is measured by trainings, not here.
    rules = Density(rounds=2, resets=0)
    settings = replace(PRESETS["default"], steps=10_000, coarse=(0.0, 0.0), density=rules)
    processes = processes_of("auto", backend)
    avatar = seeded_avatar(capture, settings, backend, views=4)
    loss = AvatarLoss(settings.losses, processes.device)
    trainer = AvatarTrainer(capture, avatar, settings, backend, processes, loss)
    view = capture.split("train")[0]
    with torch.no_grad():
        eye = torch.from_numpy(view.camera.viewpoint)
        start = avatar.splats(view.vertices, view.expression, eye, view.head_matrix)
    part.compare(
        *("training.step", f"a step of avatar training, {size[0]}×{size[1]}", trainer.advance),
        "a step of plain 3DGS: as many free Gaussians, constant colours",
        plain_step(start, view, backend.render),
        unit="ms a step",
        runs=4 if part.quick else 30,
    )


def plain_step(start: Splats, view: View, render: Callable[..., Image]) -> Callable[[], object]:
    """A step of a plain trainer: rasteriser, photometric loss and Adam on free Gaussians.

    Args:
        start: where they begin; they stay on its device, and their colours are constant.
        view: the picture that they learn.
        render: of a backend.
    """
    values = [
        *(start.means, start.quats, start.scales.log()),
        *(torch.logit(start.opacities.clamp(1e-3, 1 - 1e-3)), start.colors),
    ]
    device = start.means.device
    leaves = [value.detach().clone().requires_grad_() for value in values]
    optimiser = torch.optim.Adam(leaves, lr=1e-4, fused=True)
    true = view.image.to(device)

    def step() -> None:
        means, quats, log_scales, logits, colors = leaves
        splats = Splats(means, quats, log_scales.exp(), logits.sigmoid(), colors)
        ours = render(splats, view.camera).rgb
        loss = 0.8 * (ours - true).abs().mean() + 0.2 * (1 - ssim(ours, true))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        float(loss.detach())  # Waits for a device.

    return step
