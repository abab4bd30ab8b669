# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.phonemes import (
    BILABIALS,
    ENGLISH,
    FOREIGN,
    LABIODENTALS,
    OPEN_VOWELS,
    SILENCE,
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


def test_the_labels_are_arpabet_and_three_more():
    assert sorted(ENGLISH) == ARPABET
    assert all(normalize_label(label) == label for label in ENGLISH | FOREIGN)


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
