# SPDX-License-Identifier: GPL-3.0-or-later
"""CodeTalker (Xing et al., CVPR 2023), for one speaker.

Speech-Driven 3D Facial Animation with Discrete Motion Prior:
first a prior of motion is learned without sound: an autoencoder whose code of each frame is made of
entries of a codebook (VQ-VAE). Then a decoder, taught by true frames, finds from the sound codes
that the frozen prior makes motion of. Here motion goes in as weights of its principal components,
and comes out of the factored last layer that all models share. The authors' prior also knows
positions, and norms a clip over time; this one does neither, for it learns on parts of clips and is
used on whole ones.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.motion.model.config import SpeechModelConfig
from engine.motion.model.network import Motion
from training.losses.speech import LossWeights
from training.speech.baselines.aligned_decoder import AlignedDecoder, Baseline
from training.speech.stages import Stage

PRIOR, SPEECH = "motion prior", "codes from speech"
STAGES = (
    Stage(PRIOR, 0.5, LossWeights.only(absolute=1.0), ("prior", "mapper"), audio=False),
    Stage(SPEECH, 0.5, LossWeights.only(vertices=1.0), ("audio", "decoder", "embedding", "codes")),
)

_ENTRIES, _PARTS, _SIZE = 256, 16, 64
"""Entries of the codebook, entries of the code of a frame, numbers of an entry."""
_COMMITMENT = 0.25


class MotionPrior(nn.Module):
    """The autoencoder with its codebook.

    Args:
        config: sizes; its depth is that of the expression encoder.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__()
        d, code = config.dimension, _PARTS * _SIZE
        self.enter, self.leave = nn.Linear(config.components, d), nn.Linear(d, code)
        self.seen, self.made = _Temporal(config), _Temporal(config)
        self.back = nn.Linear(code, d)
        self.entries = nn.Parameter(torch.empty(_ENTRIES, _SIZE))
        nn.init.uniform_(self.entries, -1.0 / _ENTRIES, 1.0 / _ENTRIES)

    def encode(self, weights: Tensor) -> Tensor:
        """(B, T, K) weights → (B, T, P · Q) codes, not from the codebook yet."""
        return cast("Tensor", self.leave(self.seen(self.enter(weights))))

    def quantised(self, codes: Tensor) -> Tensor:
        """The (B, T, P · Q) entries nearest to the codes."""
        flat = codes.detach().reshape(-1, _SIZE)
        nearest = torch.cdist(flat, self.entries.detach()).argmin(dim=1)
        return self.entries[nearest].view(codes.shape)

    def decode(self, codes: Tensor) -> Tensor:
        """(B, T, P · Q) codes → (B, T, d) what the last layer reads."""
        return cast("Tensor", self.made(self.back(codes)))


class _Temporal(nn.Module):
    """A convolution over neighbouring frames, then a transformer encoder."""

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__()
        d = config.dimension
        self.near = nn.Conv1d(d, d, 5, padding=2, padding_mode="replicate")
        layer = nn.TransformerEncoderLayer(
            d, config.heads, config.feed_forward, config.dropout, batch_first=True
        )
        self.layers = nn.TransformerEncoder(
            layer, config.expression_layers, enable_nested_tensor=False
        )

    def forward(self, x: Tensor) -> Tensor:
        near = functional.leaky_relu(self.near(x.transpose(1, 2)), 0.2).transpose(1, 2)
        return cast("Tensor", self.layers(x + near))


class CodeTalker(Baseline):
    """The network.

    Args:
        config: sizes.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__(config, STAGES)
        self.prior = MotionPrior(config)
        self.decoder = AlignedDecoder(config)
        self.embedding = nn.Linear(config.components, config.dimension)
        self.codes = nn.Linear(config.dimension, _PARTS * _SIZE)

    def forward(
        self,
        features: Tensor,
        frames: int,
        style: Tensor | None = None,  # noqa: ARG002 - one speaker has one style.
        truth: Tensor | None = None,
    ) -> Motion:
        """See :meth:`engine.motion.model.network.SpeechNetwork.forward`."""
        if self.stage == PRIOR and truth is not None:
            codes = self.prior.encode(truth)
            entries = self.prior.quantised(codes)
            penalty = functional.mse_loss(entries, codes.detach())
            penalty = penalty + _COMMITMENT * functional.mse_loss(codes, entries.detach())
            return Motion(self._moved(codes, entries), penalty=penalty)
        audio = self.resampled(features, frames)
        if truth is not None:
            before = functional.pad(self.embedding(truth[:, :-1]), (0, 0, 1, 0))
            codes = self.codes(self.decoder(before, audio))
            wanted = self.prior.quantised(self.prior.encode(truth)).detach()
            penalty = functional.mse_loss(codes, wanted)
            return Motion(self._moved(codes, self.prior.quantised(codes)), penalty=penalty)
        fed = audio.new_zeros(len(audio), 1, self.config.dimension)
        for _ in range(frames):
            codes = self.codes(self.decoder(fed, audio))
            weights = self._moved(codes, self.prior.quantised(codes))
            fed = torch.cat([fed, self.embedding(weights[:, -1:])], dim=1)
        return Motion(weights)

    def _moved(self, codes: Tensor, entries: Tensor) -> Tensor:
        """(B, T, K) weights of entries; gradients go to the codes instead (straight through)."""
        return cast("Tensor", self.mapper(self.prior.decode(codes + (entries - codes).detach())))
