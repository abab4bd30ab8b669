# SPDX-License-Identifier: GPL-3.0-or-later
"""Style: how a performance is spoken, in one vocabulary for the rules, the models and Blender.

Articulation and smile are a layer over the finished expression weights, the same for every speech
model: nothing is recognised or predicted again. Contacts survive it. Weights that close the lips
are scaled together, and offsets are linear, so closed lips stay closed; a lip under the teeth is
left where it is; and what a smile pulls apart or pushes together, ``mouthClose`` brings back to a
touch (:mod:`engine.motion.lip_contact`).

numpy alone, for Blender imports this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..core.arrays import Double, Float  # noqa: TID252

# Inside Blender the package round these has a name of Blender's choosing.
from ..core.errors import BadInputError  # noqa: TID252
from .face.emotion import AUTOMATIC, EMOTIONS, EmotionKey, add_emotion
from .face.emotion import NEUTRAL as NO_EMOTION
from .lip_contact import LipGap, keep_lip_contact, labiodental_contact

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
_SPEAKING = ("jaw", "mouth", "tongue")
"""What expressions that articulate begin with."""
_WITH_JAW = ("jaw", "mouthClose")
"""What expressions begin with that the amplitude of the jaw scales: where it parts the lips less,
less closes them."""
_LIPS, _CLOSING = ("mouth",), ("mouthClose", "mouthPress", "mouthRoll")
"""What expressions begin with that the amplitude of the lips scales, but for those that close
them."""

INPUT_AMPLITUDE = 0.5
"""Amplitude that the input ``articulation`` of a speech model adds at 1 and takes away at −1."""


@dataclass(frozen=True)
class Style:
    """How a performance is spoken; the defaults are an ordinary speaker and change nothing.

    Attributes:
        articulation: amplitude of jaw, lips and tongue, 0 to 2; 0 is still, 2 twice as much.
        smile: −1 frowns, 1 smiles; cheeks, eyes and brows go along.
        upper_face: amount of blinks and brow movement, 0 to 3; 0 switches them off.
        seed: of blinks, brows, gaze and head; the same speech and seed give the same performance.
        jaw: the speaker's amplitude of the jaw, 0 to 3; 0 speaks with shut teeth. Closures stay
            closed at any amplitude.
        lips: the speaker's amplitude of rounding, spreading and lip raising, 0 to 3. A model takes
            the mean of ``jaw`` and ``lips`` where it has an input for it.
        anticipation: of the rules, 0.2 to 3: how early and how widely sounds colour their
            neighbours; lower is crisper.
        emphasis: of the rules, 0 to 3: how much further loud sounds open the mouth than soft ones.
        press: of the rules, 0 to 3: force with which the lips meet in p, b and m.
        gaze: amount of fixations and looks away, 0 to 2; 0 leaves the eyes still, 1 is an ordinary
            speaker.
        gaze_target: degrees to the head's left and up at which who is spoken to, or the camera,
            stands.
        head_motion: amount of nods, posture and sway of the head, 0 to 2; 0 is still.
        emotion: one of :data:`engine.motion.face.emotion.EMOTIONS`, ``"neutral"``, or ``"auto"``
            for what the voice says.
        emotion_amount: of that emotion, 0 to 1.
        emotion_keys: more emotion, over time.
        rest: how closed the mouth is in long silences, 0 to 1: half open at 0, lips touching at 1.
    """

    articulation: float = 1.0
    smile: float = 0.0
    upper_face: float = 1.0
    seed: int = 0
    jaw: float = 1.0
    lips: float = 1.0
    anticipation: float = 1.0
    emphasis: float = 1.0
    press: float = 1.0
    gaze: float = 0.0
    gaze_target: tuple[float, float] = (0.0, 0.0)
    head_motion: float = 0.0
    emotion: str = NO_EMOTION
    emotion_amount: float = 1.0
    emotion_keys: tuple[EmotionKey, ...] = ()
    rest: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadInputError: names the value.
        """
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadInputError(
                    f"The style's {name} is {value:g}.",
                    f"Choose a value from {low:g} to {high:g}.",
                )
        if not all(-_TARGET <= angle <= _TARGET for angle in self.gaze_target):
            raise BadInputError(
                f"The gaze target is {self.gaze_target}.",
                f"Choose two angles from -{_TARGET:g} to {_TARGET:g} degrees.",
            )
        known = (NO_EMOTION, *EMOTIONS, AUTOMATIC)
        if self.emotion not in known:
            raise BadInputError(
                f"The emotion {self.emotion!r} is unknown.", f"Choose one of {', '.join(known)}."
            )


_RANGES = {
    "articulation": (0.0, 2.0),
    "smile": (-1.0, 1.0),
    "upper_face": (0.0, 3.0),
    "jaw": (0.0, 3.0),
    "lips": (0.0, 3.0),
    "anticipation": (0.2, 3.0),
    "emphasis": (0.0, 3.0),
    "press": (0.0, 3.0),
    "seed": (0, 2**32 - 1),
    "gaze": (0.0, 2.0),
    "head_motion": (0.0, 2.0),
    "emotion_amount": (0.0, 1.0),
    "rest": (0.0, 1.0),
}

_TARGET = 90.0
"""Degrees of the furthest gaze target; eyes turn by about 30."""

NEUTRAL = Style()


def model_inputs(style: Style, names: Sequence[str]) -> dict[str, float]:
    """The values of a speech model's own inputs, −1 to 1, where it has one for the speaker.

    Args:
        style: of the performance.
        names: inputs of the model.
    """
    if "articulation" not in names:
        return {}
    amplitude = (style.jaw + style.lips) / 2
    return {"articulation": float(np.clip((amplitude - 1.0) / INPUT_AMPLITUDE, -1.0, 1.0))}


def apply_style(
    weights: Float,
    names: Sequence[str],
    style: Style,
    gap: LipGap | None,
    emotions: Double | None = None,
) -> Float:
    """Expression weights with the articulation and smile of a style, and emotions.

    Args:
        weights: (T, E) of ARKit expressions; others are left as they are. The very same array
            comes back where the style asks for neither.
        names: E names.
        style: what is asked for.
        gap: of the head's inner lips, ``None`` where it has no such landmarks.
        emotions: (T, 6) amounts over time, of :data:`engine.motion.face.emotion.EMOTIONS`; the
            style's own amount of emotion is not looked at.

    Returns:
        (T, E) float32; what the style moves is in [0, 1].
    """
    return shape_mouth(weights, names, Shaping(style.articulation, style.smile), gap, emotions)


class Shaping(NamedTuple):
    """How finished expression weights are changed; each a number, or (T,) over time.

    Attributes:
        articulation: amplitude of jaw, lips and tongue.
        smile: −1 frowns, 1 smiles.
        jaw: amplitude of the jaw alone; what closes the lips goes along.
        lips: amplitude of rounding, spreading and raising.
    """

    articulation: Double | float = 1.0
    smile: Double | float = 0.0
    jaw: Double | float = 1.0
    lips: Double | float = 1.0


def shape_mouth(
    weights: Float,
    names: Sequence[str],
    shaping: Shaping,
    gap: LipGap | None,
    emotions: Double | None = None,
) -> Float:
    """Expression weights with articulation, smile and emotions.

    Args:
        weights: (T, E) of ARKit expressions; others are left as they are. The very same array
            comes back where nothing is asked for.
        names: E names.
        shaping: what is asked for.
        gap: of the head's inner lips, ``None`` where it has no such landmarks.
        emotions: (T, 6) amounts over time, of :data:`engine.motion.face.emotion.EMOTIONS`.

    Returns:
        (T, E) float32; what is moved is in [0, 1].
    """
    asked = [
        np.any(np.asarray(amount) != usual)
        for amount, usual in zip(shaping, Shaping(), strict=True)
    ]
    if not any(asked) and emotions is None:
        return weights
    styled = weights.astype(np.float32, copy=True)
    amplitudes = (
        (shaping.articulation, _columns(names, _SPEAKING)),
        (shaping.jaw, _columns(names, _WITH_JAW)),
        (shaping.lips, _columns(names, _LIPS, but=_CLOSING)),
    )
    contact = labiodental_contact(weights, names)
    for amplitude, columns in amplitudes:
        if np.any(np.asarray(amplitude) != 1.0):
            _scale(styled, columns, amplitude, contact)
    if np.any(shaping.smile):
        _smile(styled, names, shaping.smile)
    if emotions is not None:
        add_emotion(styled, names, emotions, gap)
    return styled if gap is None else keep_lip_contact(styled, weights, gap)


def _columns(names: Sequence[str], starts: tuple[str, ...], but: tuple[str, ...] = ()) -> list[int]:
    found = [i for i, name in enumerate(names) if name.startswith(starts)]
    return [i for i in found if not (but and names[i].startswith(but))]


def _scale(
    weights: Float, columns: Sequence[int], amplitude: Double | float, contact: Double
) -> None:
    """Scale columns in place, but for what (T,) ``contact`` of lip and teeth leaves as it is."""
    factor = (amplitude + (1.0 - amplitude) * contact).astype(np.float32)
    scaled = weights[:, columns] * factor[:, None]
    # Other bases than ARKit's go beyond 1; what was within stays within.
    weights[:, columns] = np.where(weights[:, columns] <= 1.0, np.minimum(scaled, 1.0), scaled)


def _smile(weights: Float, names: Sequence[str], smile: Double | float) -> None:
    free = np.ones(len(weights), np.float32)
    if "mouthPucker" in names:
        free -= _YIELDS * np.clip(weights[:, list(names).index("mouthPucker")], 0.0, 1.0)
    free *= (1.0 - _YIELDS_TO_TEETH * labiodental_contact(weights, names)).astype(np.float32)
    for amounts, part in ((_SMILE, np.maximum(smile, 0.0)), (_FROWN, np.maximum(-smile, 0.0))):
        for column, name in enumerate(names):
            amount = amounts.get(name.removesuffix("Left").removesuffix("Right"))
            if amount is None or not np.any(part):
                continue
            added = part * amount * (free if name.startswith("mouth") else np.float32(1.0))
            weights[:, column] = np.clip(weights[:, column] + added, 0.0, 1.0)
