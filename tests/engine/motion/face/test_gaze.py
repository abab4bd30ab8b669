# SPDX-License-Identifier: GPL-3.0-or-later
"""Where speakers look, against the statistics of Lee, Badler and Badler (2002)."""

from __future__ import annotations

import numpy as np
import pytest

from engine.motion.arkit import ARKIT_NAMES, COLUMN
from engine.motion.face.gaze import FULL_ROTATION, look
from engine.motion.face.layers import with_gaze
from engine.motion.style import Style
from engine.phonemes import Phone

FPS = 100.0
TALK = (Phone("AA", 0.0, 300.0),)
PHRASES = tuple(
    Phone(label, 3.0 * i + start, 3.0 * i + end)
    for i in range(60)
    for label, start, end in (("AA", 0.0, 2.2), ("SIL", 2.2, 3.0))
)


def looked(phones=TALK, seconds=300, rotation=None, blinks=(), **style):
    still = np.zeros((round(seconds * FPS), 3), np.float32)
    turned = still if rotation is None else rotation
    return look(phones, blinks, turned, FPS, Style(**{"gaze": 1.0, **style}))


def away(gaze):
    return np.hypot(*gaze.degrees.T) > 2.5


def test_a_speaker_looks_away_about_a_quarter_of_the_time():
    part = np.mean([away(looked(seed=seed)).mean() for seed in range(6)])
    assert 0.15 < part < 0.35  # 27.8 of 27.8 + 93.9 frames is 0.23.


def test_looks_away_last_about_a_second():
    starts = sum(np.diff(away(looked(seed=seed)).astype(int)) == 1 for seed in range(6)).sum()
    lengths = sum(away(looked(seed=seed)).sum() for seed in range(6)) / starts / FPS
    assert 0.6 < lengths < 1.3


def test_saccades_are_quick_and_fixations_still():
    steps = np.hypot(*np.diff(looked().degrees, axis=0).T)
    assert (steps > 0).mean() < 0.12
    assert steps.max() * FPS > 80  # Degrees per second: the main sequence.


def test_the_eyes_are_back_on_the_listener_as_a_phrase_ends():
    ends = [round((3.0 * i + 2.15) * FPS) for i in range(60)]
    shares = [away(looked(PHRASES, 180, seed=seed))[ends].mean() for seed in range(6)]
    assert np.mean(shares) < 0.05


def test_they_leave_in_pauses_more_than_in_speech():
    gaze = np.mean([away(looked(PHRASES, 180, seed=seed)) for seed in range(6)], axis=0)
    phase = np.arange(len(gaze)) / FPS % 3.0
    assert (
        gaze[(phase > 2.5) & (phase < 2.95)].mean() > 1.5 * gaze[(phase > 1) & (phase < 2)].mean()
    )


def test_large_shifts_may_come_with_a_blink_and_small_ones_do_not():
    assert 2 <= len(looked(seed=1).blinks) <= 40
    assert not looked(seed=1, gaze=0.1).blinks


def test_fixations_lie_on_the_target():
    gaze = looked(gaze_target=(12.0, -4.0))
    np.testing.assert_allclose(np.median(gaze.degrees, axis=0), (12.0, -4.0), atol=0.6)


def test_the_eyes_stay_on_the_target_while_the_head_turns():
    rotation = np.zeros((30_000, 3), np.float32)
    rotation[:, 1] = np.radians(8.0)  # To the head's left …
    rotation[:, 0] = np.radians(3.0)  # … and down.
    moved, still = looked(rotation=rotation), looked()
    np.testing.assert_allclose(
        np.median(moved.degrees - still.degrees, axis=0), (-8.0, 3.0), atol=1e-4
    )


def test_the_seed_decides():
    assert np.array_equal(looked(seed=3).degrees, looked(seed=3).degrees)
    assert not np.array_equal(looked(seed=3).degrees, looked(seed=4).degrees)


def test_the_amount_scales_looks_away():
    full, half = looked().degrees, looked(gaze=0.5).degrees
    np.testing.assert_allclose(half, full / 2, atol=1e-9)


def weights(**style):
    still = np.zeros((500, len(ARKIT_NAMES)), np.float32)
    return still, with_gaze(
        still, ARKIT_NAMES, TALK, (), np.zeros((500, 3), np.float32), 25.0, Style(**style)
    )


def test_off_it_is_the_same_array():
    still, made = weights(gaze=0.0, gaze_target=(10.0, 0.0))
    assert made is still


@pytest.mark.parametrize(
    ("target", "turned"),
    [
        (
            (10.0, 0.0),
            {
                "eyeLookOutLeft": 10 / FULL_ROTATION["Out"],
                "eyeLookInRight": 10 / FULL_ROTATION["In"],
            },
        ),
        (
            (-10.0, 0.0),
            {
                "eyeLookInLeft": 10 / FULL_ROTATION["In"],
                "eyeLookOutRight": 10 / FULL_ROTATION["Out"],
            },
        ),
        ((0.0, 8.0), {"eyeLookUpLeft": 8 / FULL_ROTATION["Up"]}),
        ((0.0, -8.0), {"eyeLookDownRight": 8 / FULL_ROTATION["Down"]}),
    ],
)
def test_both_eyes_turn_to_the_target(target, turned):
    _, made = weights(gaze=1.0, gaze_target=target)
    for name, weight in turned.items():
        assert np.median(made[:, COLUMN[name]]) == pytest.approx(weight, abs=0.06)
    assert made.min() >= 0
    assert made.max() <= 1


def test_nothing_but_eyes_and_lids_move():
    _, made = weights(gaze=2.0)
    moving = {name for name in ARKIT_NAMES if made[:, COLUMN[name]].any()}
    assert all(name.startswith(("eyeLook", "eyeBlink")) for name in moving)


def test_degrees_are_those_of_the_default_heads_eyes():
    from engine.heads import load_head

    head = load_head("default")
    eye = head.regions["left_eyeball"]
    rest = head.template[eye] - head.template[eye].mean(axis=0)
    for direction, degrees in FULL_ROTATION.items():
        offsets = head.expression_basis[head.expression_index(f"eyeLook{direction}Left"), eye]
        turned = rest + offsets - offsets.mean(axis=0)
        u, _, v = np.linalg.svd(rest.T @ turned)
        angle = np.degrees(np.arccos((np.trace((u @ v).T) - 1) / 2))
        assert angle == pytest.approx(degrees, abs=0.1)
