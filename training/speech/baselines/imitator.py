# SPDX-License-Identifier: GPL-3.0-or-later
"""Imitator (Thambiraja et al., ICCV 2023).

Personalized Speech-driven 3D Facial Animation: a decoder that feeds its own frames back makes
features of visemes that are nobody's in particular; what a speaker makes of them is a style code,
four layers, and a linear basis of motion. It learns by the vertices, by their velocity, and by the
vertices again where /m/, /b/ or /p/ is said, whose lips must close. Then it adapts to the speaker,
by vertices and velocity: first the style code, then the code and the basis.
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

_ADAPTED = LossWeights.only(vertices=1.0, motion=10.0)
STAGES = (
    Stage("speech of anybody", 0.7, LossWeights.only(vertices=1.0, motion=10.0, bilabial=5.0)),
    Stage("style", 0.1, _ADAPTED, ("style",), audio=False),
    Stage("style and basis", 0.2, _ADAPTED, ("style", "mapper"), audio=False),
)
_LAYERS, _SLOPE = 4, 0.01
"""Of the synthesis of motion before the basis, and of its leaky rectifiers."""


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
        self.decoder = AlignedDecoder(config, periodic=False)
        self.start = nn.Parameter(torch.zeros(d))
        self.style = StyleCode(d)
        layers = ((nn.Linear(d, d), nn.LeakyReLU(_SLOPE)) for _ in range(_LAYERS))
        self.synthesis = nn.Sequential(*(part for layer in layers for part in layer))

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
