# SPDX-License-Identifier: GPL-3.0-or-later
"""The other speaker: dynamics of its own, and motion that is not the rules'."""

from dataclasses import replace

import numpy as np
import pytest

from engine.audio.loading import speech_from_samples
from engine.motion.lip_contact import lip_gap
from engine.phonemes import ENGLISH, Phone
from tests.engine.motion.known_phones import perform
from training.synthetic.speaker import _STEPS, ANOTHER, _springs, speak_as

PHONES = (
    Phone("SIL", 0.0, 0.4),
    Phone("M", 0.4, 0.5),
    Phone("AA", 0.5, 0.75),
    Phone("B", 0.75, 0.85),
    Phone("UW", 0.85, 1.1),
    Phone("SIL", 1.1, 1.6),
)


def _sound(seconds=1.6, loud=0.1):
    rng = np.random.default_rng(0)
    return (rng.normal(size=round(seconds * 16_000)) * loud).astype(np.float32)


def _opening(made, head):
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    return gap.apart(made.weights).max(axis=1) * 1000


def test_springs_solve_their_equation():
    target = np.full((240, 2), 3.0)
    target[0] = 0.0
    stiffness = np.tile([20.0, 45.0], (240, 1))
    moved = _springs(target, stiffness)
    time = np.arange(240)[:, None] / _STEPS
    exact = 3.0 * (1.0 - (1.0 + stiffness * time) * np.exp(-stiffness * time))
    np.testing.assert_allclose(moved, exact, atol=1e-9)


def test_lips_close_for_bilabials_and_open_for_vowels(head):
    opening = _opening(speak_as(ANOTHER, PHONES, _sound(), head, 60.0, 0), head)
    for start, end in ((0.4, 0.5), (0.75, 0.85)):
        assert opening[round(start * 60) : round(end * 60)].min() < 0.3
    assert opening[round(0.55 * 60) : round(0.75 * 60)].max() > 8.0
    assert opening[-1] == pytest.approx(ANOTHER.parted, abs=0.8)


def test_lazy_lips_do_not_close_in_short_sounds(head):
    quick = tuple(Phone(p.label, p.start / 4, p.end / 4) for p in PHONES)
    lazy = replace(ANOTHER, stiffness=tuple(s / 4 for s in ANOTHER.stiffness))
    made = [speak_as(who, quick, _sound(0.4), head, 60.0, 0) for who in (ANOTHER, lazy)]
    usual, late = (float(np.ptp(_opening(m, head))) for m in made)
    assert late < 0.6 * usual


def test_effort_follows_the_voice(head):
    sound = _sound()
    sound[:12_000] *= 0.4
    quiet = (
        *PHONES[:2],
        Phone("AA", 0.5, 0.75),
        Phone("B", 0.75, 0.85),
        Phone("AA", 0.85, 1.1),
        PHONES[-1],
    )
    opening = _opening(speak_as(ANOTHER, quiet, sound, head, 60.0, 0), head)
    first = opening[round(0.5 * 60) : round(0.75 * 60)].max()
    second = opening[round(0.88 * 60) : round(1.1 * 60)].max()
    assert second > 1.15 * first


def test_the_mouth_is_crooked_and_blinks_follow_the_seed(head):
    one, same, other = (speak_as(ANOTHER, PHONES, _sound(), head, 30.0, s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.weights, same.weights)
    names = head.expression_names
    lids = [m.weights[:, names.index("eyeBlinkLeft")] for m in (one, other)]
    assert np.abs(lids[0] - lids[1]).max() > 0.3
    sides = [one.weights[:, names.index(f"mouthSmile{side}")].mean() for side in ("Left", "Right")]
    assert sides[1] > 1.2 * sides[0] > 0


def test_it_is_not_the_rules(head):
    ours = speak_as(ANOTHER, PHONES, _sound(), head, 25.0, 0)
    theirs = perform(PHONES, speech_from_samples(_sound(), 16_000), head, 25.0)
    lips = head.regions["lips"]
    apart = np.linalg.norm((ours.offsets() - theirs.offsets())[:, lips], axis=-1)
    assert apart.max(axis=1).mean() > 0.001


def test_every_sound_of_english_has_targets(head):
    labels = sorted(ENGLISH)
    phones = [Phone(label, 0.1 * i, 0.1 * i + 0.1) for i, label in enumerate(labels)]
    made = speak_as(ANOTHER, phones, _sound(0.1 * len(labels)), head, 25.0, 0)
    assert np.isfinite(made.weights).all()
    assert (made.weights >= 0).all()
    assert (made.weights <= 1).all()
