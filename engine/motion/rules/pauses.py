# SPDX-License-Identifier: GPL-3.0-or-later
"""How closed the mouth is in long silences: a layer over finished expression weights.

numpy alone, for Blender imports this module.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...phonemes import SILENCE  # noqa: TID252
from ..arkit import sides  # noqa: TID252
from ..lip_contact import Double, Float  # noqa: TID252
from .contacts import Contacts
from .lip_shape import LipShape, lip_shape
from .targets import VISEMES

_MOUTH = ("jaw", "mouth", "tongue")
"""What expressions of the mouth begin with."""
_EXPRESSIONS = ("jawOpen", "mouthUpperUp", "mouthLowerDown")


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
