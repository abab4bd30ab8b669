# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.motion.arkit import ARKIT_NAMES, COLUMN, sides, to_head_weights
from engine.motion.lip_contact import (
    LABIODENTAL_JAW,
    LABIODENTAL_ROLL,
    apply_labiodental_contact,
    close_lips,
    fit_mouth_close,
    keep_lip_contact,
    lip_gap,
)
from engine.motion.retargeting import arkit_gap


def face(**weights):
    curves = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    for name, weight in weights.items():
        for side in sides(name):
            curves[0, COLUMN[side]] = weight
    return curves


def apart(head, curves):
    """(P,) millimetres between the inner lips of one frame."""
    moved = head.deform(to_head_weights(curves, head.expression_names))[0] * 1000
    upper, lower = head.landmarks["inner_lip_upper"], head.landmarks["inner_lip_lower"]
    return moved[upper, 1] - moved[lower, 1]


@given(st.floats(0.06, 0.5), st.floats(0, 0.4), st.floats(0, 0.3), st.floats(0, 0.2))
@settings(deadline=None)
def test_lips_just_touch_whatever_else_the_face_does(head, jaw, pucker, smile, press):
    curves = face(
        jawOpen=jaw, mouthClose=jaw, mouthPucker=pucker, mouthSmile=smile, mouthPress=press
    )
    assert apart(head, fit_mouth_close(curves, arkit_gap(head), np.ones(1))).max() == pytest.approx(
        0.0, abs=1e-2
    )


def test_an_open_mouth_is_left_alone(head):
    curves = face(jawOpen=0.4, mouthPucker=0.3)
    assert np.array_equal(fit_mouth_close(curves, arkit_gap(head), np.zeros(1)), curves)


def test_a_head_without_landmarks_or_without_mouth_close_is_left_alone(head):
    curves = face(jawOpen=0.4, mouthClose=0.4, mouthPucker=0.3)
    names = tuple("x" if n == "mouthClose" else n for n in head.expression_names)
    for other in (replace(head, landmarks={}), replace(head, expression_names=names)):
        assert np.array_equal(fit_mouth_close(curves, arkit_gap(other), np.ones(1)), curves)


def test_the_given_curves_are_not_changed(head):
    curves = face(jawOpen=0.4, mouthClose=0.4, mouthPucker=0.3)
    before = curves.copy()
    fit_mouth_close(curves, arkit_gap(head), np.ones(1))
    assert np.array_equal(curves, before)


def _gap(head, weights):
    upper, lower = head.landmarks["inner_lip_upper"], head.landmarks["inner_lip_lower"]
    basis = head.expression_basis[:, upper, 1] - head.expression_basis[:, lower, 1]
    return (weights @ basis).max(axis=1) * 1000


def _mouth(head, **weights):
    row = np.zeros((1, len(head.expression_names)), np.float32)
    for name, value in weights.items():
        row[0, head.expression_index(name)] = value
    return row


def closed(head, weights, target=None):
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    return close_lips(weights, gap, np.zeros(len(weights)) if target is None else target)


def test_lips_that_nearly_touch_do(head):
    nearly = _mouth(head, jawOpen=0.2, mouthClose=0.195)
    assert 0.1 < _gap(head, nearly)[0] < 0.3
    assert _gap(head, closed(head, nearly))[0] == pytest.approx(0.0, abs=0.01)


def test_a_predicted_open_mouth_is_left_alone(head):
    open_ = _mouth(head, jawOpen=0.2, mouthPucker=0.3)
    assert _gap(head, open_)[0] > 2.2
    np.testing.assert_array_equal(closed(head, open_), open_)


def test_lips_shut_from_further_where_a_p_b_or_m_was_recognised(head):
    nearly = _mouth(head, jawOpen=0.075)
    assert 2.2 < _gap(head, nearly)[0] < 3.0
    np.testing.assert_array_equal(closed(head, nearly), nearly)
    shut = closed(head, nearly, np.ones(1))
    assert _gap(head, shut)[0] == pytest.approx(0.0, abs=0.01)


def test_a_model_that_opens_wide_outweighs_a_phone_that_was_misrecognised(head):
    wide = _mouth(head, jawOpen=0.5)
    assert _gap(head, wide)[0] > 6.0
    np.testing.assert_array_equal(closed(head, wide, np.ones(1)), wide)


def test_a_mouth_on_its_way_opens_without_a_jump(head):
    path = np.concatenate([_mouth(head, jawOpen=x) for x in np.linspace(0.0, 0.3, 400)])
    gap = _gap(head, closed(head, path))
    assert (np.diff(gap) >= -1e-4).all()
    assert np.diff(gap).max() < 5 * np.diff(_gap(head, path)).max()


def test_a_lip_that_rolls_goes_under_the_teeth_where_an_f_was_recognised(head):
    nearly = _mouth(head, jawOpen=0.1, mouthRollLower=0.5, mouthFunnel=0.2)
    made = apply_labiodental_contact(nearly, head.expression_names, np.ones(1))
    assert made[0, head.expression_index("mouthRollLower")] == pytest.approx(LABIODENTAL_ROLL)
    assert made[0, head.expression_index("jawOpen")] == pytest.approx(LABIODENTAL_JAW)
    assert made[0, head.expression_index("mouthFunnel")] < 0.1
    np.testing.assert_array_equal(
        apply_labiodental_contact(nearly, head.expression_names, np.zeros(1)), nearly
    )


def test_a_lip_that_hardly_rolls_outweighs_an_f_that_was_misrecognised(head):
    other = _mouth(head, jawOpen=0.3, mouthRollLower=0.1)
    np.testing.assert_array_equal(
        apply_labiodental_contact(other, head.expression_names, np.ones(1)), other
    )


def test_weights_end_in_their_range(head):
    wild = _mouth(head, jawOpen=-0.2, mouthSmileLeft=1.4)
    made = closed(head, wild)
    assert made.min() >= 0.0
    assert made.max() <= 1.0


def test_lips_that_touched_touch_after_what_pulls_them_apart(head):
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    before = closed(head, _mouth(head, jawOpen=0.2, mouthClose=0.2), np.ones(1))
    pulled = before + _mouth(head, mouthUpperUpLeft=0.2, mouthUpperUpRight=0.2)
    assert _gap(head, pulled)[0] > 0.5
    assert _gap(head, keep_lip_contact(pulled, before, gap))[0] == pytest.approx(0.0, abs=0.05)


def test_the_solver_is_exact_on_a_head_of_one_pair():
    """By hand: the gap is 10·jawOpen − 8·mouthClose millimetres."""
    offsets = np.zeros((2, 2, 3), np.float32)
    offsets[:, 0, 1] = (0.010, -0.008)
    gap = lip_gap(
        offsets, ("jawOpen", "mouthClose"), {"inner_lip_upper": [0], "inner_lip_lower": [1]}
    )
    fitted = fit_mouth_close(np.float32([[0.4, 0.4]]), gap, np.ones(1))
    assert fitted[0] == pytest.approx([0.4, 0.5], abs=1e-6)


def test_the_add_ons_modules_need_numpy_alone():
    code = (
        "import sys, engine.motion.style, engine.motion.lip_contact, engine.motion.model.ids;"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'scipy', 'numba'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
