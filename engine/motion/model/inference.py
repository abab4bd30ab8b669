# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the speech model: whole clips, long clips in bounded memory, and live streams.

There is one computation. A stream takes audio features as they arrive and gives each frame as soon
as the frames within its look-ahead are there; a clip is a stream that is fed in large pieces. What
comes out is the same to rounding, whatever the pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.core.timing import frame_count
from engine.heads.head import Head
from engine.motion.encoders.registry import AudioFeatures
from engine.motion.model.attention import DecoderLayer, EncoderLayer, LayerState
from engine.motion.model.network import MotionDecoder, SpeechModel, WindowedTransformer
from engine.motion.model.resampling import Resampler
from engine.motion.performance import Performance

Float = NDArray[np.float32]

_PIECE = 10.0
"""Seconds of features that a clip is fed in at once."""


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
        style: what the artist asks for, by name; unnamed styles are 0.

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
        self._audio_unheard = like.new_zeros(1, 0, d)
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
    def finish(self, frames: int) -> Frames:
        """The end of the clip: give all that is left of its ``frames``.

        Raises:
            BadInputError: no features ever came.
        """
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
        self._audio_unheard = torch.cat([self._audio_unheard, a], dim=1)
        c = _through(model.lip_encoder, a, self._lip_states, final=final)
        self._lips_for_motion = torch.cat([self._lips_for_motion, c], dim=1)
        if model.wrinkle_encoder is not None:
            aligned, self._audio_for_wrinkles = _taken(self._audio_for_wrinkles, a, c.shape[1])
            both = torch.cat([aligned, c], dim=-1)
            w = _through(model.wrinkle_encoder, both, self._wrinkle_states, final=final)
            aligned, self._lips_for_expression = _taken(self._lips_for_expression, c, w.shape[1])
            c = torch.cat([aligned, w], dim=-1)
        hidden = _through(model.expression_encoder, c, self._expression_states, final=final)
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
        x = decoder.enter(m, self._before)
        for layer, state in zip(decoder.layers, self._decoder_states, strict=True):
            assert isinstance(layer, DecoderLayer)
            x = layer.step(x, audio, self._audio_unheard, state)
        self._audio_unheard = self._audio_unheard[:, :0]
        weights: Tensor = self._model.mapper(decoder.norm(x))
        self._before = weights[:, -1:]
        return weights


def _through(
    encoder: WindowedTransformer, x: Tensor, states: list[LayerState], *, final: bool
) -> Tensor:
    """A step through the layers of an encoder."""
    x = encoder.project(x)
    for layer, state in zip(encoder.layers, states, strict=True):
        assert isinstance(layer, EncoderLayer)
        x = layer.step(x, state, final=final)
    normal: Tensor = encoder.norm(x)
    return normal


def _cut(waiting: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    return waiting[:, :frames], waiting[:, frames:].clone()


def _taken(waiting: Tensor, arrived: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """The first frames of what waits and what arrived, and the rest."""
    return _cut(torch.cat([waiting, arrived], dim=1), frames)


def style_vector(model: SpeechModel, style: Mapping[str, float] | None) -> Tensor:
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
        style: what the artist asks for, by name.
    """

    def __init__(
        self, model: SpeechModel, fps: float, style: Mapping[str, float] | None = None
    ) -> None:
        frame_count(1.0, fps)
        config = model.config
        self._motion = MotionStream(model, style)
        self._components = config.components
        self._rate = config.motion_rate
        self._resampler = Resampler(config.motion_rate, fps, config.components + config.expressions)

    def push(self, features: Float) -> Frames:
        """Take the (n, C) features that arrived; give the frames that became final."""
        return self._resampled(self._motion.push(features), _ENDLESS, final=False)

    def finish(self, duration: float, frames: int) -> Frames:
        """The end of a clip of ``duration`` seconds: what is left of its ``frames``."""
        # One frame more than the clip holds, so that its last moments lie between two.
        native = int(duration * self._rate) + 2
        return self._resampled(self._motion.finish(native), frames, final=True)

    def _resampled(self, motion: Frames, upto: int, *, final: bool) -> Frames:
        values = np.concatenate([motion.weights, motion.expression], axis=1)
        made = self._resampler.push(values, upto, final=final)
        return Frames(made[:, : self._components], made[:, self._components :])


_ENDLESS = 2**62


def frames_of(
    model: SpeechModel,
    features: AudioFeatures,
    fps: float,
    style: Mapping[str, float] | None = None,
) -> Iterator[Frames]:
    """The motion of a clip, piece by piece, in bounded memory; round(duration · fps) frames.

    Args:
        model: in evaluation mode.
        features: of the whole clip.
        fps: frames per second.
        style: what the artist asks for, by name.

    Raises:
        BadInputError: features of another encoder than the model's, or an impossible frame rate.
    """
    _check_features(model, features)
    total = frame_count(features.duration, fps)
    stream = SpeechStream(model, fps, style)
    size = max(1, round(_PIECE * features.rate))
    given = 0
    for start in range(0, len(features.values), size):
        made = stream.push(features.values[start : start + size])
        # Features may reach beyond the last frame of the clip.
        made = Frames(made.weights[: total - given], made.expression[: total - given])
        given += len(made)
        yield made
    if given < total:
        yield stream.finish(features.duration, total)


def infer(
    model: SpeechModel,
    features: AudioFeatures,
    head: Head,
    fps: float,
    *,
    style: Mapping[str, float] | None = None,
    source_sha256: str = "",
    name: str = "",
    progress: Progress = no_progress,
) -> Performance:
    """The performance of a head that speaks a clip.

    Args:
        model: in evaluation mode, for this head.
        features: of the whole clip, from the encoder that the model was trained with.
        head: who speaks.
        fps: frames per second, 12 to 120.
        style: what the artist asks for, by name.
        source_sha256: of the audio.
        name: id of the model.
        progress: told how far it is; may raise to cancel.

    Returns:
        round(duration · fps) frames, factored: where the basis is the head's own expression basis,
        the expression is the weights themselves, otherwise the expression encoder's.

    Raises:
        BadInputError: the model is of another head, or the features are of another encoder.
    """
    check_head(model, head)
    total = frame_count(features.duration, fps)
    pieces: list[Frames] = []
    done = 0
    for piece in frames_of(model, features, fps, style):
        pieces.append(piece)
        done += len(piece)
        progress(done / total, "Predicting motion")
    weights = np.concatenate([piece.weights for piece in pieces])
    own = model.config.learned_basis
    basis = model.mapper.basis.detach().float().cpu().numpy() if own else head.expression_basis
    return Performance(
        fps=fps,
        weights=weights,
        basis=basis,
        expression=np.concatenate([p.expression for p in pieces]) if own else weights,
        expression_names=head.expression_names,
        head=head.id,
        source_sha256=source_sha256,
        model=name,
        phones=tuple(features.phones),
    )


def check_head(model: SpeechModel, head: Head) -> None:
    """Make sure that a model speaks for a head.

    A model with a learned basis is bound to the vertices; one that speaks in expressions moves any
    head that has them.

    Raises:
        BadInputError: it has other vertices or expressions; says expected and found.
    """
    config = model.config
    expected, found = config.expressions, len(head.expression_names)
    what = "expressions"
    if config.learned_basis and expected == found:
        expected, found, what = config.vertices, head.vertex_count, "vertices"
    if expected != found:
        raise BadInputError(
            f"The speech model is for a head of {expected} {what}; {head.id!r} has {found}.",
            "Use the model's own head and retarget the performance, or train a model on this head.",
        )


def _check_features(model: SpeechModel, features: AudioFeatures) -> None:
    config = model.config
    expected = (config.features, config.feature_rate, config.feature_start)
    found = (features.values.shape[1], features.rate, features.start)
    if found[0] != expected[0] or not np.allclose(found[1:], expected[1:]):
        raise BadInputError(
            f"The model takes {expected[0]} numbers {expected[1]:g} times a second from "
            f"{expected[2]:g} s on; the audio features have {found[0]}, {found[1]:g} and "
            f"{found[2]:g}.",
            f"Encode the audio with {config.encoder!r}.",
        )


def _states(block: WindowedTransformer | MotionDecoder | None) -> list[LayerState]:
    return [] if block is None else [LayerState() for _ in block.layers]
