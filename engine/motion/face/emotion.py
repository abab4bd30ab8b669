# SPDX-License-Identifier: GPL-3.0-or-later
"""Emotion: the basic expressions as ARKit weights, and how much of each there is over time.

The prototypes are those of EMFACS (Ekman and Friesen 1983; Ekman, Friesen and Hager 2002, table
10-2), each action unit (AU) by the ARKit expression that shows it: inner and outer brow raised (AU
1, 2: browInnerUp, browOuterUp), brow lowered (4: browDown), upper lid raised (5: eyeWide), cheek
raised (6: cheekSquint), lids tightened (7: eyeSquint), nose wrinkled (9: noseSneer), upper lip
raised (10: mouthUpperUp), corners pulled (12: mouthSmile) and depressed (15: mouthFrown), lower lip
depressed (16: mouthLowerDown), chin raised (17: mouthShrugLower), lips stretched (20:
mouthStretch), pressed (24: mouthPress), jaw dropped (26: jawOpen). Around the mouth they are weaker
than in a still face, for the mouth speaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...core.arrays import Double, Float
from ..lip_contact import LipGap, labiodental_contact, openness
from .movement import pulses
from .prosody import Tone

NEUTRAL, AUTOMATIC = "neutral", "auto"
PROTOTYPES: dict[str, dict[str, float]] = {
    # AU 6 12
    "joy": {
        "mouthSmile": 0.62,
        "mouthDimple": 0.15,
        "mouthUpperUp": 0.10,
        "cheekSquint": 0.70,
        "eyeSquint": 0.30,
        "browOuterUp": 0.12,
    },
    # AU 4 5 7 10 23 24
    "anger": {
        "browDown": 0.95,
        "eyeSquint": 0.45,
        "eyeWide": 0.20,
        "noseSneer": 0.40,
        "mouthUpperUp": 0.12,
        "mouthFrown": 0.25,
        "mouthPress": 0.35,
        "jawForward": 0.20,
    },
    # AU 1 4 15 17
    "sadness": {
        "browInnerUp": 0.85,
        "browDown": 0.25,
        "mouthFrown": 0.60,
        "mouthShrugLower": 0.25,
        "eyeSquint": 0.20,
        "eyeBlink": 0.08,
        "eyeLookDown": 0.15,
    },
    # AU 1 2 4 5 20 26
    "fear": {
        "browInnerUp": 0.85,
        "browOuterUp": 0.35,
        "browDown": 0.30,
        "eyeWide": 0.85,
        "mouthStretch": 0.50,
        "mouthFrown": 0.12,
        "jawOpen": 0.05,
    },
    # AU 4 7 9 10 15 16 17
    "disgust": {
        "noseSneer": 0.90,
        "mouthUpperUp": 0.35,
        "browDown": 0.45,
        "eyeSquint": 0.45,
        "cheekSquint": 0.35,
        "mouthFrown": 0.30,
        "mouthLowerDown": 0.08,
        "mouthShrugLower": 0.15,
    },
    # AU 1 2 5 26
    "surprise": {
        "browInnerUp": 0.95,
        "browOuterUp": 0.95,
        "eyeWide": 0.75,
        "jawOpen": 0.07,
    },
}
"""Weights of the expressions, both halves of those that ARKit splits, at amount 1."""

EMOTIONS = tuple(PROTOTYPES)
"""The columns of amounts over time."""

_YIELDS = 0.5
"""Part of what an emotion does to the mouth that gives way to a full pucker, as for a smile; to a
lip under the teeth all of it does, the jaw's too."""
_OPENING = ("jawOpen", "mouthLowerDown", "mouthUpperUp")
"""Expressions that part the lips: they come with the opening of the mouth, and leave its closures
alone."""
_PRESSING = ("mouthPress", "mouthShrugLower")
"""Expressions that press the lips together or push them up: they leave an open mouth alone."""
_LOUDEST = 0.55
"""Amount of the automatic emotions at the most: the voice says how excited somebody is, and little
of why."""
_EASES = 0.5
"""Seconds in which an automatic emotion comes and goes."""


class EmotionKey(NamedTuple):
    """How much of each of :data:`EMOTIONS` there is at a time in seconds."""

    time: float
    amounts: tuple[float, ...]


def emotion_amounts(
    emotion: str,
    amount: float,
    keys: Sequence[EmotionKey],
    tones: Sequence[Tone],
    frames: int,
    fps: float,
) -> Double | None:
    """How much of each emotion there is over time.

    Args:
        emotion: one of :data:`EMOTIONS`, ``"neutral"``, or ``"auto"`` for what the voice says.
        amount: of that emotion, 0 to 1.
        keys: more of them, in the order of time; linear between keys, held before the first and
            after the last.
        tones: of the phrases, for ``"auto"``.
        frames: T.
        fps: frames per second.

    Returns:
        (T, 6) float64 in 0 to 1, in the order of :data:`EMOTIONS`; ``None`` where there is nothing.
    """
    amounts = np.zeros((frames, len(EMOTIONS)))
    if emotion == AUTOMATIC:
        amounts += amount * _of_voice(tones, frames, fps)
    elif emotion != NEUTRAL:
        amounts[:, EMOTIONS.index(emotion)] = amount
    if keys:
        seconds = np.arange(frames) / fps
        times = [key.time for key in keys]
        for column, values in enumerate(zip(*(key.amounts for key in keys), strict=True)):
            amounts[:, column] += np.interp(seconds, times, values)
    return np.clip(amounts, 0.0, 1.0) if amounts.any() else None


def _of_voice(tones: Sequence[Tone], frames: int, fps: float) -> Double:
    """(T, 6) what arousal and valence of the phrases speak for.

    By their quadrants in Russell's circumplex (1980): excited and pleasant is joy, excited and
    unpleasant anger, calm and unpleasant sadness; a very excited phrase is half surprise.
    """
    amounts = np.zeros((frames, len(EMOTIONS)))
    for start, end, arousal, valence in tones:
        excited, calm = max(arousal, 0.0), max(-arousal, 0.0)
        pleasant, unpleasant = max(valence, 0.0), max(-valence, 0.0)
        found = {
            "joy": excited * (0.3 + pleasant),
            "anger": excited * unpleasant,
            "sadness": calm * (0.3 + unpleasant),
            "surprise": 0.5 * max(arousal - 0.6, 0.0),
        }
        middle, half = (start + end) / 2, (end - start) / 2
        shape = pulses([middle], [1.0], _EASES, _EASES, frames, fps, hold=half)
        for name, value in found.items():
            amounts[:, EMOTIONS.index(name)] += min(value, 1.0) * shape
    return np.clip(_LOUDEST * amounts, 0.0, _LOUDEST)


def add_emotion(weights: Float, names: Sequence[str], amounts: Double, gap: LipGap | None) -> None:
    """Add emotions to (T, E) weights, in place; what they add stays within 0 to 1.

    Args:
        weights: of ARKit expressions, with the speech in them.
        names: E names; expressions that a head lacks are left out.
        amounts: (T, 6) in the order of :data:`EMOTIONS`.
        gap: of the head's inner lips.
    """
    off_teeth = 1.0 - labiodental_contact(weights, names)
    rounded = np.zeros(len(weights))
    if "mouthPucker" in names:
        rounded = np.clip(weights[:, list(names).index("mouthPucker")], 0.0, 1.0)
    opened = openness(weights, names, gap)
    eyes_open = np.ones(len(weights))
    if "eyeBlinkLeft" in names:
        eyes_open = 1.0 - np.clip(weights[:, list(names).index("eyeBlinkLeft")], 0.0, 1.0)
    for column, name in enumerate(names):
        base = name.removesuffix("Left").removesuffix("Right")
        shares = np.array([prototype.get(base, 0.0) for prototype in PROTOTYPES.values()])
        if not shares.any():
            continue
        added = amounts @ shares
        if base.startswith(("jaw", "mouth")):
            added = added * off_teeth
        if base.startswith("mouth"):
            added = added * (1.0 - _YIELDS * rounded)
        if base in _OPENING:
            added = added * opened
        elif base in _PRESSING:
            added = added * (1.0 - opened)
        elif base.startswith("eye"):
            added = added * eyes_open
        weights[:, column] = np.clip(weights[:, column] + added, 0.0, 1.0)
