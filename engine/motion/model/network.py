# SPDX-License-Identifier: GPL-3.0-or-later
"""The sequence model of GaussianSpeech (Aneja et al. 2024), section 4.2, from top to bottom.

Audio features → frequency interpolation → lip transformer encoder → wrinkle transformer encoder →
expression encoder → Expression2Latent → motion decoder → vertex mapper → vertex offsets. Every
block is a class of that name. B clips, T frames, d hidden size; other letters as in
:class:`engine.motion.model.config.SpeechModelConfig`.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from engine.motion.model.attention import DecoderLayer, EncoderLayer
from engine.motion.model.config import SpeechModelConfig


class FrequencyInterpolation(nn.Module):
    """From the rate of the audio features to that of the motion.

    Frame i, at i / motion_rate seconds, is the mean of the features around it under a triangle that
    is as wide as the coarser of the two steps: linear interpolation on the way up, without aliasing
    on the way down. The first and last features are repeated beyond the ends.

    Args:
        config: rates and sizes.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__()
        self.rate, self.start = config.feature_rate, config.feature_start
        self.motion_rate = config.motion_rate
        self.half_width = max(1.0 / self.rate, 1.0 / self.motion_rate)
        self.taps = math.floor(2.0 * self.half_width * self.rate) + 1

    def first_feature(self, frame: int) -> int:
        """The first feature that a frame takes in; negative before the first one."""
        begin = (frame / self.motion_rate - self.half_width - self.start) * self.rate
        return math.ceil(begin - 1e-9)

    def frames(self, features: int) -> int:
        """Frames that are final once so many features have arrived."""
        last = self.start + (features - 1) / self.rate
        frames = max(0, math.floor((last - self.half_width) * self.motion_rate) + 1)
        while self.first_feature(frames) + self.taps <= features:
            frames += 1
        while frames and self.first_feature(frames - 1) + self.taps > features:
            frames -= 1
        return frames

    def forward(self, features: Tensor, frames: int, first: int = 0, dropped: int = 0) -> Tensor:
        """Features at the times of the motion.

        Args:
            features: (B, N, C).
            frames: T, how many frames to make.
            first: the first of them.
            dropped: features of the clip that came before ``features`` and are no longer held.

        Returns:
            (B, T, C).
        """
        # Indices in Python: float32 would misplace features after some minutes.
        lead = [self.first_feature(first + i) for i in range(frames)]
        index = torch.tensor(lead, dtype=torch.long, device=features.device)[:, None]
        index = index + torch.arange(self.taps, device=features.device)
        centre = torch.tensor(
            [
                (first + i) / self.motion_rate - self.start - lead[i] / self.rate
                for i in range(frames)
            ],
            dtype=features.dtype,
            device=features.device,
        )
        step = torch.arange(self.taps, device=features.device) / self.rate
        weight = (1.0 - (centre[:, None] - step).abs() / self.half_width).clamp(min=0.0)
        weight = weight / weight.sum(dim=1, keepdim=True)
        held = (index - dropped).clamp(0, features.shape[1] - 1)
        return torch.einsum("btkc,tk->btc", features[:, held], weight)


class AudioProjection(nn.Module):
    """Audio at the motion rate, in the model's dimension, with the artist's style added.

    The style enters without a bias, so the default, 0, changes nothing.

    Args:
        config: sizes and names of the styles.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__()
        self.audio = nn.Linear(config.features, config.dimension)
        self.style = nn.Linear(max(1, len(config.styles)), config.dimension, bias=False)

    def forward(self, audio: Tensor, style: Tensor | None) -> Tensor:
        """(B, T, C) audio and (B, S) style → a (B, T, d)."""
        a = self.audio(audio)
        if style is not None and style.shape[-1]:
            a = a + self.style(style)[:, None]
        return cast("Tensor", a)


class WindowedTransformer(nn.Module):
    """A projection, layers that attend within the window, and a norm.

    Args:
        config: sizes and window.
        width: size of the input.
        layers: how many.
    """

    def __init__(self, config: SpeechModelConfig, width: int, layers: int) -> None:
        super().__init__()
        d = config.dimension
        self.project = nn.Linear(width, d)
        self.layers = nn.ModuleList(
            EncoderLayer(
                d, config.heads, config.feed_forward, config.past, config.ahead, config.dropout
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(d)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) → (B, T, d)."""
        x = self.project(x)
        for layer in self.layers:
            x = layer(x)
        return cast("Tensor", self.norm(x))


class LipTransformerEncoder(WindowedTransformer):
    """Lip features c from audio; trained on the vertices of the lips alone (L_lip, Eq. 7).

    Args:
        config: sizes.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__(config, config.dimension, config.lip_layers)
        self.lips = nn.Linear(config.dimension, 3 * config.lip_vertices)

    def lip_offsets(self, c: Tensor) -> Tensor:
        """(B, T, L, 3) offsets of the lip vertices that c speaks of, in millimetres."""
        return cast("Tensor", self.lips(c).unflatten(-1, (-1, 3)))


class WrinkleTransformerEncoder(WindowedTransformer):
    """Wrinkle features w from audio and lip features (L_wrinkle, Eq. 8).

    Args:
        config: sizes.
    """

    scale: Tensor

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__(config, 2 * config.dimension, config.wrinkle_layers)
        self.wrinkles = nn.Linear(config.dimension, config.wrinkles)
        self.register_buffer("scale", torch.ones(config.wrinkles))

    def wrinkle_features(self, w: Tensor) -> Tensor:
        """(B, T, W) measured wrinkle features that w speaks of, in their own scale."""
        return cast("Tensor", self.wrinkles(w) * self.scale)


class ExpressionEncoder(WindowedTransformer):
    """Expression weights e from [c; w] (L_expr, Eq. 9).

    Args:
        config: sizes; without wrinkle features from c alone.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        d = config.dimension
        width = 2 * d if config.wrinkle_features else d
        super().__init__(config, width, config.expression_layers)
        self.expression = nn.Linear(d, config.expressions)

    def expressions(self, hidden: Tensor) -> Tensor:
        """(B, T, E) expression weights of the head."""
        return cast("Tensor", self.expression(hidden))


class Expression2Latent(nn.Sequential):
    """The MLP E that lifts expression weights to the decoder's space: m = [c; E(e)].

    Args:
        config: sizes.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        d = config.dimension
        super().__init__(nn.Linear(config.expressions, d), nn.GELU(), nn.Linear(d, d))


class MotionDecoder(nn.Module):
    """The transformer decoder: look-ahead mask (Eq. 10), alignment mask to the audio (Eq. 11).

    Args:
        config: sizes and switches.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__()
        d = config.dimension
        self.project = nn.Linear(2 * d, d)
        self.feedback = (
            nn.Linear(config.components, d, bias=False) if config.autoregressive else None
        )
        self.layers = nn.ModuleList(
            DecoderLayer(
                d,
                config.heads,
                config.feed_forward,
                config.past,
                config.ahead,
                config.dropout,
                aligned=config.alignment_mask,
            )
            for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(d)

    def enter(self, m: Tensor, before: Tensor | None) -> Tensor:
        """(B, T, 2d) motion codes, and the components of the frame before each, as (B, T, d)."""
        x = self.project(m)
        if self.feedback is not None and before is not None:
            x = x + self.feedback(before)
        return cast("Tensor", x)

    def forward(self, m: Tensor, audio: Tensor, before: Tensor | None = None) -> Tensor:
        """All frames at once (Eq. 12): motion codes (B, T, 2d) and audio (B, T, d) → (B, T, d).

        Args:
            m: [c; E(e)].
            audio: a.
            before: (B, T, K) true components of the frame before each, for the autoregressive
                variant in training.
        """
        x = self.enter(m, before)
        for layer in self.layers:
            x = layer(x, audio)
        return cast("Tensor", self.norm(x))


class VertexMapper(nn.Module):
    """Hidden states to vertex offsets, by a last layer that is linear.

    So a performance stays factored: the mapper gives the weights (T, K), and the offsets are
    weights · basis.

    Args:
        config: sizes, and whether the basis is learned.
    """

    basis: Tensor

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__()
        self.weights = nn.Linear(config.dimension, config.components)
        # An untrained model rests.
        if not self.weights.weight.is_meta:  # Nothing there, but it would import torch._dynamo.
            nn.init.normal_(self.weights.weight, std=0.01)
        nn.init.zeros_(self.weights.bias)
        if config.learned_basis:
            self.basis = nn.Parameter(torch.zeros(config.components, config.vertices, 3))
        else:
            # The head's own, put in place with the head: it is no part of the model.
            self.register_buffer("basis", torch.zeros(config.components, 0, 3), persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, d) → (B, T, K) weights of the basis."""
        return cast("Tensor", self.weights(hidden))

    def offsets(self, weights: Tensor) -> Tensor:
        """(B, T, K) weights → (B, T, V, 3) offsets in head space, metres."""
        return torch.einsum("btk,kvc->btvc", weights, self.basis)


class Motion(NamedTuple):
    """What the model predicts.

    Attributes:
        weights: (B, T, K) weights of the vertex mapper's basis.
        expression: (B, T, E) expression weights e.
        lips: (B, T, L, 3) the lip encoder's own lip offsets, millimetres; for training.
        wrinkles: (B, T, W) wrinkle features, ``None`` without the wrinkle encoder.
    """

    weights: Tensor
    expression: Tensor
    lips: Tensor
    wrinkles: Tensor | None


class SpeechModel(nn.Module):
    """Section 4.2.

    Args:
        config: dimensions and switches.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__()
        self.config = config
        self.interpolation = FrequencyInterpolation(config)
        self.audio = AudioProjection(config)
        self.lip_encoder = LipTransformerEncoder(config)
        self.wrinkle_encoder = (
            WrinkleTransformerEncoder(config) if config.wrinkle_features else None
        )
        self.expression_encoder = ExpressionEncoder(config)
        self.expression2latent = Expression2Latent(config)
        self.decoder = MotionDecoder(config)
        self.mapper = VertexMapper(config)

    def forward(
        self,
        features: Tensor,
        frames: int,
        style: Tensor | None = None,
        before: Tensor | None = None,
    ) -> Motion:
        """Predict the motion of whole clips, all frames in parallel.

        Args:
            features: (B, N, C) audio features.
            frames: T at the model's motion rate.
            style: (B, S) the artist's settings; 0 is the default.
            before: (B, T, K) true components of the frame before each, first frame 0; what the
                autoregressive variant is trained with (teacher forcing).
        """
        a = self.audio(self.interpolation(features, frames), style)
        c = self.lip_encoder(a)
        w = None if self.wrinkle_encoder is None else self.wrinkle_encoder(torch.cat([a, c], -1))
        hidden = self.expression_encoder(c if w is None else torch.cat([c, w], -1))
        e = self.expression_encoder.expressions(hidden)
        m = torch.cat([c, self.expression2latent(e)], -1)
        return Motion(
            weights=self.mapper(self.decoder(m, a, before)),
            expression=e,
            lips=self.lip_encoder.lip_offsets(c),
            wrinkles=None
            if self.wrinkle_encoder is None or w is None
            else self.wrinkle_encoder.wrinkle_features(w),
        )
