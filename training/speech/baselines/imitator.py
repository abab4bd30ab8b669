# SPDX-License-Identifier: GPL-3.0-or-later
"""Imitator (Thambiraja et al., ICCV 2023).

Personalized Speech-driven 3D Facial Animation: a decoder that feeds its own frames back makes
features of visemes that are nobody's in particular; what a speaker makes of them is a style code
and a linear basis of motion. It learns by the vertices, by the velocity of the lips, and by the
opening of the mouth where /m/, /b/ or /p/ is said. Then the style code and the basis alone adapt.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from engine.motion.model.config import SpeechModelConfig
from engine.motion.model.network import Motion
from training.losses.speech import LossWeights
from training.speech.baselines.aligned_decoder import AlignedDecoder, Baseline
from training.speech.stages import Stage

_LOSSES = LossWeights.only(vertices=1.0, velocity=10.0, bilabial=5.0)
STAGES = (
    Stage("speech of anybody", 0.7, _LOSSES),
    Stage("adaptation", 0.3, _LOSSES, ("style", "mapper"), audio=False),
)


class StyleCode(nn.Module):
    """The code of one speaker.

    Args:
        size: d.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.zeros(size))

    def forward(self, visemes: Tensor) -> Tensor:
        """(B, T, d) features of anybody → those of the speaker."""
        return visemes + self.code


class Imitator(Baseline):
    """The network.

    Args:
        config: sizes.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__(config, STAGES)
        d = config.dimension
        self.decoder = AlignedDecoder(config)
        self.start = nn.Parameter(torch.zeros(d))
        self.style = StyleCode(d)
        self.synthesis = nn.Sequential(nn.Linear(d, d), nn.LeakyReLU(0.2), nn.Linear(d, d))

    def forward(
        self,
        features: Tensor,
        frames: int,
        style: Tensor | None = None,  # noqa: ARG002 - the style is learned.
        truth: Tensor | None = None,  # noqa: ARG002 - it learns on its own frames.
    ) -> Motion:
        """See :meth:`engine.motion.model.network.SpeechNetwork.forward`."""
        audio = self.resampled(features, frames)
        fed = self.start.expand(len(audio), 1, -1)
        for _ in range(frames):
            visemes = self.decoder(fed, audio)
            fed = torch.cat([fed, visemes[:, -1:]], dim=1)
        spoken = self.synthesis(self.style(visemes))
        return Motion(cast("Tensor", self.mapper(spoken)))
