# SPDX-License-Identifier: GPL-3.0-or-later
"""Cloning, splitting and pruning: the rows of an avatar's parameters and the optimiser's state.

``gsplat.strategy.ops`` does the same on gsplat's dictionaries; here Gaussians have a binding,
positions are local to triangles, and no CUDA package is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.avatar.model import TrainableAvatar

SPLIT_SHRINK = 1.6
"""Divisor of the scales of a Gaussian that is split in two (Kerbl et al. 2023)."""


def select(avatar: TrainableAvatar, optimiser: torch.optim.Optimizer, kept: Tensor) -> None:
    """Keep some Gaussians, in the given order, with the optimiser's memory of them.

    Args:
        avatar: changed in place.
        optimiser: with the avatar's parameters; its state follows.
        kept: (K,) indices.
    """
    _replace(avatar, optimiser, kept, {}, fresh=torch.zeros(len(kept), dtype=torch.bool))


def clone_and_split(
    avatar: TrainableAvatar,
    optimiser: torch.optim.Optimizer,
    cloned: Tensor,
    split: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Copy some Gaussians and replace others by two smaller ones drawn from each.

    All new ones are bound to the triangle of the one they came from, and as visible as that. The
    optimiser remembers nothing of them.

    Args:
        avatar: changed in place.
        optimiser: with the avatar's parameters; its state follows.
        cloned: (C,) indices.
        split: (S,) indices, none of them in ``cloned``.
        generator: on the CPU; of the draws.

    Returns:
        (G′,) which Gaussian each came from.
    """
    device = avatar.binding.device
    stays = torch.ones(avatar.count, dtype=torch.bool, device=device)
    stays[split] = False
    old = stays.nonzero()[:, 0]
    source = torch.cat([old, cloned, split, split])
    fresh = torch.zeros(len(source), dtype=torch.bool, device=device)
    fresh[len(old) :] = True
    with torch.no_grad():
        values = avatar.gaussians
        twice = torch.cat([split, split])
        drawn = torch.randn(len(twice), 3, generator=generator).to(device)
        offset = drawn * values["log_scales"][twice].exp()
        turned = torch.einsum("gij,gj->gi", _rotations(values["quats"][twice]), offset)
        last = torch.arange(len(source) - len(twice), len(source), device=device)
        changed = {
            "positions": (last, values["positions"][twice] + turned),
            "log_scales": (last, values["log_scales"][twice] - torch.tensor(SPLIT_SHRINK).log()),
        }
        _replace(avatar, optimiser, source, changed, fresh=fresh)
    return source


def _replace(
    avatar: TrainableAvatar,
    optimiser: torch.optim.Optimizer,
    source: Tensor,
    changed: dict[str, tuple[Tensor, Tensor]],
    *,
    fresh: Tensor,
) -> None:
    for name, old in list(avatar.gaussians.items()):
        values = old.detach()[source]
        if name in changed:
            at, new = changed[name]
            values[at] = new
        parameter = nn.Parameter(values)
        avatar.gaussians[name] = parameter
        state = optimiser.state.pop(old, None)
        if state is not None:
            optimiser.state[parameter] = {
                key: _state_rows(value, old, source, fresh) for key, value in state.items()
            }
        for group in optimiser.param_groups:
            group["params"] = [parameter if p is old else p for p in group["params"]]
    avatar.binding = avatar.binding[source]
    avatar.ever_visible = avatar.ever_visible[source]


def _state_rows(value: Tensor, old: Tensor, source: Tensor, fresh: Tensor) -> Tensor:
    if value.shape != old.shape:
        return value
    rows = value[source]
    rows[fresh] = 0
    return rows


def _rotations(quats: Tensor) -> Tensor:
    """(G, 3, 3) of quaternions wxyz (G, 4) of any norm."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, -1).view(-1, 3, 3)
