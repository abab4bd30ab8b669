# SPDX-License-Identifier: GPL-3.0-or-later
"""When what happens in an avatar's training: learning rates, densifications, resets."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from training.avatar.config import AvatarSettings
from training.avatar.model import TrainableAvatar


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
    if name in {"log_scales", "quats", "opacity_logits"}:
        return start
    return start * math.pow(rates.color_end, part)


def rounds(settings: AvatarSettings) -> frozenset[int]:
    """Steps after which there is densification."""
    rules = settings.density
    if rules.rounds < 1:
        return frozenset()
    times = np.linspace(rules.start, rules.stop, rules.rounds) * settings.steps
    return frozenset(int(step) for step in times.round() if step >= 1)


def resets(settings: AvatarSettings) -> frozenset[int]:
    """Steps after which opacities are lowered."""
    rules = settings.density
    if rules.resets < 1 or rules.rounds < 1:
        return frozenset()
    # The last one leaves as much time to recover as lies between two.
    times = np.linspace(rules.start, rules.stop, rules.resets + 2)[1:-1] * settings.steps
    return frozenset(int(step) for step in times.round())
