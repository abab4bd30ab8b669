# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.motion.rules.lip_shape import (
    FUNNEL,
    JAW,
    LOWER,
    SMILE,
    STRETCH,
    UPPER,
    WIDENED,
    LipShape,
    lip_shape,
)
from engine.motion.rules.targets import NEUTRAL_WIDTH, VISEMES

NAMES = {
    "jaw": ("jawOpen",),
    "close": ("mouthClose",),
    "funnel": ("mouthFunnel",),
    "pucker": ("mouthPucker",),
    "stretch": ("mouthStretchLeft", "mouthStretchRight"),
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "upper": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "lower": ("mouthLowerDownLeft", "mouthLowerDownRight"),
}
TRACT = ("opening", "jaw", "width", "protrusion")


def measured(head, shape):
    """Opening and width in millimetres, at the middle of the lips and between the corners."""
    offsets = np.zeros(head.template.shape)
    for field, weight in zip(LipShape._fields, shape, strict=True):
        for name in NAMES[field]:
            offsets += weight * head.expression_basis[head.expression_index(name)]
    moved = (head.template + offsets) * 1000.0
    upper, lower = head.landmarks["inner_lip_upper"], head.landmarks["inner_lip_lower"]
    right, left = moved[head.landmarks["mouth_corners"]]
    middle = len(upper) // 2
    return moved[upper[middle], 1] - moved[lower[middle], 1], float(np.linalg.norm(left - right))


def shaped(*tract, jaws=1.0, lips=1.0):
    columns = [np.array([value]) for value in tract]
    return LipShape(*lip_shape(*columns, jaws=jaws, lips=lips)[:, 0])


def test_the_expressions_move_the_default_heads_lips_as_far_as_is_said(head):
    for parting, field in ((JAW, "jaw"), (FUNNEL, "funnel"), (UPPER, "upper"), (LOWER, "lower")):
        one = LipShape(**dict.fromkeys(LipShape._fields, 0.0) | {field: 1.0})
        assert measured(head, one)[0] == pytest.approx(parting, abs=0.1)
    widened = {"jaw": WIDENED["jawOpen"], "funnel": WIDENED["mouthFunnel"], "smile": SMILE}
    widened |= {
        "pucker": WIDENED["mouthPucker"],
        "stretch": STRETCH,
        "close": WIDENED["mouthClose"],
    }
    for field, change in widened.items():
        # Small, for the corners turn as they move apart.
        one = LipShape(**dict.fromkeys(LipShape._fields, 0.0) | {field: 0.1})
        change_seen = (measured(head, one)[1] - NEUTRAL_WIDTH) / 0.1
        assert change_seen == pytest.approx(change, abs=1.0)


def test_every_viseme_measures_what_its_target_says(head):
    for label, mouths in VISEMES.items():
        for mouth in mouths:
            tract = [getattr(mouth, name).value for name in TRACT]
            shape = shaped(*tract)
            assert all(-1e-9 <= weight <= 1 for weight in shape), label
            opening, width = measured(head, shape)
            assert opening == pytest.approx(mouth.opening.value, abs=0.4), label
            assert width - NEUTRAL_WIDTH == pytest.approx(mouth.width.value, abs=0.7), label


@given(
    st.floats(0, 16), st.floats(0, 12), st.floats(-9, 9), st.floats(0, 0.6),
    st.floats(0, 3), st.floats(0, 3),
)  # fmt: skip
@settings(deadline=None)
def test_lips_never_pass_through_each_other(head, opening, jaw, width, protrusion, jaws, lips):
    shape = shaped(opening, jaw, width, protrusion, jaws=jaws, lips=lips)
    assert measured(head, shape)[0] > -0.01
    assert shape.close <= shape.jaw + 1e-12


def test_rounded_lips_stay_small_over_a_dropped_jaw(head):
    shape = shaped(3.0, 6.0, -6.0, 0.2)
    assert shape.close > 0
    assert measured(head, shape)[0] == pytest.approx(3.0, abs=0.3)


def test_the_jaws_amplitude_moves_the_jaw_and_the_lips_amplitude_the_lips():
    jaw, lips = shaped(10.0, 6.0, 4.0, 0.0, jaws=2.0), shaped(10.0, 6.0, 4.0, 0.0, lips=2.0)
    plain = shaped(10.0, 6.0, 4.0, 0.0)
    assert jaw.jaw == pytest.approx(2 * plain.jaw)
    assert jaw.lower == pytest.approx(plain.lower)
    assert lips.jaw == pytest.approx(plain.jaw)
    assert lips.lower == pytest.approx(2 * plain.lower)
    assert lips.stretch > 1.5 * plain.stretch
