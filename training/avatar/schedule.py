# SPDX-License-Identifier: GPL-3.0-or-later
"""When what happens in an avatar's training: learning rates, degrees, densifications, resets."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.avatar.binding import triangle_frames
from training.avatar.config import AvatarSettings
from training.avatar.model import TrainableAvatar
from training.data.multiview import MultiViewCapture

GEOMETRY = frozenset({"positions", "log_scales", "quats", "opacity_logits"})
"""Parameters of where Gaussians are and what they cover."""


def optimiser(avatar: TrainableAvatar, settings: AvatarSettings) -> torch.optim.Adam:
    """Adam over all parameters, a group for each kind."""
    groups: list[dict[str, Any]] = [
        {"name": name, "params": [value]} for name, value in avatar.gaussians.items()
    ]
    network = list(avatar.color.parameters())
    if network:
        groups.append({"name": "network", "params": network})
    for group in groups:
        group["lr"] = rate(group["name"], 0.0, settings)
    return torch.optim.Adam(groups, eps=1e-15, fused=True)


def rate(name: str, part: float, settings: AvatarSettings) -> float:
    """Learning rate of a parameter at a part of the schedule."""
    rates = settings.rates
    start = {
        **{field.name: float(getattr(rates, field.name)) for field in fields(rates)},
        "constant": rates.harmonics,
        "harmonics": rates.harmonics / 20,
    }[name]
    if name == "positions":
        return start * math.pow(rates.positions_end / rates.positions, part)
    if name in GEOMETRY:
        return start
    return start * math.pow(rates.color_end, part)


def degree(part: float, settings: AvatarSettings) -> int:
    """Degree of the harmonics that take part at a part of the schedule."""
    if not settings.degree_every:
        return settings.degree
    # The step at which one joins counts, however its quotient is rounded.
    return min(settings.degree, int(part / settings.degree_every + 1e-6))


def extent(capture: MultiViewCapture, settings: AvatarSettings) -> float:
    """Metres that sizes of Gaussians are parts of; see :class:`training.avatar.config.Density`."""
    if settings.density.extent == "head":
        return float(np.ptp(capture.head.template[:, 1]))
    cameras = {frame.camera_id: frame.camera for frame in capture.split("train").frames}
    positions = np.stack([camera.position for camera in cameras.values()])
    return 1.1 * float(np.linalg.norm(positions - positions.mean(0), axis=1).max())


def finest(capture: MultiViewCapture, settings: AvatarSettings) -> Tensor:
    """(F,) smallest standard deviations that the nearest picture shows, in units of triangles."""
    pixel, poses = math.inf, capture.poses()
    for frame in capture.split("train").frames:
        camera, middle = frame.camera, poses[frame.timestep].vertices.mean(axis=0)
        away = float(camera.viewmat[2, :3] @ middle + camera.viewmat[2, 3])
        pixel = min(pixel, away / (capture.scale * float(camera.K[0, 0])))
    template = torch.from_numpy(capture.head.template)
    triangles = triangle_frames(template, torch.from_numpy(capture.head.faces.astype(np.int32)))
    return settings.finest * pixel / triangles.scales.clamp(min=1e-7)


def rounds(settings: AvatarSettings) -> frozenset[int]:
    """Steps after which there is densification."""
    rules = settings.density
    if rules.rounds < 1:
        return frozenset()
    times = np.linspace(rules.start, rules.stop, rules.rounds) * settings.steps
    # Never after the last step: nothing would refine what is new.
    return frozenset(int(step) for step in times.round() if 1 <= step < settings.steps)


def resets(settings: AvatarSettings) -> frozenset[int]:
    """Steps after which opacities are lowered."""
    rules = settings.density
    if rules.resets < 1 or rules.rounds < 1:
        return frozenset()
    # The last one leaves as much time to recover as lies between two.
    times = np.linspace(rules.start, rules.stop, rules.resets + 2)[1:-1] * settings.steps
    return frozenset(int(step) for step in times.round())
