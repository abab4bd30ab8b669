# SPDX-License-Identifier: GPL-3.0-or-later
"""The 52 ARKit face expressions, the vocabulary in which the rules speak."""

from __future__ import annotations

ARKIT_NAMES: tuple[str, ...] = (
    "eyeBlinkLeft",
    "eyeLookDownLeft",
    "eyeLookInLeft",
    "eyeLookOutLeft",
    "eyeLookUpLeft",
    "eyeSquintLeft",
    "eyeWideLeft",
    "eyeBlinkRight",
    "eyeLookDownRight",
    "eyeLookInRight",
    "eyeLookOutRight",
    "eyeLookUpRight",
    "eyeSquintRight",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawRight",
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "mouthLeft",
    "mouthRight",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
)
"""Names in Apple's order; the columns of :func:`engine.motion.rules.visemes.articulate`."""

COLUMN: dict[str, int] = {name: column for column, name in enumerate(ARKIT_NAMES)}
"""Column of each name."""


def sides(name: str) -> tuple[str, ...]:
    """The expression itself, or its left and right halves where ARKit splits it.

    Raises:
        KeyError: no such ARKit expression.
    """
    if name in COLUMN:
        return (name,)
    pair = (f"{name}Left", f"{name}Right")
    if pair[0] not in COLUMN:
        raise KeyError(name)
    return pair
