# SPDX-License-Identifier: GPL-3.0-or-later
"""What the three systems share: audio at the motion's rate, and FaceFormer's decoder."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from engine.motion.encoders.interpolation import FrequencyInterpolation
from engine.motion.model.config import SpeechModelConfig
from engine.motion.model.network import SpeechNetwork, VertexMapper
from training.speech.stages import Stage


class Baseline(SpeechNetwork):
    """A network with stages of its own.

    Args:
        config: sizes.
        stages: of its training.
    """

    def __init__(self, config: SpeechModelConfig, stages: tuple[Stage, ...]) -> None:
        super().__init__()
        self.config, self.stages, self.stage = config, stages, stages[-1].name
        self.interpolation = FrequencyInterpolation(
            config.feature_rate, config.feature_start, config.motion_rate
        )
        self.audio = nn.Linear(config.features, config.dimension)
        self.mapper = VertexMapper(config)

    def resampled(self, features: Tensor, frames: int) -> Tensor:
        """(B, N, C) features → (B, T, d) audio at the motion's rate."""
        return cast("Tensor", self.audio(self.interpolation(features, frames)))


class AlignedDecoder(nn.Module):
    """A transformer decoder under the masks of FaceFormer (Fan et al. 2022).

    A frame attends to those before it, and to the audio of its own time alone.

    Args:
        config: sizes; a period is a second.
        periodic: whether positions repeat with the period, and frames count the less the more
            periods they lie back (after ALiBi), as in FaceFormer and CodeTalker; or positions go on
            and all frames count alike, as in Imitator.
    """

    slopes: Tensor

    def __init__(self, config: SpeechModelConfig, *, periodic: bool = True) -> None:
        super().__init__()
        self.dimension, self.heads, self.periodic = config.dimension, config.heads, periodic
        self.period = round(config.motion_rate)
        layer = nn.TransformerDecoderLayer(
            self.dimension, self.heads, config.feed_forward, config.dropout, batch_first=True
        )
        self.layers = nn.TransformerDecoder(layer, config.decoder_layers)
        slopes = 2.0 ** (-8.0 * torch.arange(1, self.heads + 1) / self.heads)
        self.register_buffer("slopes", slopes if periodic else 0 * slopes, persistent=False)

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        """The first n frames: (B, n, d) and audio (B, T, d), T at least n → (B, n, d)."""
        B, n, _ = x.shape
        at = torch.arange(n, device=x.device)
        back = at[:, None] - at
        bias = -(back // self.period) * self.slopes[:, None, None]
        bias = bias.masked_fill(back < 0, float("-inf")).repeat(B, 1, 1).to(x.dtype)
        elsewhere = torch.where(back == 0, 0.0, float("-inf")).to(x.dtype)
        placed = x + self._positions(at % self.period if self.periodic else at).to(x.dtype)
        made: Tensor = self.layers(placed, audio[:, :n], tgt_mask=bias, memory_mask=elsewhere)
        return made

    def _positions(self, at: Tensor) -> Tensor:
        """(n, d) sines and cosines of (n,) positions (Vaswani et al. 2017)."""
        even = torch.arange(0, self.dimension, 2, device=at.device)
        angle = at[:, None] * torch.exp(even * (-math.log(10_000.0) / self.dimension))
        return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
