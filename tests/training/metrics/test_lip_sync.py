# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured on a mouth of eleven vertices whose every number can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.heads.head import Head, Skeleton
from engine.motion.performance import Performance
from engine.phonemes import Phone, Word
from training.metrics.lip_sync import CLOSED_BELOW, combined, lip_sync
from training.metrics.mouth import mouth_track

FPS = 100.0
RATE = 16_000
UPPER, LOWER, CORNERS, TEETH = [0, 1, 2], [3, 4, 5], [6, 7], [8, 9, 10]
OPEN, NARROW, TUCK = range(3)
"""Expressions: lower lip down 10 mm, corners together by 10 mm, lower lip back 7 of the 8 mm that
separate it from the teeth."""


@pytest.fixture(scope="module")
def head():
    template = np.zeros((11, 3))
    row = np.array([-0.01, 0.0, 0.01])
    template[UPPER, 0] = template[LOWER, 0] = template[TEETH, 0] = row
    template[CORNERS, 0] = (-0.025, 0.025)
    template[TEETH, 2] = -0.008
    basis = np.zeros((3, 11, 3))
    basis[OPEN, LOWER, 1] = -0.010
    basis[NARROW, CORNERS, 0] = (0.005, -0.005)
    basis[TUCK, LOWER, 2] = -0.007
    return Head(
        id="tiny",
        template=template.astype(np.float32),
        faces=np.array([[0, 1, 3]], np.int32),
        uv=np.zeros((3, 2), np.float32),
        uv_faces=np.array([[0, 1, 2]], np.int32),
        expression_basis=basis.astype(np.float32),
        expression_names=("jawOpen", "mouthPucker", "mouthRollLower"),
        skeleton=Skeleton(("root",), np.array([-1], np.int32), np.zeros((1, 3), np.float32),
                          np.ones((11, 1), np.float32)),
        regions={"lips": np.array([*UPPER, *LOWER], np.int32)},
        landmarks={
            name: np.array(index, np.int32)
            for name, index in (
                ("inner_lip_upper", UPPER), ("inner_lip_lower", LOWER),
                ("mouth_corners", CORNERS), ("upper_teeth_edge", TEETH),
            )
        },
    )  # fmt: skip


PHONES = (
    Phone("SIL", 0.0, 0.4), Phone("M", 0.4, 0.5), Phone("AA", 0.5, 0.7), Phone("F", 0.7, 0.8),
    Phone("IY", 0.8, 1.0), Phone("P", 1.0, 1.1), Phone("AE", 1.1, 1.3), Phone("W", 1.3, 1.4),
    Phone("EH", 1.4, 1.6), Phone("SIL", 1.6, 2.0),
)  # fmt: skip
VOWELS = ("AA", "IY", "AE", "EH")


def performed(head, weights, fps=FPS):
    weights = np.asarray(weights, np.float32)
    return Performance(fps, weights, head.expression_basis, weights, head.expression_names, head.id)


def still(value=0.0):
    weights = np.zeros((200, 3))
    weights[:, OPEN] = value
    return weights


def label_at(frame):
    return next(p.label for p in PHONES if p.start - 1e-9 <= frame / FPS < p.end - 1e-9)


def right_mouth():
    """Opens in vowels, shuts in m and p, tucks in f, narrows in w."""
    weights = still()
    for frame in range(200):
        label = label_at(frame)
        weights[frame, OPEN] = 1.0 if label in VOWELS else 0.1 if label in "FW" else 0.0
        weights[frame, NARROW] = label == "W"
        weights[frame, TUCK] = label == "F"
    return weights


def measured(head, weights, phones=PHONES, words=()):
    return lip_sync(performed(head, weights), head, phones, words)


def test_a_right_mouth_does_everything_right(head):
    found = measured(head, right_mouth())
    assert (found.closure_rate, found.false_closure_rate, found.contact_rate) == (1.0, 0.0, 1.0)
    # A mouth that jumps at the boundaries, beside a line that bends at the middles of phones.
    assert abs(found.lag_ms) < 15
    assert found.silence_motion == 0
    assert found.silence_gap == 0


def test_an_opposite_mouth_does_everything_wrong(head):
    weights = right_mouth()
    weights[:, OPEN] = 1 - weights[:, OPEN]
    weights[:, TUCK] = 0
    # Away from its neighbours, so that a wrong sound cannot be excused by the next one.
    phones = [p._replace(start=p.start + 0.045, end=p.end - 0.045) for p in PHONES]
    found = measured(head, weights, phones)
    assert found.closure_rate == 0
    assert found.false_closure_rate == 1
    assert found.contact_rate == 0


def test_a_mouth_that_never_opens_gets_no_credit_for_closing(head):
    found = measured(head, still())
    assert found.closure_rate == 0
    assert found.false_closure_rate == 1
    assert found.contact_rate == 0
    assert found.lag_ms is None


def test_a_mouth_that_never_shuts_closes_nothing(head):
    found = measured(head, still(0.7))
    assert found.closure_rate == 0
    assert found.false_closure_rate == 0


def test_the_open_gap_is_the_mean_over_vowels(head):
    weights = right_mouth()
    weights[50:70, OPEN] = 0.5
    assert measured(head, weights).open_gap == pytest.approx((5 + 10 + 10 + 10) / 4, rel=1e-5)


@pytest.mark.parametrize(("part", "closed"), [(0.9, 2), (1.1, 0)])
def test_lips_are_closed_under_the_stated_part_of_the_open_gap(head, part, closed):
    weights = right_mouth()
    shut = [frame for frame in range(200) if label_at(frame) in ("M", "P", "SIL")]
    weights[shut, OPEN] = part * CLOSED_BELOW
    assert measured(head, weights).closed == closed


def test_lips_shut_inside_words_count_away_from_p_b_m_alone(head):
    words = [Word("muff", 0.4, 0.8), Word("eep", 0.8, 1.1), Word("away", 1.1, 1.6)]
    assert measured(head, right_mouth(), words=words).shut_rate == 0.0
    assert measured(head, right_mouth()).shut_rate is None
    weights = right_mouth()
    weights[140:160, OPEN] = 0.0
    found = measured(head, weights, words=words)
    # All 120 frames of words but 0.4 to 0.54 and 0.96 to 1.14 s.
    assert (found.word_frames, found.shut_in_words) == (pytest.approx(120 - 14 - 18, abs=2), 20)
    assert combined([found, found]).shut_in_words == 40


@pytest.mark.parametrize(("late", "closed"), [(0.03, 1), (0.06, 0)])
def test_a_closure_may_miss_its_sound_by_forty_milliseconds(head, late, closed):
    weights = still(1.0)
    frame = round((1.1 + late) * FPS)
    weights[frame, OPEN] = 0.0
    assert measured(head, weights).closed == closed


def test_the_rounding_contrast_is_in_millimetres(head):
    phones = [Phone("IY", 0.0, 0.9), Phone("UW", 1.0, 2.0)]
    weights = still(0.5)
    weights[99:, NARROW] = 1.0
    found = measured(head, weights, phones)
    assert found.spread_width == pytest.approx(50.0, abs=1e-4)
    assert found.rounded_width == pytest.approx(40.0, abs=1e-4)
    assert found.rounding_contrast == pytest.approx(10.0, abs=1e-4)


def test_shut_lips_do_not_count_as_lip_on_teeth(head):
    weights = right_mouth()
    weights[:, TUCK] = 1.0
    weights[60:90, OPEN] = 0.0
    assert measured(head, weights).touching == 0


def test_lip_to_teeth_is_the_distance_of_the_middle_of_the_lip_from_the_edge(head):
    weights = still()
    weights[5, TUCK] = 1.0
    weights[6] = (0.3, 0.0, 1.0)
    track = mouth_track(performed(head, weights), head)
    assert track.lip_to_teeth[0] == pytest.approx(8.0, rel=1e-5)
    assert track.lip_to_teeth[5] == pytest.approx(1.0, rel=1e-4)
    assert track.lip_to_teeth[6] == pytest.approx(10**0.5, rel=1e-4)


def test_teeth_are_an_edge_and_not_only_its_vertices(head):
    between = head.template.copy()
    between[TEETH, 0] += 0.005
    shifted = Head(**{**vars(head), "template": between})
    track = mouth_track(performed(shifted, still()), shifted)
    assert track.lip_to_teeth[0] == pytest.approx(8.0, rel=1e-5)


def test_interpenetrating_lips_are_overlap_and_not_gap(head):
    track = mouth_track(performed(head, still(-0.2)), head)
    assert track.gap.max() == 0
    assert track.overlap.max() == pytest.approx(2.0, rel=1e-5)


def test_motion_in_silence_is_the_spread_of_the_lips_about_their_mean(head):
    weights = right_mouth()
    weights[180:, OPEN] = [0.0, 0.1] * 10
    # The lower half of the lip vertices swings ±0.5 mm in half of what is measured after speech.
    found = measured(head, weights, [Phone("SIL", 1.6, 2.0)])
    assert found.silence == pytest.approx(0.2)
    assert found.silence_motion == pytest.approx(0.25, rel=1e-4)
    assert found.silence_gap == pytest.approx(0.5, rel=1e-4)


def test_jitter_is_the_mean_second_difference(head):
    weights = still()
    weights[::2, OPEN] = 0.1
    # Lower lip: |x₊ − 2x + x₋| = 2 mm each frame; upper lip: 0.
    assert measured(head, weights).jitter == pytest.approx(1.0, rel=1e-5)


def test_steady_motion_has_no_jitter(head):
    weights = still()
    weights[:, OPEN] = np.linspace(0, 1, 200)
    assert measured(head, weights).jitter < 1e-4


def test_clips_together_add_their_counts_and_weigh_their_means(head):
    right, wrong = measured(head, right_mouth()), measured(head, still(1.0))
    both = combined([right, wrong])
    assert both.bilabials == 4
    assert both.closed == 2
    assert both.seconds == pytest.approx(4.0)
    assert both.jitter == pytest.approx((right.jitter + wrong.jitter) / 2)
    assert both.rounding_contrast == pytest.approx(
        (right.rounding_contrast + wrong.rounding_contrast) / 2
    )
    assert combined([right]).lag_ms == pytest.approx(right.lag_ms)


def test_without_such_sounds_there_is_no_rate(head):
    found = measured(head, still(), [Phone("T", 0.5, 1.0)])
    assert found.closure_rate is found.false_closure_rate is found.contact_rate is None
    assert found.rounding_contrast is None


def test_a_performance_of_another_head_is_refused(head):
    other = performed(head, still())
    object.__setattr__(other, "head", "flame2023")
    with pytest.raises(BadInputError, match="flame2023"):
        mouth_track(other, head)


def test_a_head_without_landmarks_is_named(head):
    bare = Head(**{**vars(head), "landmarks": {}})
    with pytest.raises(BadInputError, match="inner_lip_upper"):
        mouth_track(performed(head, still()), bare)
