# SPDX-License-Identifier: GPL-3.0-or-later
"""The sequence model of GaussianSpeech (Aneja et al. 2024), section 4.2, from top to bottom.

Audio features → frequency interpolation → lip transformer encoder → wrinkle transformer encoder →
expression encoder → Expression2Latent → motion decoder → vertex mapper → vertex offsets. Every
block is a class of that name. B clips, T frames, d hidden size; other letters as in
:class:`engine.motion.model.config.SpeechModelConfig`.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from engine.motion.encoders.interpolation import FrequencyInterpolation
from engine.motion.model.attention import DecoderLayer, EncoderLayer, LayerState
from engine.motion.model.config import SpeechModelConfig


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

    def step(self, x: Tensor, states: list[LayerState], *, final: bool) -> Tensor:
        """(B, n, width) frames of a stream in, the (B, m, d) that became final out."""
        return self._through(self.project(x), states, final=final)

    def _through(self, x: Tensor, states: list[LayerState], *, final: bool) -> Tensor:
        for layer, state in zip(self.layers, states, strict=True):
            assert isinstance(layer, EncoderLayer)
            x = layer.step(x, state, final=final)
        return cast("Tensor", self.norm(x))


class LipTransformerEncoder(WindowedTransformer):
    """Lip features c from audio, with the vertices of the lips that they speak of (L_lip, Eq. 7).

    With ``lip_feedback`` the lips of each frame are taken in with the audio of the next, frame by
    frame and as they were predicted, in training as in use.

    Args:
        config: sizes.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__(config, config.dimension, config.lip_layers)
        self.lips = nn.Linear(config.dimension, 3 * config.lip_vertices)
        self.feedback = (
            nn.Linear(3 * config.lip_vertices, config.dimension, bias=False)
            if config.lip_feedback
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, d) audio → (B, T, d) lip features."""
        if self.feedback is None:
            return super().forward(x)
        return self.step(x, [LayerState() for _ in self.layers], final=True)

    def step(self, x: Tensor, states: list[LayerState], *, final: bool) -> Tensor:
        """See :meth:`WindowedTransformer.step`; with feedback every frame is final at once."""
        if self.feedback is None:
            return super().step(x, states, final=final)
        x, first = self.project(x), states[0]
        made = [x[:, :0]]
        for i in range(x.shape[1]):
            frame = x[:, i : i + 1]
            if first.fed_back is not None:
                frame = frame + self.feedback(first.fed_back)
            made.append(self._through(frame, states, final=True))
            first.fed_back = self.lips(made[-1])
        return torch.cat(made, dim=1)

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
    """The transformer decoder: look-ahead mask (Eq. 10), alignment mask (Eq. 11).

    With ``motion_memory`` the cross-attention fuses m in (Fig. 4), and what it fuses it into starts
    as one learned vector for every frame: all that a frame knows it has from m, so without the
    alignment mask no frame knows which part of m is its own. Otherwise m is refined, and the
    cross-attention attends to the audio.

    Args:
        config: sizes and switches.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__()
        d = config.dimension
        self.project = nn.Linear(2 * d, d)
        self.start = nn.Parameter(torch.zeros(d)) if config.motion_memory else None
        self.feedback = (
            nn.Linear(config.components, d, bias=False) if config.autoregressive else None
        )
        self.layers = nn.ModuleList(
            DecoderLayer(
                d,
                config.heads,
                config.feed_forward,
                config.past,
                0 if config.motion_memory else config.ahead,
                config.dropout,
                aligned=config.alignment_mask,
                distances=not config.motion_memory,
            )
            for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(d)

    def enter(self, m: Tensor, audio: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the layers refine, and what they attend to, (B, T, d) both.

        Args:
            m: (B, T, 2d) motion codes.
            audio: (B, T, d) a.
            before: (B, T, K) the components of the frame before each, where they are fed back.
        """
        x, memory = self.project(m), audio
        if self.start is not None:
            x, memory = self.start.expand_as(x), x
        if self.feedback is not None and before is not None:
            x = x + self.feedback(before)
        return x, memory

    def forward(self, m: Tensor, audio: Tensor, before: Tensor | None = None) -> Tensor:
        """All frames at once (Eq. 12): motion codes (B, T, 2d) and audio (B, T, d) → (B, T, d).

        Args:
            m: [c; E(e)].
            audio: a.
            before: (B, T, K) true components of the frame before each, for the autoregressive
                variant in training.
        """
        x, memory = self.enter(m, audio, before)
        for layer in self.layers:
            x = layer(x, memory)
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
        expression: (B, T, E) expression weights e; ``None`` of a network that has none.
        lips: (B, T, L, 3) the lip encoder's own lip offsets, millimetres; for training.
        wrinkles: (B, T, W) wrinkle features, ``None`` without the wrinkle encoder.
        penalty: what the network itself asks to be small in training, a scalar.
    """

    weights: Tensor
    expression: Tensor | None = None
    lips: Tensor | None = None
    wrinkles: Tensor | None = None
    penalty: Tensor | None = None


class SpeechNetwork(nn.Module):
    """What every architecture has: audio features in, weights of a basis out.

    Attributes:
        config: dimensions and switches.
        interpolation: to the motion's rate.
        mapper: the last layer, with the basis.
    """

    config: SpeechModelConfig
    interpolation: FrequencyInterpolation
    mapper: VertexMapper

    def forward(
        self,
        features: Tensor,
        frames: int,
        style: Tensor | None = None,
        truth: Tensor | None = None,
    ) -> Motion:
        """Predict the motion of whole clips.

        Args:
            features: (B, N, C) audio features.
            frames: T at the model's motion rate.
            style: (B, S) the artist's settings; 0 is the default.
            truth: (B, T, K) true weights, in training, for what learns by them.
        """
        raise NotImplementedError


class SpeechModel(SpeechNetwork):
    """Section 4.2.

    Args:
        config: dimensions and switches.
    """

    def __init__(self, config: SpeechModelConfig) -> None:
        super().__init__()
        self.config = config
        self.interpolation = FrequencyInterpolation(
            config.feature_rate, config.feature_start, config.motion_rate
        )
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
        truth: Tensor | None = None,
    ) -> Motion:
        """See :meth:`SpeechNetwork.forward`; all frames in parallel.

        Each frame of the autoregressive variant takes in the true one before it (teacher forcing).
        """
        before = None
        if self.config.autoregressive and truth is not None:
            before = nn.functional.pad(truth[:, :-1], (0, 0, 1, 0))
        a = self.audio(self.interpolation(features, frames), style)
        c = self.lip_encoder(a)
        lips = self.lip_encoder.lip_offsets(c)
        a, c = self._kept(a), self._kept(c)
        w = wrinkles = None
        if self.wrinkle_encoder is not None:
            w = self.wrinkle_encoder(torch.cat([a, c], -1))
            wrinkles = self.wrinkle_encoder.wrinkle_features(w)
            w = self._kept(w)
        hidden = self.expression_encoder(c if w is None else torch.cat([c, w], -1))
        e = self.expression_encoder.expressions(hidden)
        m = torch.cat([c, self.expression2latent(self._kept(e))], -1)
        return Motion(self.mapper(self.decoder(m, a, before)), e, lips, wrinkles)

    def _kept(self, x: Tensor) -> Tensor:
        """What a part gives the next; in stages no loss of the next reaches back through it."""
        return x.detach() if self.config.staged else x
