# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.phonemes import (
    ARTICULATORS,
    BILABIALS,
    LABIODENTALS,
    OPEN_VOWELS,
    SILENCE,
    VISEMES,
    VOWELS,
    Phone,
    normalize_label,
    normalize_segments,
)

ARPABET = sorted({
    *("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"),
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH"),
    *("T", "TH", "V", "W", "Y", "Z", "ZH"),
})  # fmt: skip

phones = st.lists(
    st.builds(
        lambda label, start, length: Phone(label, start, start + length),
        st.sampled_from([*ARPABET, "SIL"]),
        st.floats(-0.5, 4.0),
        st.floats(-0.1, 0.6),
    ),
    max_size=30,
)


def test_every_english_sound_has_a_mouth():
    assert set(VISEMES) == set(ARPABET)


def test_every_command_is_an_expression_weight():
    for mouths in VISEMES.values():
        for mouth in mouths:
            assert len(mouth) == len(ARTICULATORS)
            assert all(0 <= c.target <= 1 and 0 <= c.dominance <= 2 for c in mouth)


def test_tongue_sounds_leave_rounding_to_their_neighbours():
    for label in ("T", "D", "N", "L", "K", "G", "NG", "TH", "DH", "HH"):
        for mouth in VISEMES[label]:
            assert mouth.funnel.dominance == mouth.pucker.dominance == 0


def test_sibilants_ask_for_a_narrower_jaw_than_any_vowel():
    narrowest = min(mouth.jaw.target for v in VOWELS for mouth in VISEMES[v])
    for label in ("S", "Z", "SH", "ZH", "CH", "JH"):
        assert VISEMES[label][0].jaw.target < narrowest


def test_open_vowels_drop_the_jaw_furthest():
    for label in OPEN_VOWELS:
        assert VISEMES[label][0].jaw.target > VISEMES["IY"][0].jaw.target


@pytest.mark.parametrize(
    ("label", "expected"),
    [("ah0", "AH"), ("IY1", "IY"), ("<sil>", "SIL"), ("+NSN+", "SIL"), ("", "SIL"), (" m ", "M")],
)
def test_labels_lose_stress_and_noises_become_silence(label, expected):
    assert normalize_label(label) == expected


@given(phones, st.floats(0.05, 5.0))
@settings(deadline=None)
def test_tidied_phones_cover_the_clip_without_gap_or_overlap(given_phones, duration):
    known = normalize_segments(given_phones, duration)
    assert known[0].start == 0
    assert known[-1].end == duration
    assert all(phone.start < phone.end for phone in known)
    assert all(a.end == b.start for a, b in pairwise(known))


@given(phones, st.floats(0.05, 5.0))
@settings(deadline=None)
def test_tidying_twice_changes_nothing(given_phones, duration):
    known = normalize_segments(given_phones, duration)
    assert normalize_segments(known, duration) == known


def test_neighbouring_silences_become_one():
    known = normalize_segments(
        [Phone("SIL", 0, 0.1), Phone("+SPN+", 0.1, 0.3), Phone("AA", 0.3, 0.5)], 0.5
    )
    assert known == (Phone(SILENCE, 0, 0.3), Phone("AA", 0.3, 0.5))


def test_rounding_of_phone_times_makes_no_silence():
    known = normalize_segments([Phone("AA", 0, 0.1), Phone("B", 0.1 + 1e-4, 0.2)], 0.2)
    assert [phone.label for phone in known] == ["AA", "B"]


def test_a_silence_cut_short_by_the_next_phone_is_rounding_too():
    given_phones = [Phone("AA", 0, 0.1), Phone("SIL", 0.1, 0.2), Phone("B", 0.1005, 0.3)]
    known = normalize_segments(given_phones, 0.3)
    assert known == (Phone("AA", 0, 0.1005), Phone("B", 0.1005, 0.3))


def test_classes_do_not_overlap():
    assert not BILABIALS & LABIODENTALS
    assert not VOWELS & (BILABIALS | LABIODENTALS)
    assert OPEN_VOWELS < VOWELS
