# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the lips measure to the ARKit expressions that make it.

Offsets are linear in the weights, so a jaw drop, an opening and a width are solved in closed form
from how far each expression moves the default head's lips. Other heads answer to the same weights
in their own proportions, as characters with ARKit shapes do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...core.arrays import Double  # noqa: TID252

JAW, FUNNEL, UPPER, LOWER = 32.0, 13.1, 5.0, 3.8
"""Millimetres at weight 1 by which jawOpen, mouthFunnel, and both sides of mouthUpperUp and
mouthLowerDown part the inner lips at the middle; mouthClose closes them by as much as the jaw."""
WIDENED = {"jawOpen": -3.7, "mouthFunnel": -4.5, "mouthPucker": -8.7, "mouthClose": 4.2}
"""Millimetres at weight 1 by which they move the mouth corners apart."""
STRETCH, SMILE = 10.5, 14.6
"""The same of both sides of mouthStretch and mouthSmile."""
_STRETCHED = 0.75
"""Part of a spread mouth's width that is stretched; the rest is smiled."""
_LOWERED = 0.52
"""Part of the lips' parting that the lower lip makes."""
_ROUND = 0.8
"""Millimetres within which opposed muscles work together; without, curves would kink."""


class LipShape(NamedTuple):
    """Weights of the expressions that part, round and spread the lips, (T,) each."""

    jaw: Double
    close: Double
    funnel: Double
    pucker: Double
    stretch: Double
    smile: Double
    upper: Double
    lower: Double


def lip_shape(
    opening: Double, jaw: Double, width: Double, protrusion: Double, *, jaws: float, lips: float
) -> Double:
    """The weights with which the default head's lips measure what they should.

    Where the jaw and the flare part the lips less than they should be open, the lips part by
    themselves; where they part them more, mouthClose takes the rest: rounded lips stay small over
    a dropped jaw.

    Args:
        opening: (T,) mm, as :class:`engine.motion.rules.targets.VisemeTarget` has it.
        jaw: (T,) mm.
        width: (T,) mm.
        protrusion: (T,) 0 to 1.
        jaws: the speaker's amplitude of the jaw; at 1 the lips measure the very opening.
        lips: the speaker's amplitude of the lips; at 1 they measure the very width.

    Returns:
        (8, T) in the order of :class:`LipShape`.
    """
    dropped = jaws * jaw / JAW
    funnel = lips * protrusion
    parted, closed = _opposed(opening - jaw - FUNNEL * protrusion)
    # The flare of larger lips opens them no further.
    closed += FUNNEL * np.maximum(funnel - protrusion, 0.0)
    close = np.minimum(jaws * closed / JAW, dropped)
    raised = lips * parted
    wider = sum(
        WIDENED[name] * weight
        for name, weight in (("jawOpen", dropped), ("mouthFunnel", funnel), ("mouthClose", close))
    )
    spread, rounded = _opposed(lips * width - wider)
    shape = LipShape(
        jaw=dropped,
        close=close,
        funnel=funnel,
        pucker=rounded / -WIDENED["mouthPucker"],
        stretch=_STRETCHED * spread / STRETCH,
        smile=(1.0 - _STRETCHED) * spread / SMILE,
        upper=(1.0 - _LOWERED) * raised / UPPER,
        lower=_LOWERED * raised / LOWER,
    )
    return np.array(shape)


def _opposed(x: Double) -> tuple[Double, Double]:
    """Smooth positive and negative parts of x, whose difference is x."""
    size = np.sqrt(x * x + _ROUND * _ROUND)
    return (size + x) / 2, (size - x) / 2
