# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours' turn of the joint stage: L_photo for θ_color and z, under predicted faces.

Where Gaussians are, how large, how they lie and how opaque they are stays as the avatar training
left it; no gradient reaches the speech model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from engine.avatar.color import MlpColor
from engine.avatar.gaussian_avatar import GaussianAvatar
from engine.core.errors import BadInputError
from engine.heads.head import Head
from engine.splatting.backend import Backend
from training.avatar.config import AvatarSettings
from training.avatar.model import SHAPE, TrainableAvatar, from_avatar
from training.avatar.views import KeptViews, shuffled
from training.data.multiview import MultiViewCapture, View, Views
from training.joint.config import JointSettings
from training.joint.predicted import Predictions
from training.losses.avatar import AvatarLoss

_GIGABYTE = 1e9
_LEAST = 0.1
"""Part of the learning rates that is left at the end."""


def colored(avatar: GaussianAvatar, head: Head) -> TrainableAvatar:
    """The avatar with a colour network to refine.

    Raises:
        BadInputError: its colours are no network, so that they cannot follow an expression.
    """
    color = avatar.color
    if not isinstance(color, MlpColor):
        raise BadInputError(
            f"The avatar's colours are of the kind '{color.kind}' and follow no expression.",
            "Train an avatar with the colour network: gaussianspeech train avatar.",
        )
    settings = replace(
        AvatarSettings(), latent=color.latents.shape[1], hidden=len(color.first_bias)
    )
    made = from_avatar(avatar, settings, head)
    for name in SHAPE:
        made.gaussians[name].requires_grad_(False)
    return made


class ColorTrainer:
    """The colours in training.

    Args:
        capture: the pictures.
        avatar: of :func:`colored`, on the device of the rasteriser.
        settings: how.
        backend: rasteriser.
        loss: on the same device.
        predictions: of the captured timesteps.

    Attributes:
        step: steps done.
    """

    def __init__(
        self,
        capture: MultiViewCapture,
        avatar: TrainableAvatar,
        settings: JointSettings,
        backend: Backend,
        loss: AvatarLoss,
        predictions: Predictions,
    ) -> None:
        self.avatar, self.settings, self.backend, self.loss = avatar, settings, backend, loss
        self.predictions = predictions
        room = settings.memory * _GIGABYTE / 2
        # None of them is of the test part.
        seen = capture.split("train").frames
        spoken = [frame for frame in seen if frame.timestep in predictions.faces]
        if not spoken:
            raise BadInputError(
                f"No picture to train on in {capture.folder} shows speech.",
                "Capture more timesteps with speech, or name fewer recordings to test on in "
                "split.json.",
            )
        self._spoken = KeptViews(Views(capture, spoken), 1, room)
        self._every = KeptViews(Views(capture, seen), 1, room)
        self.optimiser = torch.optim.Adam(
            [
                {"params": list(avatar.color.parameters()), "rate": settings.network_rate},
                {"params": [avatar.gaussians["latents"]], "rate": settings.latent_rate},
            ],
            eps=1e-15,
        )
        self.step = 0

    def advance(self) -> dict[str, float]:
        """One step.

        Returns:
            The terms of the loss by name.

        Raises:
            BadInputError: the loss is no longer a number.
        """
        settings = self.settings
        part = self.step / (settings.rounds * settings.color_steps)
        for group in self.optimiser.param_groups:
            falling = _LEAST + (1 - _LEAST) * 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))
            group["lr"] = group["rate"] * falling
        view = self._next()
        splats = self.avatar.splats(
            view.vertices,
            view.expression,
            torch.from_numpy(view.camera.viewpoint).to(view.vertices.device),
            view.head_matrix,
        )
        image = self.backend.render(splats, view.camera)
        terms: Mapping[str, torch.Tensor] = self.loss(image, view, self.avatar, step=self.step)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward([terms["total"]])
        self.optimiser.step()
        self.step += 1
        values = {name: float(value.detach()) for name, value in terms.items()}
        if not math.isfinite(values["total"]):
            raise BadInputError(
                f"The loss of the colours is {values['total']} at step {self.step}.",
                "Lower the learning rates, or look for wild values in the capture.",
            )
        return values

    def _next(self) -> View:
        """The view of this step: a timestep of speech as predicted, or any timestep as tracked."""
        seed, step = self.settings.seed, self.step
        luck = np.random.default_rng([seed, step]).random()
        if luck < self.settings.tracked:
            return self._on_device(self._every[next(shuffled(len(self._every), seed + 1, step))])
        view = self._spoken[next(shuffled(len(self._spoken), seed, step))]
        return self._on_device(self.predictions.shown(view))

    def _on_device(self, view: View) -> View:
        device = self.avatar.binding.device
        if device.type == "cpu":
            return view
        names = ("image", "alpha", "vertices", "expression", "head_matrix")
        return replace(view, **{name: getattr(view, name).to(device) for name in names})

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` continues from."""
        return {
            "latents": self.avatar.gaussians["latents"].detach().cpu(),
            "color": self.avatar.color.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state.

        Raises:
            RuntimeError, KeyError, ValueError: it does not fit the avatar.
        """
        with torch.no_grad():
            self.avatar.gaussians["latents"].copy_(state["latents"])
        self.avatar.color.load_state_dict(state["color"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
