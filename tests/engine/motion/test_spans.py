# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from engine.motion.lip_contact import hold_lips_closed, lip_gap
from engine.motion.spans import HOLD_CLOSED, STRENGTH, Span, hold_closed, hold_curve, strength_curve
from engine.phonemes import Phone
from tests.engine.motion.known_phones import perform

FPS = 25.0
LABELS = ("AA", "S", "IY", "F", "AA", "M", "UW")
SAID = [Phone(label, 0.2 * i, 0.2 * i + 0.2) for i, label in enumerate(LABELS)]


@pytest.fixture(scope="module")
def spoken(head, sample_voice):
    speech, _ = sample_voice
    return perform(SAID, speech, head, FPS)


@pytest.fixture(scope="module")
def gap(head):
    return lip_gap(head.expression_basis, head.expression_names, head.landmarks)


def widest(head, weights):
    """(T,) millimetres of the widest pair of the inner lips, from the vertices themselves."""
    moved = head.deform(weights) * 1000
    upper, lower = head.landmarks["inner_lip_upper"], head.landmarks["inner_lip_lower"]
    return (moved[:, upper, 1] - moved[:, lower, 1]).max(axis=1)


def test_lips_are_closed_in_the_whole_span_and_free_beyond_its_ramps(head, gap, spoken):
    span = Span(HOLD_CLOSED, 0.4, 0.8)
    held = hold_closed(spoken.weights, head.expression_names, gap, [span], FPS)
    inside = slice(10, 21)
    assert widest(head, spoken.weights)[inside].max() > 3
    np.testing.assert_allclose(widest(head, held)[inside], 0.0, atol=1e-3)
    beyond = np.r_[0:8, 23 : len(held)]
    np.testing.assert_array_equal(held[beyond], spoken.weights[beyond])


@pytest.mark.parametrize("at", [0.4, 0.415, 0.43])
def test_the_shortest_span_closes_one_frame(head, gap, spoken, at):
    span = Span(HOLD_CLOSED, at, at + 0.001)
    held = hold_closed(spoken.weights, head.expression_names, gap, [span], FPS)
    assert np.abs(widest(head, held)[10:12]).min() < 1e-3


def test_half_a_hold_leaves_half_the_way(gap, head, spoken):
    held = hold_lips_closed(spoken.weights[:1], head.expression_names, gap, np.array([0.5]))
    assert 0.5 < widest(head, held)[0] < 0.6 * widest(head, spoken.weights)[0]


def test_without_landmarks_the_lips_close_by_as_much_as_the_jaw_opens(head, spoken):
    names = head.expression_names
    held = hold_lips_closed(spoken.weights[:1], names, None, np.ones(1))[0]
    assert held[names.index("mouthClose")] == held[names.index("jawOpen")] > 0
    jaw = hold_lips_closed(np.array([[0.4]], np.float32), ("jawOpen",), None, np.ones(1))
    assert jaw[0, 0] == 0


def test_a_basis_of_other_names_comes_to_rest(spoken):
    weights = np.full((3, 2), 0.7, np.float32)
    held = hold_lips_closed(weights, ("flame_0", "flame_1"), None, np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(held[:, 0], [0.7, 0.35, 0.0])


def test_nothing_held_is_the_very_same_array(head, gap, spoken):
    spans = [Span(STRENGTH, 0, 9, 0.5), Span(HOLD_CLOSED, 50, 51)]
    assert hold_closed(spoken.weights, head.expression_names, gap, spans, FPS) is spoken.weights


def test_a_phrase_has_its_strength_and_eases_into_that_of_the_line():
    curve = strength_curve([Span(STRENGTH, 0.4, 0.8, 0.5), Span(HOLD_CLOSED, 0, 1)], 30, FPS)
    np.testing.assert_allclose(curve[10:21], 0.5)
    np.testing.assert_array_equal(curve[np.r_[0:7, 24:30]], 1.0)
    assert np.all(np.diff(curve[6:11]) <= 0)
    assert np.all(np.diff(curve[20:25]) >= 0)


def test_strengths_of_phrases_that_overlap_multiply():
    spans = [Span(STRENGTH, 0.0, 1.0, 0.5), Span(STRENGTH, 0.4, 2.0, 1.5)]
    np.testing.assert_allclose(strength_curve(spans, 26, FPS)[[2, 15, 25]], [0.5, 0.75, 0.75])


def test_holds_beside_each_other_do_not_open_between():
    spans = [Span(HOLD_CLOSED, 0.4, 0.6), Span(HOLD_CLOSED, 0.6, 0.8)]
    np.testing.assert_allclose(hold_curve(spans, 30, FPS)[10:21], 1.0)
