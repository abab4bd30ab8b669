# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams: audio arrives in chunks of any size, motion comes out with constant memory.

A stream gives each frame as soon as the frames within its look-ahead are there; what comes out is
that of the whole clip at once, to rounding, whatever the chunks. Whole clips are streams too
(:mod:`engine.motion.model.inference`), which bounds their memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.timing import frame_count
from engine.motion.model.attention import DecoderLayer, LayerState
from engine.motion.model.network import (
    MotionDecoder,
    SpeechModel,
    SpeechNetwork,
    WindowedTransformer,
)
from engine.motion.model.resampling import Resampler

_ENDLESS = 2**62
"""Frames of a stream whose end is not known yet."""


class Frames(NamedTuple):
    """Motion of n consecutive frames.

    Attributes:
        weights: (n, K) float32 weights of the vertex mapper's basis.
        expression: (n, E) float32 expression weights.
    """

    weights: Float
    expression: Float

    def __len__(self) -> int:
        return len(self.weights)


class MotionStream:
    """Features in, frames at the model's own rate out, with constant memory.

    Args:
        model: in evaluation mode; its device and type are kept.
        style: values of the model's inputs, by name; others are 0.

    Raises:
        BadInputError: a style that the model does not have.
    """

    def __init__(self, model: SpeechModel, style: Mapping[str, float] | None = None) -> None:
        self._model = model
        like = model.audio.audio.weight
        self._style = style_vector(model, style).to(like)
        self._features = like.new_zeros(1, 0, model.config.features)
        self._dropped = 0
        self._frames = 0
        d = model.config.dimension
        self._audio_for_wrinkles = like.new_zeros(1, 0, d)
        self._audio_for_motion = like.new_zeros(1, 0, d)
        self._audio_unattended = like.new_zeros(1, 0, d)
        self._lips_for_expression = like.new_zeros(1, 0, d)
        self._lips_for_motion = like.new_zeros(1, 0, d)
        self._lip_states = _states(model.lip_encoder)
        self._wrinkle_states = _states(model.wrinkle_encoder)
        self._expression_states = _states(model.expression_encoder)
        self._decoder_states = _states(model.decoder)
        self._before = like.new_zeros(1, 1, model.config.components)

    @torch.inference_mode()
    def push(self, features: Float) -> Frames:
        """Take the (n, C) features that arrived; give the frames that became final."""
        return self._run(self._arrived(features), final=False)

    @torch.inference_mode()
    def finish(self, frames: int, features: Float | None = None) -> Frames:
        """The end of the clip, with its last (n, C) features: all that is left of its ``frames``.

        Raises:
            BadInputError: no features ever came.
        """
        if features is not None:
            self._arrived(features)
        if self._features.shape[1] == 0:
            raise BadInputError("The stream got no audio features.", "Push some before its end.")
        return self._run(max(0, frames - self._frames), final=True)

    def _arrived(self, features: Float) -> int:
        new = torch.from_numpy(np.ascontiguousarray(features, np.float32))
        if new.ndim != 2 or new.shape[1] != self._features.shape[2]:
            raise BadInputError(
                f"Audio features of shape {tuple(new.shape)} do not fit a model that takes "
                f"(n, {self._features.shape[2]}).",
                "Encode the audio with the encoder that the model was trained with.",
            )
        self._features = torch.cat([self._features, new.to(self._features)[None]], dim=1)
        interpolation = self._model.interpolation
        known = self._dropped + self._features.shape[1]
        return max(0, interpolation.frames(known) - self._frames)

    def _interpolated(self, frames: int) -> Tensor:
        interpolation = self._model.interpolation
        made: Tensor = interpolation(self._features, frames, self._frames, self._dropped)
        self._frames += frames
        spare = max(0, interpolation.first_feature(self._frames) - self._dropped)
        spare = min(spare, self._features.shape[1] - 1)
        self._features = self._features[:, spare:].clone()
        self._dropped += spare
        return made

    def _run(self, frames: int, *, final: bool) -> Frames:
        model = self._model
        if frames == 0 and not final:
            return self._decoded(self._before[:, :0, :0])
        a = model.audio(self._interpolated(frames), self._style)
        self._audio_for_motion = torch.cat([self._audio_for_motion, a], dim=1)
        self._audio_unattended = torch.cat([self._audio_unattended, a], dim=1)
        c = model.lip_encoder.step(a, self._lip_states, final=final)
        self._lips_for_motion = torch.cat([self._lips_for_motion, c], dim=1)
        if model.wrinkle_encoder is not None:
            aligned, self._audio_for_wrinkles = _taken(self._audio_for_wrinkles, a, c.shape[1])
            both = torch.cat([aligned, c], dim=-1)
            w = model.wrinkle_encoder.step(both, self._wrinkle_states, final=final)
            aligned, self._lips_for_expression = _taken(self._lips_for_expression, c, w.shape[1])
            c = torch.cat([aligned, w], dim=-1)
        hidden = model.expression_encoder.step(c, self._expression_states, final=final)
        return self._decoded(model.expression_encoder.expressions(hidden))

    def _decoded(self, e: Tensor) -> Frames:
        """The frames whose (1, n, E) expressions are known."""
        model, n = self._model, e.shape[1]
        if n == 0:
            config = model.config
            return Frames(
                np.zeros((0, config.components), np.float32),
                np.zeros((0, config.expressions), np.float32),
            )
        audio, self._audio_for_motion = _cut(self._audio_for_motion, n)
        c, self._lips_for_motion = _cut(self._lips_for_motion, n)
        m = torch.cat([c, model.expression2latent(e)], dim=-1)
        # Fed-back frames come one by one, all others at once.
        step = 1 if model.config.autoregressive else n
        made = [self._step(m[:, i : i + step], audio[:, i : i + step]) for i in range(0, n, step)]
        weights = torch.cat(made, dim=1)
        return Frames(weights[0].float().cpu().numpy(), e[0].float().cpu().numpy())

    def _step(self, m: Tensor, audio: Tensor) -> Tensor:
        decoder = self._model.decoder
        x, memory = decoder.enter(m, audio, self._before)
        # m arrives with the frames themselves; audio runs ahead of them.
        arrived = memory if self._model.config.motion_memory else self._audio_unattended
        for layer, state in zip(decoder.layers, self._decoder_states, strict=True):
            assert isinstance(layer, DecoderLayer)
            x = layer.step(x, memory, arrived, state)
        self._audio_unattended = self._audio_unattended[:, :0]
        weights: Tensor = self._model.mapper(decoder.norm(x))
        self._before = weights[:, -1:]
        return weights


def _cut(waiting: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    return waiting[:, :frames], waiting[:, frames:].clone()


def _taken(waiting: Tensor, arrived: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """The first frames of what waits and what arrived, and the rest."""
    return _cut(torch.cat([waiting, arrived], dim=1), frames)


def style_vector(model: SpeechNetwork, style: Mapping[str, float] | None) -> Tensor:
    """(1, S) the values of the model's styles, 0 where none is given.

    Raises:
        BadInputError: a style that the model does not have, or a value outside −1 to 1.
    """
    style = dict(style or {})
    names = model.config.styles
    unknown = sorted(set(style) - set(names))
    if unknown:
        raise BadInputError(
            f"The speech model has no style {unknown[0]!r}.",
            f"It has: {', '.join(names) or 'none'}.",
        )
    for name, value in style.items():
        if not -1.0 <= value <= 1.0:
            raise BadInputError(f"The style {name} is {value:g}.", "Choose a value from -1 to 1.")
    return torch.tensor([[float(style.get(name, 0.0)) for name in names]])


class SpeechStream:
    """Features in, frames at any rate out, with constant memory.

    Args:
        model: in evaluation mode.
        fps: frames per second to give.
        style: values of the model's inputs, by name.
    """

    def __init__(
        self, model: SpeechModel, fps: float, style: Mapping[str, float] | None = None
    ) -> None:
        frame_count(1.0, fps)
        config = model.config
        self._model = model
        self._motion = MotionStream(model, style)
        self._components = config.components
        self._rate, self._fps = config.motion_rate, fps
        self._resampler = Resampler(config.motion_rate, fps, config.components + config.expressions)

    def push(self, features: Float) -> Frames:
        """Take the (n, C) features that arrived; give the frames that became final."""
        return self._resampled(self._motion.push(features), _ENDLESS, final=False)

    def finish(self, duration: float, frames: int, features: Float | None = None) -> Frames:
        """The end of a clip of ``duration`` seconds, with its last (n, C) features.

        Returns:
            What is left of its ``frames``.
        """
        # One frame more than the clip holds, so that its last times lie between two.
        native = int(duration * self._rate) + 2
        return self._resampled(self._motion.finish(native, features), frames, final=True)

    def preview(self, features: Float, frames: int) -> Frames:
        """What the (n, C) features that come next make of the last of ``frames`` frames.

        As if the clip ended with them; the stream stays where it is. What was pushed is final and
        the future of what was not is unknown: for a live stream that has no time to wait for it.
        """
        twin = deepcopy(self, {id(self._model): self._model})
        return twin.finish(frames / self._fps, frames, features)

    def _resampled(self, motion: Frames, upto: int, *, final: bool) -> Frames:
        values = np.concatenate([motion.weights, motion.expression], axis=1)
        made = self._resampler.push(values, upto, final=final)
        return Frames(made[:, : self._components], made[:, self._components :])


def _states(block: WindowedTransformer | MotionDecoder | None) -> list[LayerState]:
    return [] if block is None else [LayerState() for _ in block.layers]
