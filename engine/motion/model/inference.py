# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the speech model on whole clips of any length, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.core.timing import frame_count
from engine.heads.head import Head
from engine.motion.encoders.base import AudioFeatures
from engine.motion.model.live import Frames, SpeechStream, style_vector
from engine.motion.model.network import SpeechModel, SpeechNetwork
from engine.motion.model.resampling import Resampler

CHUNK = 10.0
"""Seconds of features that are run at once."""


def frames_of(
    model: SpeechNetwork,
    features: AudioFeatures,
    fps: float,
    style: Mapping[str, float] | None = None,
) -> Iterator[Frames]:
    """The motion of a clip, chunk by chunk, in bounded memory; round(duration · fps) frames.

    Args:
        model: in evaluation mode.
        features: of the whole clip.
        fps: frames per second.
        style: values of the model's inputs, by name.

    Raises:
        BadInputError: features of another encoder than the model's, or an impossible frame rate.
    """
    _check_features(model, features)
    total = frame_count(features.duration, fps)
    if not isinstance(model, SpeechModel):
        yield _at_once(model, features, fps, total, style)
        return
    stream = SpeechStream(model, fps, style)
    size = max(1, round(CHUNK * features.rate))
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
    model: SpeechNetwork,
    features: AudioFeatures,
    fps: float,
    style: Mapping[str, float] | None = None,
    progress: Progress = no_progress,
) -> Frames:
    """The motion of a clip.

    Args:
        model: in evaluation mode.
        features: of the whole clip, from the encoder that the model was trained with.
        fps: frames per second, 12 to 120.
        style: values of the model's inputs, by name.
        progress: called with the fraction done; may raise to cancel.

    Returns:
        round(duration · fps) frames.

    Raises:
        BadInputError: features of another encoder than the model's, an input that it does not
            have, or an impossible frame rate.
    """
    total = frame_count(features.duration, fps)
    chunks: list[Frames] = []
    done = 0
    for chunk in frames_of(model, features, fps, style):
        chunks.append(chunk)
        done += len(chunk)
        progress(done / total, "Predicting motion")
    return Frames(
        np.concatenate([chunk.weights for chunk in chunks]),
        np.concatenate([chunk.expression for chunk in chunks]),
    )


@torch.inference_mode()
def _at_once(
    model: SpeechNetwork,
    features: AudioFeatures,
    fps: float,
    total: int,
    style: Mapping[str, float] | None,
) -> Frames:
    """The motion of a clip by a network that cannot stream; expressions that it has not are 0."""
    style_vector(model, style)
    config = model.config
    native = int(features.duration * config.motion_rate) + 2
    given = torch.from_numpy(features.values)[None].to(model.mapper.weights.weight)
    weights = model(given, native).weights[0].float().cpu().numpy()
    resampler = Resampler(config.motion_rate, fps, config.components)
    made = resampler.push(weights, total, final=True)
    return Frames(made, np.zeros((total, config.expressions), np.float32))


def check_head(model: SpeechNetwork, head: Head) -> None:
    """Make sure that a model moves a head.

    A model with a learned basis is bound to the vertices; one that moves expressions is for any
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


def _check_features(model: SpeechNetwork, features: AudioFeatures) -> None:
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
