# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist asks of a finished performance: stronger or weaker, with a smile or a frown.

A layer over the expression weights, the same for every speech model, on the command line and in
Blender: nothing is heard or predicted again. Contacts survive it. Weights that shut the lips are
scaled together, and offsets are linear, so shut lips stay shut; a lip tucked under the teeth is
left where it is; and what a smile pulls apart or pushes together, ``mouthClose`` brings back to a
touch, with a weight that has a closed form.

numpy alone, for Blender imports this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Inside Blender the package round these has a name of Blender's choosing.
from ..core.errors import BadInputError  # noqa: TID252

Float = NDArray[np.float32]

_SMILE = {
    "mouthSmile": 0.60,
    "mouthDimple": 0.15,
    "cheekSquint": 0.45,
    "eyeSquint": 0.22,
}
_FROWN = {
    "mouthFrown": 0.60,
    "mouthShrugLower": 0.12,
    "browInnerUp": 0.30,
    "browDown": 0.12,
}
"""Weights added at smile 1 and −1."""

_YIELDS, _YIELDS_TO_TEETH = 0.5, 0.75
"""Part of a smile that gives way to a full pucker, and to a lip under the teeth: nobody grins in
the middle of a w, and a smile draws the lip away from the teeth of an f."""
_TUCKED = (0.20, 0.60)
"""Weights of ``mouthRollLower`` from which the lip begins to be, and is, under the teeth."""
_SHUT, _PARTED = 0.0003, 0.0015
"""Metres of gap up to which lips are shut, and from which they are left alone."""
_LEAST_CLOSING = 0.002
"""Metres by which mouthClose must close a part of the slit to have a say there."""
_SPEAKING = ("jaw", "mouth", "tongue")
"""What expressions that articulate begin with."""


@dataclass(frozen=True)
class Style:
    """What an artist asks for; the defaults change nothing.

    Attributes:
        articulation: amplitude of jaw, lips and tongue; 0 is still, 2 twice as much.
        smile: 1 smiles, −1 frowns; cheeks, eyes and brows go along.
    """

    articulation: float = 1.0
    smile: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadInputError: names the value.
        """
        for name, low, high in (("articulation", 0.0, 2.0), ("smile", -1.0, 1.0)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadInputError(
                    f"The style's {name} is {value:g}.",
                    f"Choose a value from {low:g} to {high:g}.",
                )


NEUTRAL = Style()


def styled(weights: Float, names: Sequence[str], style: Style, parting: Float) -> Float:
    """Expression weights in a style.

    Args:
        weights: (T, E) of ARKit expressions; others are left as they are. The very same array
            comes back where the style is the default.
        names: E names.
        style: what is asked for.
        parting: (E, P) metres by which each expression parts the pairs of the inner lips, from
            :func:`lip_parting`; P may be 0 where a head has no such landmarks.

    Returns:
        (T, E) float32; what the style moves is in [0, 1].
    """
    if style == NEUTRAL:
        return weights
    made = weights.astype(np.float32, copy=True)
    if style.articulation != 1.0:
        _scale(made, names, style.articulation)
    if style.smile:
        _smile(made, names, style.smile)
    return _settled(made, weights, names, parting)


def lip_parting(offsets: Float, upper: Sequence[int], lower: Sequence[int]) -> Float:
    """(E, P) metres by which each expression parts the pairs of the inner lips.

    Args:
        offsets: (E, V, 3) of each expression, head space, metres.
        upper: P vertices of the upper inner lip.
        lower: P vertices of the lower inner lip, opposite.
    """
    chosen: Float = offsets[:, list(upper), 1] - offsets[:, list(lower), 1]
    return chosen


def _scale(weights: Float, names: Sequence[str], amplitude: float) -> None:
    tucked = _tucked(weights, names)
    factor = (amplitude + (1.0 - amplitude) * tucked).astype(np.float32)
    columns = [i for i, name in enumerate(names) if name.startswith(_SPEAKING)]
    scaled = weights[:, columns] * factor[:, None]
    # Other bases than ARKit's go beyond 1; what was within stays within.
    weights[:, columns] = np.where(weights[:, columns] <= 1.0, np.minimum(scaled, 1.0), scaled)


def _tucked(weights: Float, names: Sequence[str]) -> NDArray[np.float64]:
    """(T,) how far the lower lip is under the teeth, 0 to 1."""
    if "mouthRollLower" not in names:
        return np.zeros(len(weights))
    low, high = _TUCKED
    rolled = weights[:, list(names).index("mouthRollLower")].astype(np.float64)
    return _smooth((rolled - low) / (high - low))


def _smile(weights: Float, names: Sequence[str], smile: float) -> None:
    amounts = _SMILE if smile > 0 else _FROWN
    free = np.ones(len(weights), np.float32)
    if "mouthPucker" in names:
        free -= _YIELDS * np.clip(weights[:, list(names).index("mouthPucker")], 0.0, 1.0)
    free *= (1.0 - _YIELDS_TO_TEETH * _tucked(weights, names)).astype(np.float32)
    for column, name in enumerate(names):
        amount = amounts.get(name.removesuffix("Left").removesuffix("Right"))
        if amount is None:
            continue
        added = abs(smile) * amount * (free if name.startswith("mouth") else np.float32(1.0))
        weights[:, column] = np.clip(weights[:, column] + added, 0.0, 1.0)


def _settled(made: Float, before: Float, names: Sequence[str], parting: Float) -> Float:
    """Lips that touched before touch again."""
    if "mouthClose" not in names or parting.shape[1] == 0:
        return made
    column = list(names).index("mouthClose")
    closing = -parting[column]
    pairs = closing > _LEAST_CLOSING
    if not pairs.any():
        return made
    parting = parting[:, pairs]
    was = (before @ parting).max(axis=1).astype(np.float64)
    shut = _smooth((_PARTED - was) / (_PARTED - _SHUT))
    apart = made @ parting - np.maximum(was, 0.0)[:, None]
    more = (apart / closing[pairs]).max(axis=1) * shut
    made[:, column] = np.clip(made[:, column] + more, 0.0, 1.0)
    return made


def _smooth(part: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 below 0, 1 above 1, without a kink between."""
    inside = np.clip(part, 0.0, 1.0)
    eased: NDArray[np.float64] = inside * inside * (3.0 - 2.0 * inside)
    return eased
