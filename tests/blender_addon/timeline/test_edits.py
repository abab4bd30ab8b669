# SPDX-License-Identifier: GPL-3.0-or-later
"""What moving, trimming, typing and deleting on the timeline makes of phones and words."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.standalone import ROOT_PACKAGE, addon_module

pytest.importorskip("bpy", reason="Blender's Python module (bpy) is not installed")
edits = addon_module("speech.timeline.edits")
timings = addon_module("speech.timeline.timing")
Item = edits.Item

FRAME = 1 / 24
BOUNDS = edits.Bounds(0.0, 3.0, FRAME)
SHOWN = timings.timing_of(
    [
        ("SIL", 0.0, 0.5), ("M", 0.5, 0.6), ("AA", 0.6, 0.9), ("P", 0.9, 1.0),
        ("HH", 1.0, 1.1), ("AY", 1.1, 1.5), ("SIL", 1.5, 2.0), ("UW", 2.0, 2.4),
    ],
    [("map", 0.5, 1.0), ("hi", 1.0, 1.5), ("ooh", 2.0, 2.4)],
)  # fmt: skip


def bad_input():
    import sys

    return sys.modules[f"{ROOT_PACKAGE}.engine.core.errors"].BadInputError


def items(timed, **changed):
    """All as they are, but those that are given by number as ``_2=("AH", None, 0.8)``."""
    return [Item(i, *changed.get(f"_{i}", (one[0],))) for i, one in enumerate(timed)]


def phones(*, words=None, added=(), deleted=(), **changed):
    given = [item for item in items(SHOWN.phones, **changed) if item.number not in deleted]
    return edits.edited(SHOWN, words, [*given, *added], BOUNDS)


def words(*, added=(), deleted=(), phones=None, **changed):
    given = [item for item in items(SHOWN.words, **changed) if item.number not in deleted]
    return edits.edited(SHOWN, [*given, *added], phones, BOUNDS)


def rounded(timed):
    return [(text, round(start, 4), round(end, 4)) for text, start, end in timed]


def test_nothing_done_changes_nothing():
    assert edits.edited(SHOWN, None, None, BOUNDS) == SHOWN
    assert edits.edited(SHOWN, items(SHOWN.words), items(SHOWN.phones), BOUNDS) == SHOWN


def test_a_phones_edge_takes_the_one_that_touches_it_along():
    later = phones(_1=("AA", None, 0.95))
    assert rounded(later.phones)[1:3] == [("AA", 0.6, 0.95), ("P", 0.95, 1.0)]
    assert rounded(phones(_2=("P", 0.8, None)).phones)[1:3] == [("AA", 0.6, 0.8), ("P", 0.8, 1.0)]
    assert later.words == SHOWN.words


def test_a_phone_that_is_dragged_whole_takes_both_neighbours_along():
    made = rounded(phones(_1=("AA", 0.65, 0.95)).phones)
    assert made[:3] == [("M", 0.5, 0.65), ("AA", 0.65, 0.95), ("P", 0.95, 1.0)]


def test_a_phone_beside_a_pause_moves_into_it_alone():
    made = phones(_4=("AY", None, 1.7), _5=("UW", 1.9, None))
    assert rounded(made.phones)[4:] == [("AY", 1.1, 1.7), ("UW", 1.9, 2.4)]
    assert rounded(made.words)[1:] == [("hi", 1.0, 1.7), ("ooh", 1.9, 2.4)]


def test_a_phone_can_be_dragged_before_others():
    made = phones(_2=("P", 0.4, 0.5))
    assert rounded(made.phones)[:3] == [("P", 0.4, 0.5), ("M", 0.5, 0.6), ("AA", 0.6, 0.9)]
    assert rounded(made.words)[0] == ("map", 0.4, 0.9)


def test_the_boundary_of_two_words_moves_with_their_phones():
    made = phones(_2=("P", None, 1.05))
    assert rounded(made.words)[:2] == [("map", 0.5, 1.05), ("hi", 1.05, 1.5)]
    assert rounded(made.phones)[3] == ("HH", 1.05, 1.1)


def test_a_typed_phone_keeps_its_time():
    made = phones(_0=(" B ",))
    assert made.phones[0] == ("B", 0.5, 0.6)
    assert made.phones[1:] == SHOWN.phones[1:]


@pytest.mark.parametrize(
    ("deleted", "left"),
    [
        ((1,), [("M", 0.5, 0.75), ("P", 0.75, 1.0)]),
        ((0,), [("AA", 0.5, 0.9), ("P", 0.9, 1.0)]),
        ((1, 2), [("M", 0.5, 0.8), ("HH", 0.8, 1.1)]),
        ((5,), [("M", 0.5, 0.6), ("AA", 0.6, 0.9)]),
    ],
)
def test_the_time_of_a_deleted_phone_goes_to_those_that_touched_it(deleted, left):
    assert rounded(phones(deleted=deleted).phones)[:2] == left


def test_a_word_whose_phones_are_all_deleted_goes_with_them():
    made = phones(deleted=(5,))
    assert [word.text for word in made.words] == ["map", "hi"]


def test_a_phone_with_an_empty_text_is_deleted():
    assert phones(_1=("  ",)) == phones(deleted=(1,))


def test_an_added_phone_splits_the_one_that_it_lies_in():
    made = phones(added=[Item(None, "P", 1.25, 1.3)])
    assert rounded(made.phones)[4:7] == [("AY", 1.1, 1.25), ("P", 1.25, 1.3), ("AY", 1.3, 1.5)]
    assert made.words == SHOWN.words


def test_a_phone_that_is_cut_in_two_keeps_its_neighbours():
    made = phones(_4=("AY", None, 1.25), added=[Item(None, "AY", 1.25, 1.5)])
    assert rounded(made.phones)[3:6] == [("HH", 1.0, 1.1), ("AY", 1.1, 1.25), ("AY", 1.25, 1.5)]
    made = phones(_1=("AA", None, 0.75), added=[Item(None, "AA", 0.75, 0.9167)])
    # The cut half ends on the frame on which P begins: there is one edge.
    assert rounded(made.phones)[1:4] == [("AA", 0.6, 0.75), ("AA", 0.75, 0.9), ("P", 0.9, 1.0)]


def test_a_moved_word_takes_its_phones_along_and_leaves_a_pause():
    made = words(_2=("ooh", 1.6, 2.2))
    assert rounded(made.phones)[5:] == [("UW", 1.6, 2.2)]
    made = words(_0=("map", 0.25, 0.75))
    assert rounded(made.phones)[:4] == [
        *(("M", 0.25, 0.35), ("AA", 0.35, 0.65), ("P", 0.65, 0.75), ("HH", 1.0, 1.1)),
    ]


def test_a_trimmed_word_squeezes_its_phones():
    made = words(_1=("hi", None, 1.25))
    assert rounded(made.phones)[3:5] == [("HH", 1.0, 1.05), ("AY", 1.05, 1.25)]


def test_a_word_that_is_run_into_gives_way_with_its_phones():
    made = words(_0=("map", None, 1.25))
    assert rounded(made.words)[:2] == [("map", 0.5, 1.25), ("hi", 1.25, 1.5)]
    assert rounded(made.phones)[3:5] == [("HH", 1.25, 1.3), ("AY", 1.3, 1.5)]


def test_a_typed_word_loses_its_phones_and_keeps_its_time():
    made = words(_1=("bye",))
    assert made.words[1] == ("bye", 1.0, 1.5)
    assert [phone.label for phone in made.phones] == ["M", "AA", "P", "UW"]


def test_an_added_word_makes_room_and_has_no_phones_yet():
    made = words(added=[Item(None, "no", 1.4, 1.8)])
    assert rounded(made.words)[1:3] == [("hi", 1.0, 1.4), ("no", 1.4, 1.8)]
    assert not [phone for phone in made.phones if 1.4 <= phone.start < 1.8]


def test_a_deleted_word_goes_with_its_phones():
    made = words(deleted=(1,))
    assert [word.text for word in made.words] == ["map", "ooh"]
    assert [phone.label for phone in made.phones] == ["M", "AA", "P", "UW"]


def test_words_and_phones_that_are_moved_together_move_once():
    own = enumerate(SHOWN.phones[:3])
    moved = {f"_{i}": (text, start - 0.25, end - 0.25) for i, (text, start, end) in own}
    together = items(SHOWN.phones, **moved)
    made = words(_0=("map", 0.25, 0.75), phones=together)
    assert rounded(made.phones)[:3] == [("M", 0.25, 0.35), ("AA", 0.35, 0.65), ("P", 0.65, 0.75)]
    assert rounded(made.words)[0] == ("map", 0.25, 0.75)
    assert made.phones[3:] == SHOWN.phones[3:]


def test_what_reaches_beyond_the_sound_is_cut_there():
    made = words(_2=("ooh", 2.8, 3.2), _0=("map", -0.2, 0.3))
    assert rounded(made.words)[2] == ("ooh", 2.8, 3.0)
    assert rounded(made.words)[0] == ("map", 0.0, 0.3)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda: phones(_5=("UW", 3.2, 3.6)), "'UW' lies outside"),
        (lambda: words(_0=("map", -1.0, -0.5)), "'map' lies outside"),
        (lambda: phones(_1=("AA", None, 1.0)), "Nothing is left of the phone 'P' at"),
        (lambda: words(_0=("map", None, 1.6)), "Nothing is left of the word 'hi'"),
        (lambda: words(_0=("map", 1.0, 1.5)), "Nothing is left of the word"),
        (lambda: phones(added=[Item(None, "P", 0.5, 0.6)]), "Nothing is left of the phone 'M'"),
    ],
)
def test_what_would_be_covered_altogether_is_named(change, named):
    with pytest.raises(bad_input(), match=named) as caught:
        change()
    assert caught.value.hint


@given(st.data())
def test_whatever_is_done_leaves_phones_and_words_in_turn(data):
    def some(timed):
        given = []
        for i, (text, start, end) in enumerate(timed):
            what = data.draw(st.sampled_from(["keep", "keep", "keep", "move", "trim", "gone"]))
            by = data.draw(st.integers(-6, 6)) * FRAME
            if what == "move":
                given.append(Item(i, text, start + by, end + by))
            elif what == "trim":
                given.append(Item(i, text, None, end + by))
            elif what == "keep":
                given.append(Item(i, text))
        return given

    try:
        made = edits.edited(SHOWN, some(SHOWN.words), some(SHOWN.phones), BOUNDS)
    except bad_input():
        return
    for timed in made:
        assert all(0 <= one.start < one.end <= 3.0 for one in timed)
        assert all(a.end <= b.start + 1e-9 for a, b in pairwise(timed))


def test_a_timing_is_kept_as_json():
    assert timings.read_timing(SHOWN.to_json()) == SHOWN
