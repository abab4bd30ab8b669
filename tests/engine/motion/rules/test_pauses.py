# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.motion.arkit import to_head_weights
from engine.motion.lip_contact import lip_gap
from engine.motion.rules.contacts import BREATH, phones_in_silence
from engine.motion.rules.pauses import ease_in_silence, hold_pauses_open
from engine.motion.style import Style
from engine.phonemes import Phone
from tests.engine.motion.known_phones import articulated, contacts_of

FPS = 50.0
PHONES = [
    Phone("SIL", 0.0, 0.4), Phone("AA", 0.4, 0.6), Phone("SIL", 0.6, 1.8), Phone("M", 1.8, 1.9),
    Phone("IY", 1.9, 2.1), Phone("F", 2.1, 2.2), Phone("SIL", 2.2, 3.0),
]  # fmt: skip
FRAMES = 150


@pytest.fixture(scope="module")
def spoken(head):
    return to_head_weights(articulated(PHONES, FRAMES, FPS), head.expression_names)


def held(head, spoken, rest):
    contacts = contacts_of(PHONES, FRAMES, FPS)
    return hold_pauses_open(spoken, head.expression_names, contacts, rest)


def gap(head, weights):
    """(T,) mm at the widest."""
    parting = lip_gap(head.expression_basis, head.expression_names, head.landmarks).parting
    return 1000.0 * (weights @ parting).max(axis=1)


def test_full_rest_changes_nothing(head, spoken):
    assert held(head, spoken, 1.0) is spoken


def test_without_rest_the_mouth_stays_half_open_in_long_silences(head, spoken):
    opening = gap(head, held(head, spoken, 0.0))
    for seconds in (0.05, 1.0, 1.3, 2.9):
        assert 6.0 < opening[round(seconds * FPS)] < 10.0
    half = gap(head, held(head, spoken, 0.5))
    assert half[50] == pytest.approx(opening[50] / 2, abs=0.1)


def test_sounds_and_contacts_are_as_they_were(head, spoken):
    opened, contacts = held(head, spoken, 0.0), contacts_of(PHONES, FRAMES, FPS)
    speaking = contacts.activity == 1.0
    assert speaking.any()
    assert np.array_equal(opened[speaking], spoken[speaking])
    shut = contacts.closure == 1.0
    assert shut.any()
    assert gap(head, opened)[shut].max() < 0.3


def test_what_is_no_arkit_expression_is_left_alone(head, spoken):
    names = tuple(f"component {i}" for i in range(spoken.shape[1]))
    changed = hold_pauses_open(spoken, names, contacts_of(PHONES, FRAMES, FPS), 0.0)
    assert np.array_equal(changed, spoken)


@pytest.mark.parametrize("rest", [-0.1, 1.5, float("nan")])
def test_an_impossible_rest_is_refused(rest):
    with pytest.raises(BadInputError, match="rest"):
        Style(rest=rest)


def eased(head, weights, fps=FPS):
    known = phones_in_silence(PHONES, FRAMES / FPS)
    contacts = contacts_of(PHONES, len(weights), fps)
    return ease_in_silence(weights, head.expression_names, known, contacts, fps)


@pytest.mark.parametrize("fps", [12.0, 25.0, 60.0, 120.0])
def test_a_mouth_that_opens_at_once_in_a_silence_takes_a_breaths_time(head, fps):
    times = np.arange(round(FRAMES / FPS * fps)) / fps
    jaw = head.expression_names.index("jawOpen")
    weights = np.zeros((len(times), len(head.expression_names)), np.float32)
    weights[times >= 1.2, jaw] = 0.5
    found = eased(head, weights, fps)
    moving = (found[:, jaw] > 0.0) & (found[:, jaw] < 0.5)
    assert BREATH - 2.1 / fps <= moving.sum() / fps <= BREATH
    assert np.all(np.diff(found[:, jaw]) >= 0.0)
    np.testing.assert_array_equal(np.delete(found, jaw, axis=1), np.delete(weights, jaw, axis=1))


def test_sounds_contacts_and_the_face_around_the_mouth_are_not_eased(head):
    names = head.expression_names
    weights = np.random.default_rng(0).random((FRAMES, len(names))).astype(np.float32)
    found, times = eased(head, weights), np.arange(FRAMES) / FPS
    contacts = contacts_of(PHONES, FRAMES, FPS)
    silent = times == 0.0  # The first silence was there before.
    for phone in PHONES:
        silent |= (phone.label == "SIL") & (times > phone.start) & (times < phone.end)
    own = ~silent | (contacts.closure == 1.0) | (contacts.labiodental == 1.0)
    np.testing.assert_array_equal(found[own], weights[own])
    eyes = [i for i, name in enumerate(names) if not name.startswith(("jaw", "mouth", "tongue"))]
    np.testing.assert_array_equal(found[:, eyes], weights[:, eyes])
    assert not np.array_equal(found, weights)


def test_without_silences_nothing_is_eased(head):
    weights = np.random.default_rng(0).random((50, len(head.expression_names))).astype(np.float32)
    known = phones_in_silence([Phone("AA", 0.0, 1.0)], 1.0)
    contacts = contacts_of([Phone("AA", 0.0, 1.0)], 50, FPS)
    assert ease_in_silence(weights, head.expression_names, known, contacts, FPS) is weights
