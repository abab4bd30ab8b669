# SPDX-License-Identifier: GPL-3.0-or-later
"""How the mouth moves and how closed it is in silences: layers over finished expression weights.

numpy alone, for Blender imports this module.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.arrays import Double, Float  # noqa: TID252
from ...phonemes import SILENCE, Phone  # noqa: TID252
from ..arkit import sides  # noqa: TID252
from .coarticulation import ContactIntervals, envelope
from .contacts import BREATH, Contacts
from .lip_shape import LipShape, lip_shape
from .targets import VISEMES

_MOUTH = ("jaw", "mouth", "tongue")
"""What expressions of the mouth begin with."""
_EXPRESSIONS = ("jawOpen", "mouthUpperUp", "mouthLowerDown")


def ease_in_silence(
    weights: Float, names: Sequence[str], phones: Sequence[Phone], contacts: Contacts, fps: float
) -> Float:
    """Predicted weights whose mouth moves in silence no faster than it opens for a breath.

    A model that sees a quarter of a second ahead opens a mouth that rests within one frame, as soon
    as the next sound comes into sight. In silences the mouth is therefore the mean of the frames
    around, by a Hann window as long as a breath takes; half of that before and after sounds it is
    the model's own, and so it is in contacts.

    Args:
        weights: (T, E) of ARKit expressions; those of eyes, brows and cheeks are left as they are.
        names: E names.
        phones: from :func:`engine.motion.rules.contacts.phones_in_silence`.
        contacts: of the phones, at the T frames.
        fps: frames per second.
    """
    mouth = np.array([name.startswith(_MOUTH) for name in names])
    eased = envelope(_silences(phones), len(weights), fps)
    eased *= (1.0 - contacts.closure) * (1.0 - contacts.labiodental)
    if not eased.any():
        return weights
    reach = int(np.ceil(BREATH / 2 * fps)) - 1
    window = 1.0 + np.cos(2 * np.pi * np.arange(-reach, reach + 1) / (BREATH * fps))
    around = np.pad(weights[:, mouth].astype(np.float64), ((reach, reach), (0, 0)), mode="edge")
    frames = np.lib.stride_tricks.sliding_window_view(around, len(window), axis=0)
    result = weights.copy()
    result[:, mouth] += eased[:, None] * (frames @ (window / window.sum()) - weights[:, mouth])
    return result


def _silences(phones: Sequence[Phone]) -> ContactIntervals:
    """Silences but for half a breath at both ends, in which they begin and end."""
    found = []
    for phone in phones:
        edge = min(BREATH / 2, (phone.end - phone.start) / 2)
        if phone.label == SILENCE and edge > 0.0:
            found.append((phone.start + edge, phone.end - edge, edge, edge, 1.0))
    return ContactIntervals(*np.array(found, np.float64).reshape(-1, 5).T)


def rest_in_silence(weights: Float, names: Sequence[str], contacts: Contacts) -> Float:
    """Predicted weights whose mouth comes to rest where nobody speaks, as that of the rules does.

    Args:
        weights: (T, E) of ARKit expressions; those of eyes, brows and cheeks are left as they are.
        names: E names.
        contacts: of the phones that are spoken, at the T frames.
    """
    mouth = np.array([name.startswith(_MOUTH) for name in names])
    active = np.where(mouth, contacts.activity[:, None], 1.0)
    resting: Float = (weights * active).astype(np.float32)
    return resting


def hold_pauses_open(
    weights: Float, names: Sequence[str], contacts: Contacts, rest: Double | float
) -> Float:
    """Weights whose mouth is left half open in silences that would come to rest.

    Sounds and contacts are as they were, and so is everything at rest 1: the very same array.

    Args:
        weights: (T, E) of ARKit expressions; others are left as they are.
        names: E names.
        contacts: of the phones that are spoken, at the T frames.
        rest: 0 leaves the mouth as open as in a short pause, 1 lets the lips touch; also (T,).
    """
    if np.all(np.asarray(rest) == 1.0):
        return weights
    (pause,) = VISEMES[SILENCE]
    measures = {
        name: np.array([getattr(pause, name).value])
        for name in ("opening", "jaw", "width", "protrusion")
    }
    shape = LipShape(*lip_shape(**measures, jaws=1.0, lips=1.0)[:, 0])
    held = (1.0 - rest) * (1.0 - contacts.activity)
    held *= (1.0 - contacts.closure) * (1.0 - contacts.labiodental)
    opened = weights.copy()
    for name, weight in zip(_EXPRESSIONS, (shape.jaw, shape.upper, shape.lower), strict=True):
        for side in sides(name):
            if side in names:
                column = list(names).index(side)
                # What a sound on the way into the silence asks for already counts.
                opened[:, column] = np.minimum(opened[:, column] + held * weight, 1.0)
    return opened
