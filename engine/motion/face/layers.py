# SPDX-License-Identifier: GPL-3.0-or-later
"""All layers of face and head over the weights of a speaking mouth, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...core.arrays import Double, Float
from ...phonemes import Phone
from ..lip_contact import LipGap
from ..style import Style, apply_style
from .blinks import blink_times, lids
from .brows import brow_raises
from .emotion import emotion_amounts
from .gaze import add_gaze, look
from .head_motion import head_motion
from .prosody import Prosody

_RAISED = {"browInnerUp": 0.22, "browOuterUpLeft": 0.13, "browOuterUpRight": 0.13}
"""Weights of a full brow raise."""


class Face(NamedTuple):
    """What face and head do.

    Attributes:
        weights: (T, E) float32 of the head's expressions.
        head_rotation: (T, 3) float32 rotation vectors in head space, radians.
    """

    weights: Float
    head_rotation: Float


def animate_face(
    weights: Float,
    names: Sequence[str],
    phones: Sequence[Phone],
    prosody: Prosody,
    fps: float,
    style: Style,
    gap: LipGap | None,
) -> Face:
    """Blinks, brows, articulation and smile, emotion, head motion and gaze.

    Each layer that the style leaves off changes not a bit. The lips meet wherever they met before.

    Args:
        weights: (T, E) of a head whose mouth speaks.
        names: E names; what a head lacks is left out.
        phones: spoken sounds with times.
        prosody: of the same recording.
        fps: frames per second.
        style: amounts and seed.
        gap: of the head's inner lips.
    """
    frames = len(weights)
    weights = add_blinks_and_brows(weights, names, phones, prosody, fps, style)
    emotions = emotion_amounts(
        style.emotion, style.emotion_amount, style.emotion_keys, prosody.tones, frames, fps
    )
    weights = apply_style(weights, names, style, gap, emotions)
    rotation = head_motion(phones, prosody.accents, frames, fps, style)
    blinks = blink_times(phones, frames / fps, style.seed)
    return Face(with_gaze(weights, names, phones, blinks, rotation, fps, style), rotation)


def add_blinks_and_brows(
    weights: Float,
    names: Sequence[str],
    phones: Sequence[Phone],
    prosody: Prosody,
    fps: float,
    style: Style,
) -> Float:
    """Weights with blinks, and brows raised on stressed words, laid over them by the maximum.

    Args:
        weights: (T, E) of a head's expressions.
        names: E names; those without lids or brows are left as they are.
        phones: spoken sounds with times.
        prosody: of the same recording.
        fps: frames per second.
        style: amount and seed; at ``upper_face`` 0 nothing is added.

    Returns:
        (T, E) float32.
    """
    if style.upper_face == 0:
        return weights
    frames = len(weights)
    shut = lids(blink_times(phones, frames / fps, style.seed), frames, fps)
    raised = style.upper_face * brow_raises(prosody.accents, frames, fps, style.seed)
    result = weights.copy()
    for column, name in enumerate(names):
        if name.startswith("eyeBlink"):
            layer = min(style.upper_face, 1.0) * shut
        elif name in _RAISED:
            layer = np.clip(_RAISED[name] * raised, 0.0, 1.0)
        else:
            continue
        result[:, column] = np.maximum(result[:, column], layer)
    return result


def with_gaze(
    weights: Float,
    names: Sequence[str],
    phones: Sequence[Phone],
    blinks: Sequence[float],
    head_rotation: Float,
    fps: float,
    style: Style,
    amount: Double | float | None = None,
) -> Float:
    """Weights with the gaze of a style; the very same array where it asks for none.

    Args:
        weights: (T, E) of a head's expressions.
        names: E names.
        phones: spoken sounds with times.
        blinks: seconds of the blinks that are in the weights.
        head_rotation: (T, 3) of the head, rotation vectors, radians.
        fps: frames per second.
        style: amount, target and seed.
        amount: instead of the style's; also (T,).
    """
    amount = style.gaze if amount is None else amount
    if not np.any(amount):
        return weights
    gaze = look(phones, blinks, head_rotation, fps, style, amount)
    return add_gaze(weights, names, gaze, lids(gaze.blinks, len(weights), fps))
