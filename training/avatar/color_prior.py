# SPDX-License-Identifier: GPL-3.0-or-later
"""The colour prior: hold colours that no picture shows near what is known of them.

The pictures do not determine the colours from directions without a camera, of expressions that were
not captured, and of Gaussians that were never visible. Some Gaussians' colours from a random
direction at random expressions are drawn towards their colour at the mean expression, which the
pictures do show, or, where the loss never had a gradient for a Gaussian, towards its initial one.
Only the network learns from that, not the latents.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.avatar.expression import softly_clamped
from engine.heads.identity import Identity
from training.avatar.model import TrainableAvatar

_SAMPLES = 2048
"""Gaussians of which it is taken at a step."""
_ACTIVE = 3
"""Expressions that are active together, on average, in a random face."""


class ColorPrior:
    """Draws the random faces that colours are compared at.

    Args:
        identity: with mean and range of the expressions that are trained on.
        device: of the avatar.
    """

    def __init__(self, identity: Identity, device: torch.device | str) -> None:
        if identity.mean_expression is None or identity.expression_range is None:
            raise ValueError(identity)
        self._mean = torch.from_numpy(np.array(identity.mean_expression)).to(device)
        self._low, self._high = torch.from_numpy(identity.expression_range.copy()).to(device)

    def __call__(self, avatar: TrainableAvatar, generator: torch.Generator) -> Tensor:
        """Mean squared difference of colours, a scalar that gradients of the network flow from.

        Args:
            avatar: with a colour network.
            generator: on the CPU.
        """
        device, size = self._mean.device, len(self._mean)
        count = min(_SAMPLES, avatar.count)
        chosen = torch.randint(avatar.count, (count,), generator=generator).to(device)
        view = torch.randn(count, 3, generator=generator)
        view = torch.nn.functional.normalize(view, dim=-1).to(device)
        latents = avatar.gaussians["latents"].detach()[chosen]
        rows = {"latents": latents}
        ours = avatar.color(rows, self._face(size, generator).to(device), view)
        with torch.no_grad():
            target = avatar.color(rows, self._mean, torch.zeros_like(view))
            visible = avatar.ever_visible[chosen, None]
            target = torch.where(visible, target, latents[:, :3].sigmoid())
        difference: Tensor = (ours - target).square().mean()
        return difference

    def _face(self, size: int, generator: torch.Generator) -> Tensor:
        """(E,) between neutral and mean, a few expressions anywhere; as renders limit it."""
        share = torch.rand(1, generator=generator).item()
        active = (torch.rand(size, generator=generator) < _ACTIVE / size).to(self._mean.device)
        strength = torch.rand(size, generator=generator).to(self._mean.device)
        anywhere = self._low + strength * (self._high.clamp(min=1.0) - self._low)
        face = torch.where(active, anywhere, share * self._mean)
        return softly_clamped(face, self._low, self._high)
