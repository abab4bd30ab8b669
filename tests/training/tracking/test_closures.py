# SPDX-License-Identifier: GPL-3.0-or-later
"""Lips that close because landmarks or the sound say so."""

import numpy as np
import pytest

from engine.heads import load_head
from engine.motion.lip_contact import lip_gap
from training.tracking.landmarks import INNER_LOWER, INNER_UPPER, POINTS
from training.tracking.observations import Observations
from training.tracking.track import closed_lips, unseen_closures

EYES = 100.0


@pytest.fixture(scope="module")
def head():
    return load_head("default")


def seen(apart):
    """Landmarks whose inner lips are so far apart, in parts of the eyes' distance."""
    points = np.zeros((len(apart), POINTS, 2))
    points[:, 263, 0] = EYES
    points[:, list(INNER_UPPER[1:-1]), 1] = 50
    points[:, list(INNER_LOWER[1:-1]), 1] = 50 + EYES * np.array(apart)[:, None]
    count = len(apart)
    none = np.zeros(count)
    return Observations(points, np.arange(count) / 25, np.zeros(count, int), none, np.ones(count))


def parted(head, **weights):
    expression = np.zeros((1, len(head.expression_names)))
    for name, weight in weights.items():
        expression[0, head.expression_index(name)] = weight
    return expression


def gap_mm(head, expression):
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    return 1e3 * gap.apart(expression).max()


def test_lips_close_where_landmarks_meet(head):
    little = parted(head, jawOpen=0.03)
    assert 0.5 < gap_mm(head, little) < 2
    assert gap_mm(head, closed_lips(head, little, seen([0.001]))) < 0.3
    assert gap_mm(head, closed_lips(head, little, seen([0.05]))) > 0.5


def test_a_recognised_sound_closes_lips_that_nearly_touch(head):
    little, apart = parted(head, jawOpen=0.05), seen([0.013])
    assert gap_mm(head, closed_lips(head, little, apart, np.ones(1))) < 0.3
    assert gap_mm(head, closed_lips(head, little, apart, np.zeros(1))) > 1
    assert gap_mm(head, closed_lips(head, little, seen([0.1]), np.ones(1))) > 1


def test_in_a_smeared_take_the_sound_counts_more(head):
    both = np.repeat(parted(head, jawOpen=0.05), 2, axis=0)
    closed = closed_lips(head, both, seen([0.034, 0.034]), np.ones(2), np.array([False, True]))
    assert gap_mm(head, closed[:1]) > 0.5
    assert gap_mm(head, closed[1:]) < 0.3


def test_the_sound_closes_lips_that_no_frame_shows(head):
    wide = np.repeat(parted(head, jawOpen=0.4, mouthSmileLeft=0.3), 2, axis=0)
    assert gap_mm(head, wide) > 8
    closed = unseen_closures(head, wide, np.array([1.0, 0.0]))
    assert gap_mm(head, closed[:1]) < 0.3
    assert np.allclose(closed[1], wide[1])
    smile = head.expression_index("mouthSmileLeft")
    assert closed[0, smile] == pytest.approx(0.3)
