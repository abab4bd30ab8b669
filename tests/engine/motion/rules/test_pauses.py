# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.motion.arkit import to_head_weights
from engine.motion.lip_contact import lip_gap
from engine.motion.rules.pauses import hold_pauses_open
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
