# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's settings applied to a prediction. No bpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.motion.face.blinks import blink_times
from ...engine.motion.face.emotion import AUTOMATIC, emotion_amounts
from ...engine.motion.face.emotion import NEUTRAL as NO_EMOTION
from ...engine.motion.face.head_motion import head_motion
from ...engine.motion.face.layers import with_gaze
from ...engine.motion.face.prosody import Prosody, prosody_of_phones
from ...engine.motion.lip_contact import LipGap
from ...engine.motion.rules.contacts import Contacts, contact_curves, phones_in_silence
from ...engine.motion.rules.pauses import hold_pauses_open
from ...engine.motion.spans import Span, hold_closed, strength_curve
from ...engine.motion.style import NEUTRAL, Style, apply_style
from ...engine.phonemes import Phone
from .prediction import Prediction

Float = NDArray[np.float32]
Double = NDArray[np.float64]

JAW_OPEN, MOUTH_CLOSE = "jawOpen", "mouthClose"

CLOSURE_PREFIXES = ("mouthClose", "mouthPress", "mouthRoll")
"""Expressions that bring the lips together."""

UPPER_FACE_PREFIXES = ("brow", "eye", "cheekSquint", "noseSneer")
"""Expressions above the mouth."""


LIVE_LIMIT = 300_000
"""Key values up to which a moved slider bakes at once; above, the button does."""


@dataclass(frozen=True)
class Adjustments:
    """The settings of a bake; the defaults leave the prediction as it is.

    Attributes:
        strength: factor of everything.
        smoothing: standard deviation of the blur in time, seconds.
        lip_closure: factor of the expressions that bring the lips together.
        upper_face: factor of brows, eyes and nose; where the eyes look is not scaled.
        style: strength of articulation, smile or frown, how closed the mouth rests, gaze, head
            motion, and the emotion that follows the voice.
    """

    strength: float = 1.0
    smoothing: float = 0.0
    lip_closure: float = 1.0
    upper_face: float = 1.0
    style: Style = NEUTRAL


def adjustments(settings: Any) -> Adjustments:
    """The settings of a head (``GAUSSIANSPEECH_PG_speech``) that a bake applies."""
    return Adjustments(
        strength=settings.strength,
        smoothing=settings.smoothing / 1000,
        lip_closure=settings.lip_closure,
        upper_face=settings.upper_face,
        style=Style(
            settings.articulation,
            settings.smile,
            rest=settings.rest,
            seed=settings.seed,
            gaze=settings.gaze,
            head_motion=settings.head_motion,
            emotion=AUTOMATIC if settings.emotion_from_voice else NO_EMOTION,
            emotion_amount=settings.emotion_from_voice,
        ),
    )


@dataclass(frozen=True, eq=False)
class Adjusted:
    """What is baked.

    Attributes:
        values: (T, N) float32 of the keys, within the prediction's ranges.
        head_rotation: (T, 3) float32 rotation vectors, head space, radians.
    """

    values: Float
    head_rotation: Float


def adjusted(
    prediction: Prediction,
    adjustments: Adjustments,
    gap: LipGap | None = None,
    emotions: Double | None = None,
    spans: Sequence[Span] = (),
) -> Adjusted:
    """What to bake.

    The lips never close by more than the jaw opens them, unless the prediction did: beyond that
    they would pass through each other.

    Args:
        prediction: what the engine predicted.
        adjustments: what the artist asks for.
        gap: how the keys part the inner lips; needed where a style is asked for and the lips are to
            meet all the same.
        emotions: (T, 6) amounts over time that the artist asks for, of
            :data:`engine.motion.face.emotion.EMOTIONS`.
        spans: in which the lips are held closed, which needs ``gap``, or a phrase has a strength of
            its own; seconds from the first frame.
    """
    names, style = prediction.names, adjustments.style
    phones = tuple(Phone(*phone) for phone in prediction.phones)
    prosody = _prosody(prediction, phones)
    frames = len(prediction.values)
    amounts = _emotions(style, prosody, frames, prediction.fps, emotions)
    values = prediction.values
    if style.rest < 1 and phones:
        values = hold_pauses_open(values, names, _contacts(prediction, phones), style.rest)
    values = apply_style(values, names, style, gap, amounts)
    values = values.astype(np.float32, copy=True)
    before = values.copy()
    factors = np.ones(len(names), np.float32)
    factors[_starting_with(names, CLOSURE_PREFIXES)] = adjustments.lip_closure
    factors[_starting_with(names, UPPER_FACE_PREFIXES)] = adjustments.upper_face
    values *= factors
    if adjustments.lip_closure > 1 and JAW_OPEN in names and MOUTH_CLOSE in names:
        jaw, close = names.index(JAW_OPEN), names.index(MOUTH_CLOSE)
        most = np.maximum(before[:, jaw], before[:, close])
        values[:, close] = np.minimum(values[:, close], most)
    values *= adjustments.strength
    values *= strength_curve(spans, frames, prediction.fps)[:, None].astype(np.float32)
    if adjustments.smoothing > 0:
        values = smoothed(values, adjustments.smoothing * prediction.fps)
    rotation = prediction.head_rotation + head_motion(
        phones, prosody.accents, frames, prediction.fps, style
    )
    # The engine was not asked for another take of the blinks than the first.
    blinks = blink_times(phones, frames / prediction.fps, NEUTRAL.seed)
    values = hold_closed(values, names, gap, spans, prediction.fps)
    values = with_gaze(values, names, phones, blinks, rotation, prediction.fps, style)
    low, high = prediction.bounds
    return Adjusted(np.clip(values, low, high), rotation)


def _prosody(prediction: Prediction, phones: tuple[Phone, ...]) -> Prosody:
    """That of the prediction; of one that was kept before there was any, what the phones say."""
    return prediction.prosody if prediction.prosody.accents else prosody_of_phones(phones)


def _emotions(
    style: Style, prosody: Prosody, frames: int, fps: float, asked: Double | None
) -> Double | None:
    amounts = emotion_amounts(style.emotion, style.emotion_amount, (), prosody.tones, frames, fps)
    if amounts is None or asked is None:
        return asked if amounts is None else amounts
    return np.minimum(amounts + asked, 1.0)


def _contacts(prediction: Prediction, phones: tuple[Phone, ...]) -> Contacts:
    """The contacts of the sounds that were predicted."""
    frames, fps = len(prediction.values), prediction.fps
    return contact_curves(phones_in_silence(phones, frames / fps), frames, fps, 1.0)


def smoothed(values: Float, sigma: float) -> Float:
    """Blur columns in time with a Gaussian of ``sigma`` frames; the ends hold their value."""
    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    padded = np.pad(values, ((radius, radius), (0, 0)), mode="edge")
    result = np.zeros_like(values)
    for offset, weight in enumerate(kernel):
        result += weight * padded[offset : offset + len(values)]
    return result


def _starting_with(names: tuple[str, ...], prefixes: tuple[str, ...]) -> list[int]:
    return [index for index, name in enumerate(names) if name.startswith(prefixes)]
