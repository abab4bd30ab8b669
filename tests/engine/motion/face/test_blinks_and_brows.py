# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from engine.motion.arkit import ARKIT_NAMES, COLUMN
from engine.motion.face.layers import add_blinks_and_brows
from engine.motion.face.prosody import Accent, Prosody
from engine.motion.style import Style
from engine.phonemes import Phone, normalize_segments

PHONES = [Phone("SIL", 8.0, 8.5), Phone("AA", 0.2, 0.5), Phone("AA", 12.0, 12.4)]
PROSODY = Prosody((Accent(0.35, 0.3), Accent(12.2, 1.0), Accent(12.9, 0.2)))


def laid_over(phones, frames, fps, **style):
    """(frames, 52) blinks and brows over a still face."""
    still = np.zeros((frames, len(ARKIT_NAMES)), np.float32)
    known = normalize_segments(phones, frames / fps)
    return add_blinks_and_brows(still, ARKIT_NAMES, known, PROSODY, fps, Style(**style))


def lids(fps=25.0, seconds=30, **settings):
    curves = laid_over(PHONES, round(seconds * fps), fps, **settings)
    return curves[:, COLUMN["eyeBlinkLeft"]]


def blinks(curve):
    shut = curve > 0.99
    return int((shut[1:] & ~shut[:-1]).sum())


@pytest.mark.parametrize("fps", [12.0, 24.0, 60.0])
def test_a_speaker_blinks_every_few_seconds_and_fully(fps):
    assert 5 <= blinks(lids(fps)) <= 15


def test_both_eyes_blink_together():
    curves = laid_over(PHONES, 500, 25.0)
    assert np.array_equal(curves[:, COLUMN["eyeBlinkLeft"]], curves[:, COLUMN["eyeBlinkRight"]])


def test_the_seed_decides():
    assert np.array_equal(lids(seed=3), lids(seed=3))
    assert not np.array_equal(lids(seed=3), lids(seed=4))


def test_eyes_are_open_most_of_the_time():
    assert (lids() == 0).mean() > 0.8


def test_a_blink_near_a_pause_moves_to_it():
    near_pause = [lids(100.0, seed=seed)[round(8.05 * 100)] > 0.99 for seed in range(40)]
    elsewhere = [lids(100.0, seed=seed)[round(20.05 * 100)] > 0.99 for seed in range(40)]
    assert sum(near_pause) > sum(elsewhere)


def test_brows_rise_on_stressed_sounds_by_how_much_they_stand_out():
    brows = laid_over(PHONES, 750, 25.0)[:, COLUMN["browInnerUp"]]
    assert brows[round(12.2 * 25)] > 0.1
    assert brows[round(12.2 * 25)] > 2 * brows[round(0.35 * 25)] > 0
    assert brows[16 * 25] == 0


def test_brows_do_not_rise_twice_within_a_second():
    assert laid_over(PHONES, 750, 25.0)[round(12.9 * 25), COLUMN["browInnerUp"]] == 0


def test_the_mouth_is_left_alone():
    curves = laid_over(PHONES, 750, 25.0, upper_face=3)
    for name in ARKIT_NAMES:
        if name.startswith(("mouth", "jaw", "tongue", "cheek")):
            assert not curves[:, COLUMN[name]].any()
    assert curves.max() <= 1


def test_it_can_be_switched_off():
    assert not laid_over(PHONES, 100, 25.0, upper_face=0).any()


def test_a_clip_too_short_to_blink_in_is_left_alone():
    still = np.zeros((6, len(ARKIT_NAMES)), np.float32)
    made = add_blinks_and_brows(still, ARKIT_NAMES, (), Prosody(), 25.0, Style())
    assert not made.any()
