# SPDX-License-Identifier: GPL-3.0-or-later
"""FaceFormer (Fan et al., CVPR 2022), for one speaker.

Speech-Driven 3D Facial Animation with Transformers: the vertices made so far are embedded, decoded
under the biased masks from the start, and the last of what comes out is the next frame. It trains
the same way, on its own frames, by the mean squared error of the vertices. Here its last layer is
factored as this project's is: as many components as it has hidden numbers, begun with the principal
components of the motion.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.motion.model.config import SpeechModelConfig
from engine.motion.model.network import Motion
from training.losses.speech import LossWeights
from training.speech.baselines.aligned_decoder import AlignedDecoder, Baseline
from training.speech.stages import Stage

STAGES = (Stage("vertices", 1.0, LossWeights.only(vertices=1.0)),)


class FaceFormer(Baseline):
    """The network.

    Args:
        config: sizes.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__(config, STAGES)
        self.decoder = AlignedDecoder(config)
        self.embedding = nn.Linear(3 * config.vertices, config.dimension)
        self.speaker = nn.Parameter(torch.zeros(config.dimension))

    def forward(
        self,
        features: Tensor,
        frames: int,
        style: Tensor | None = None,  # noqa: ARG002 - one speaker has one style.
        truth: Tensor | None = None,  # noqa: ARG002 - it learns on its own frames.
    ) -> Motion:
        """See :meth:`engine.motion.model.network.SpeechNetwork.forward`."""
        audio = self.resampled(features, frames)
        fed = self.speaker.expand(len(audio), 1, -1)
        made = []
        for _ in range(frames):
            weights = self.mapper(self.decoder(fed, audio))
            made.append(weights[:, -1:])
            vertices = self.mapper.offsets(made[-1]).flatten(2)
            fed = torch.cat([fed, self.embedding(vertices) + self.speaker], dim=1)
        return Motion(torch.cat(made, dim=1))
