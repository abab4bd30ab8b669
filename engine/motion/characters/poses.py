# SPDX-License-Identifier: GPL-3.0-or-later
"""What the shapes of characters stand for, as weights of ARKit expressions.

Visemes are those of Oculus and of the MPEG-4 set they come from: the mouth as an artist models it
for that sound, spoken clearly by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..arkit import ARKIT_NAMES

Weights = Mapping[str, float]

SIDES = ("Left", "Right")


def _both(**amounts: float) -> dict[str, float]:
    """Weights by name; an expression that ARKit splits is given once, for both sides."""
    weights: dict[str, float] = {}
    for name, amount in amounts.items():
        if name in SPLIT:
            weights |= {name + side: amount for side in SIDES}
        else:
            weights[name] = amount
    return weights


SPLIT = frozenset({
    "browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut",
    "eyeLookUp", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown", "mouthLowerDown",
    "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer",
})  # fmt: skip
"""The ARKit expressions that have a left and a right half."""

VISEMES: dict[str, Weights] = {
    "PP": _both(jawOpen=0.04, mouthClose=0.04, mouthPress=0.35, mouthRollLower=0.12),
    "FF": _both(jawOpen=0.08, mouthRollLower=0.70, mouthUpperUp=0.20),
    "TH": _both(jawOpen=0.16, tongueOut=0.35, mouthLowerDown=0.25, mouthUpperUp=0.12),
    "DD": _both(jawOpen=0.16, mouthLowerDown=0.28, mouthUpperUp=0.16),
    "kk": _both(jawOpen=0.22, mouthLowerDown=0.20, mouthUpperUp=0.12),
    "CH": _both(jawOpen=0.12, mouthFunnel=0.55, mouthPucker=0.20, mouthLowerDown=0.12),
    "SS": _both(jawOpen=0.06, mouthStretch=0.28, mouthLowerDown=0.36, mouthUpperUp=0.26),
    "nn": _both(jawOpen=0.14, mouthLowerDown=0.24, mouthUpperUp=0.10),
    "RR": _both(jawOpen=0.16, mouthFunnel=0.30, mouthPucker=0.30),
    "aa": _both(jawOpen=0.50, mouthLowerDown=0.20, mouthUpperUp=0.16),
    "E": _both(jawOpen=0.28, mouthStretch=0.25, mouthSmile=0.15, mouthLowerDown=0.25),
    "ih": _both(
        jawOpen=0.14, mouthStretch=0.38, mouthSmile=0.26, mouthLowerDown=0.28, mouthUpperUp=0.24
    ),
    "oh": _both(jawOpen=0.32, mouthFunnel=0.45, mouthPucker=0.25),
    "ou": _both(jawOpen=0.10, mouthFunnel=0.15, mouthPucker=0.85),
}
"""The visemes by Oculus' names."""

POSES: dict[str, Weights] = VISEMES | {
    "blink": _both(eyeBlink=1.0),
    "blink left": {"eyeBlinkLeft": 1.0},
    "blink right": {"eyeBlinkRight": 1.0},
    "brows up": _both(browInnerUp=1.0, browOuterUp=1.0),
    "brows down": _both(browDown=1.0),
    "smile": _both(mouthSmile=0.8),
    "lips apart": _both(mouthLowerDown=0.5, mouthUpperUp=0.4),
    "tongue out": {"tongueOut": 1.0},
}
"""What a shape that is no ARKit expression can stand for."""


def pose(name: str) -> Weights:
    """The ARKit weights of a pose, of an ARKit expression, or of one that ARKit splits.

    Raises:
        KeyError: there is none of that name.
    """
    if name in POSES:
        return POSES[name]
    if name in ARKIT_NAMES or name in SPLIT:
        return _both(**{name: 1.0})
    raise KeyError(name)


def pose_names() -> tuple[str, ...]:
    """All that :func:`pose` knows: poses, then expressions."""
    return (*POSES, *ARKIT_NAMES, *sorted(SPLIT))
