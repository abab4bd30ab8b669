# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.heads import load_head
from engine.motion.arkit import ARKIT_NAMES, COLUMN, sides
from engine.motion.lip_contact import sealed
from engine.motion.predict import on_head


@pytest.fixture(scope="module")
def head():
    return load_head("default")


def face(**weights):
    curves = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    for name, weight in weights.items():
        for side in sides(name):
            curves[0, COLUMN[side]] = weight
    return curves


def apart(head, curves):
    """(P,) millimetres between the inner lips of one frame."""
    moved = head.deform(on_head(curves, head))[0] * 1000
    upper, lower = head.landmarks["inner_lip_upper"], head.landmarks["inner_lip_lower"]
    return moved[upper, 1] - moved[lower, 1]


@given(st.floats(0.06, 0.5), st.floats(0, 0.4), st.floats(0, 0.3), st.floats(0, 0.2))
@settings(deadline=None)
def test_lips_just_touch_whatever_else_the_face_does(head, jaw, pucker, smile, press):
    curves = face(
        jawOpen=jaw, mouthClose=jaw, mouthPucker=pucker, mouthSmile=smile, mouthPress=press
    )
    assert apart(head, sealed(curves, np.ones(1), head)).max() == pytest.approx(0.0, abs=1e-2)


def test_an_open_mouth_is_left_alone(head):
    curves = face(jawOpen=0.4, mouthPucker=0.3)
    assert np.array_equal(sealed(curves, np.zeros(1), head), curves)


def test_a_head_without_landmarks_or_without_mouth_close_is_left_alone(head):
    curves = face(jawOpen=0.4, mouthClose=0.4, mouthPucker=0.3)
    names = tuple("x" if n == "mouthClose" else n for n in head.expression_names)
    for other in (replace(head, landmarks={}), replace(head, expression_names=names)):
        assert np.array_equal(sealed(curves, np.ones(1), other), curves)


def test_the_given_curves_are_not_changed(head):
    curves = face(jawOpen=0.4, mouthClose=0.4, mouthPucker=0.3)
    before = curves.copy()
    sealed(curves, np.ones(1), head)
    assert np.array_equal(curves, before)
