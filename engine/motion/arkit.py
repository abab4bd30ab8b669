# SPDX-License-Identifier: GPL-3.0-or-later
"""The 52 ARKit face expressions, in which the rules articulate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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


def to_head_weights(
    curves: NDArray[np.float32], expression_names: Sequence[str]
) -> NDArray[np.float32]:
    """ARKit curves as weights of a head's expressions; those that it lacks are left out.

    A head without ``mouthClose`` shuts its lips with the jaw.

    Args:
        curves: (T, 52) columns as :data:`ARKIT_NAMES`.
        expression_names: E names of the head's expressions.

    Returns:
        (T, E) float32; expressions without an ARKit name stay 0.
    """
    weights = np.zeros((len(curves), len(expression_names)), np.float32)
    for column, name in enumerate(expression_names):
        if name in COLUMN:
            weights[:, column] = curves[:, COLUMN[name]]
    if "jawOpen" in expression_names and "mouthClose" not in expression_names:
        parted = curves[:, COLUMN["jawOpen"]] - curves[:, COLUMN["mouthClose"]]
        weights[:, list(expression_names).index("jawOpen")] = np.maximum(parted, 0.0)
    return weights
