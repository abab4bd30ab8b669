# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances by a learned speech model: hear, predict, let lips meet, enliven."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio.loading import Speech
from engine.core.progress import Progress, no_progress, subprogress
from engine.core.timing import frame_count
from engine.heads.head import Head
from engine.motion.articulation import Articulation
from engine.motion.blinks import enliven
from engine.motion.encoders.registry import (
    AudioEncoder,
    AudioFeatures,
    PhoneticEncoder,
    load_encoder,
    phonetic_features,
)
from engine.motion.model.checkpoint import TrainedModel, load_model
from engine.motion.model.inference import infer
from engine.motion.performance import Performance
from engine.motion.predict import STARTER, on_head
from engine.motion.rules.coarticulation import smoothstep
from engine.motion.rules.visemes import lip_closure, lip_tuck
from engine.recognition.recognizer import RecognizedSpeech

Float = NDArray[np.float32]

STARTER_FILE = Path(__file__).parents[1] / "assets" / "speech_model.safetensors"

_HEARD = 0.9
"""Part of the time that hearing takes."""

_SHUT, _PARTED = 0.0010, 0.0022
"""Metres of predicted gap under which lips are meant to touch, and above which they are left alone:
the taught sounds part the lips by nothing (p, b, m, silence) or by 2.8 mm (f) and more, so what
lies between is a contact that was not quite reached, or a movement on its way through."""
_ASKED_SHUT, _ASKED_PARTED = 0.003, 0.006
"""The same where a p, b or m was heard: a wider gap still counts as a contact that was not quite
reached. Where the model opens further than that, it has heard better than the recogniser."""
_LEAST_CLOSING = 0.002
"""Metres by which mouthClose must close a part of the slit to have a say there."""

_UNROLLED, _ROLLED = 0.15, 0.40
"""Weights of mouthRollLower from which an f or v is half heard, and heard."""
_UNDER_TEETH = np.float32(0.86)
"""That of the taught f and v."""
_KEEPING, _LET_GO = ("mouthFunnel", "mouthLowerDown"), 0.7
"""What keeps the lower lip from the teeth, and how much of it is let go."""

_PARTING = ("mouthFunnel", "mouthLowerDown", "mouthRollLower", "mouthUpperUp", "tongueOut")
"""What lips that touch do not do: part, or roll under the teeth."""


def predict_learned(
    speech: Speech,
    head: Head,
    fps: float,
    *,
    model: str | Path = STARTER,
    text: str | None = None,
    settings: Articulation | None = None,
    style: Mapping[str, float] | None = None,
    progress: Progress = no_progress,
) -> Performance:
    """The performance of a head that speaks a clip.

    Args:
        speech: the clip.
        head: who speaks.
        fps: frames per second, 12 to 120.
        model: ``"starter"`` or the file of a trained model.
        text: what is said, where known.
        settings: amount and seed of blinks and brows, and the amplitude of jaw and lips, which
            becomes the style ``articulation`` where the model has it; the rest concerns the rules.
        style: what the artist asks for by the model's own names, −1 to 1; wins over the settings.
        progress: told how far it is; may raise to cancel.

    Returns:
        A performance of round(duration · fps) frames.

    Raises:
        MissingDependencyError: the model, or its encoder's weights, are not on this machine.
        BadInputError: a model of another head, an unknown style, or an impossible frame rate.
    """
    frame_count(speech.duration, fps)
    trained = _model(STARTER_FILE if model == STARTER else Path(model), head)
    config = trained.model.config
    encoder = _encoder(config.encoder, config.encoder_source)
    heard = encoder.encode(speech, text=text, progress=subprogress(progress, 0.0, _HEARD))
    performance = perform_learned(
        heard,
        head,
        fps,
        trained,
        settings=settings,
        style=style,
        progress=subprogress(progress, _HEARD, 1.0),
    )
    return replace(performance, source_sha256=speech.sha256, warnings=heard.warnings)


def perform_sounds(
    sounds: RecognizedSpeech,
    speech: Speech,
    head: Head,
    fps: float,
    *,
    model: str | Path = STARTER,
    settings: Articulation | None = None,
    style: Mapping[str, float] | None = None,
) -> Performance:
    """The performance for sounds whose times are known, as :func:`engine.motion.predict.perform`.

    Args:
        sounds: of the clip; a model with another encoder than the phonetic one hears for itself,
            and takes the times for blinks and brows.
        speech: the clip.
        head: who speaks.
        fps: frames per second.
        model: ``"starter"`` or the file of a trained model.
        settings: as for :func:`predict_learned`.
        style: as for :func:`predict_learned`.

    Raises:
        MissingDependencyError: the model, or its encoder's weights, are not on this machine.
        BadInputError: a model of another head, an unknown style, or an impossible frame rate.
    """
    frame_count(speech.duration, fps)
    trained = _model(STARTER_FILE if model == STARTER else Path(model), head)
    config = trained.model.config
    if config.encoder == PhoneticEncoder.id:
        heard = AudioFeatures(
            phonetic_features(sounds.phones, sounds.mel, sounds.energy),
            PhoneticEncoder.rate,
            PhoneticEncoder.start,
            speech.duration,
            sounds.phones,
        )
    else:
        heard = _encoder(config.encoder, config.encoder_source).encode(speech)
        heard = replace(heard, phones=sounds.phones)
    performance = perform_learned(heard, head, fps, trained, settings=settings, style=style)
    return replace(performance, source_sha256=speech.sha256, warnings=sounds.warnings)


def perform_learned(
    heard: AudioFeatures,
    head: Head,
    fps: float,
    trained: TrainedModel,
    *,
    settings: Articulation | None = None,
    style: Mapping[str, float] | None = None,
    progress: Progress = no_progress,
) -> Performance:
    """The model alone: the performance for a clip that was heard already.

    A model that speaks in the head's own expressions has its weights brought to [0, 1], its lips
    settled and its upper face enlivened; one with a learned basis has learned all that.

    Args:
        heard: by the encoder that the model was trained with.
        head: who speaks.
        fps: frames per second.
        trained: the model.
        settings: as for :func:`predict_learned`.
        style: as for :func:`predict_learned`.
        progress: told how far it is.

    Raises:
        BadInputError: a model of another head or encoder, or an unknown style.
    """
    settings = settings or Articulation()
    config = trained.model.config
    chosen = _style(settings, config.styles) | dict(style or {})
    made = infer(
        trained.model, heard, head, fps, style=chosen, name=trained.name, progress=progress
    )
    if config.learned_basis:
        return made
    if not heard.phones:
        weights = settled(made.weights, head)
    else:
        asked = lip_closure(heard.phones, made.frames, fps, settings)
        tuck = lip_tuck(heard.phones, made.frames, fps, settings)
        weights = settled(tucked(made.weights, head, tuck), head, asked)
        curves = enliven(heard.phones, made.frames, fps, settings)
        weights = np.maximum(weights, on_head(curves, head))
    return replace(made, weights=weights, expression=weights)


def tucked(weights: Float, head: Head, asked: NDArray[np.float64]) -> Float:
    """Expression weights whose lower lip reaches the teeth where an f or v was heard.

    Where the model rolls the lip in, but less far than such a sound needs, it is rolled in all the
    way, and what keeps it from the teeth is let go. A model that hardly rolls it has heard another
    sound than the recogniser, and is believed.

    Args:
        weights: (T, E) of the head's expressions.
        head: without ``mouthRollLower`` nothing changes.
        asked: (T,) how far the sounds that were heard bring the lower lip to the teeth, 0 to 1.
    """
    if "mouthRollLower" not in head.expression_names:
        return weights
    made = weights.copy()
    column = head.expression_index("mouthRollLower")
    rolled = made[:, column]
    meant = smoothstep((rolled.astype(np.float64) - _UNROLLED) / (_ROLLED - _UNROLLED))
    full = (asked * meant).astype(np.float32)
    made[:, column] = np.maximum(rolled, rolled + full * (_UNDER_TEETH - rolled))
    for i, name in enumerate(head.expression_names):
        if name.startswith(_KEEPING):
            made[:, i] *= 1.0 - full * np.float32(_LET_GO)
    return made


def settled(weights: Float, head: Head, asked: NDArray[np.float64] | None = None) -> Float:
    """Expression weights in [0, 1] whose lips touch wherever they nearly do.

    A regression ends a little short of every contact. Where the gap between the inner lips is
    smaller than any sound but a contact leaves, what parts the lips is let go, and ``mouthClose``
    takes the rest to nothing, with a weight that has a closed form because offsets are linear;
    lips that sink into each other are brought back to a touch. Frames are settled one by one, so a
    stream gives the same.

    Args:
        weights: (T, E) of the head's expressions.
        head: without ``mouthClose`` or the landmarks of the inner lips nothing but the range
            changes.
        asked: (T,) how far the sounds that were heard ask for shut lips, 0 to 1.
    """
    weights = np.clip(weights, 0.0, 1.0)
    upper = head.landmarks.get("inner_lip_upper")
    lower = head.landmarks.get("inner_lip_lower")
    if upper is None or lower is None or "mouthClose" not in head.expression_names:
        return weights
    column = head.expression_index("mouthClose")
    opening = head.expression_basis[:, upper, 1] - head.expression_basis[:, lower, 1]
    closing = -opening[column]
    pairs = closing > _LEAST_CLOSING
    if not pairs.any():
        return weights
    widest = (weights @ opening[:, pairs]).max(axis=1).astype(np.float64)
    shut = smoothstep((_PARTED - widest) / (_PARTED - _SHUT))
    if asked is not None:
        nearly = smoothstep((_ASKED_PARTED - widest) / (_ASKED_PARTED - _ASKED_SHUT))
        shut = np.maximum(shut, asked * nearly)
    parting = [i for i, name in enumerate(head.expression_names) if name.startswith(_PARTING)]
    weights[:, parting] *= (1.0 - shut)[:, None].astype(np.float32)
    apart = weights @ opening[:, pairs]
    more = (apart / closing[pairs]).max(axis=1) * shut
    weights[:, column] = np.clip(weights[:, column] + more, 0.0, 1.0)
    return weights


def _style(settings: Articulation, styles: tuple[str, ...]) -> dict[str, float]:
    """What the settings of the rules mean to a model: amplitude 1.5 is articulation 1."""
    if "articulation" not in styles:
        return {}
    amplitude = (settings.jaw + settings.lips) / 2
    return {"articulation": float(np.clip((amplitude - 1.0) / 0.5, -1.0, 1.0))}


_KEPT: dict[Path, tuple[float, Head, TrainedModel]] = {}
"""The model used last, by its file, with the file's age and the head it was loaded for."""


def _model(path: Path, head: Head) -> TrainedModel:
    """The model, kept as long as its file and the head stay the same."""
    changed = path.stat().st_mtime if path.is_file() else 0.0
    kept = _KEPT.get(path)
    if kept is not None and kept[0] == changed and kept[1] is head:
        return kept[2]
    trained = load_model(path, head)
    _KEPT.clear()
    _KEPT[path] = (changed, head, trained)
    return trained


@lru_cache(maxsize=1)
def _encoder(name: str, source: str) -> AudioEncoder:
    return load_encoder(name, source)
