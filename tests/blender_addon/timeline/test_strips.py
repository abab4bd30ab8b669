# SPDX-License-Identifier: GPL-3.0-or-later
"""Phones and words that are trimmed, dragged, typed, deleted and cut on Blender's timeline."""

from __future__ import annotations

import pytest

from tests.blender_addon.timeline.shown_line import START


def test_what_nobody_touched_is_no_change(blender, addon, line, take_in):
    blender.ops.gaussianspeech.show_words()
    blender.ops.gaussianspeech.show_phones()
    assert not addon("speech.timeline.shown").is_changed(blender.context, line)
    assert take_in() == (False, False)
    assert not line.timeline.timing
    assert not addon("speech.lines").out_of_date(blender.context, line)


def test_a_trimmed_phone_takes_its_neighbour_along(
    blender, addon, line, strips, lie, set_range, take_in, timing
):
    blender.ops.gaussianspeech.show_phones()
    phone = strips("phone")[1]
    channel = phone.channel
    set_range(phone, last=22)
    assert addon("speech.timeline.shown").is_changed(blender.context, line)
    assert take_in() == (True, False)
    phones, words = timing()
    assert phones[1:3] == [("AA", 0.3, 0.44), ("P", 0.44, 0.6)]
    assert words == [("map", 0.2, 0.6), ("hi", 0.6, 1.0)]
    # What was not moved keeps its exact time, and the neighbour's strip has followed.
    assert phones[0] == ("M", 0.2, 0.3)
    assert lie("phone")[1:3] == [("AA", 18, 22), ("P", 22, 26)]
    assert strips("phone")[1].channel == channel
    assert addon("speech.lines").out_of_date(blender.context, line) == (
        "Where its phones are was changed"
    )
    assert take_in() == (False, False)


def test_a_dragged_word_takes_its_phones_along(
    blender, line, strips, lie, set_range, take_in, timing
):
    blender.ops.gaussianspeech.show_words()
    blender.ops.gaussianspeech.show_phones()
    set_range(strips("word")[1], 29, 39)
    take_in()
    assert lie("phone")[3:] == [("HH", 29, 32), ("AY", 32, 39)]
    assert timing()[1] == [("map", 0.2, 0.6), ("hi", 0.72, 1.12)]


def test_a_typed_phone_and_word_change_what_is_said(blender, line, strips, take_in, timing):
    blender.ops.gaussianspeech.show_phones()
    strips("phone")[0].text = "B"
    take_in()
    assert timing()[0][0] == ("B", 0.2, 0.3)
    blender.ops.gaussianspeech.show_words()
    strips("word")[1].text = "bye"
    take_in()
    phones, words = timing()
    assert [label for label, *_ in phones] == ["B", "AA", "P"]
    assert words[1] == ("bye", 0.6, 1.0)


def test_a_deleted_phone_gives_its_time_away(blender, addon, line, strips, lie, take_in, timing):
    blender.ops.gaussianspeech.show_phones()
    editor = blender.context.scene.sequence_editor
    addon("compat").strips(editor).remove(strips("phone")[2])
    take_in()
    assert timing()[0][1:3] == [("AA", 0.3, 0.55), ("HH", 0.55, 0.7)]
    assert [text for text, *_ in lie("phone")] == ["M", "AA", "HH", "AY"]


def test_a_strip_cut_in_two_is_two_phones(blender, addon, line, strips, set_range, take_in, timing):
    blender.ops.gaussianspeech.show_phones()
    phone = strips("phone")[4]
    set_range(phone, last=32)
    editor = blender.context.scene.sequence_editor
    half = addon("compat").new_text_strip(editor, "half", phone.text, phone.channel, (32, 36))
    for name in ("gaussianspeech_line", "gaussianspeech_mark"):
        half[name] = phone[name]
    take_in()
    assert timing()[0][4:] == [("AY", 0.7, 0.84), ("AY", 0.84, 1.0)]


def test_deleting_all_strips_hides_them(blender, addon, line, strips, take_in, timing):
    before = timing()
    blender.ops.gaussianspeech.show_words()
    editor = blender.context.scene.sequence_editor
    for strip in strips("word"):
        addon("compat").strips(editor).remove(strip)
    assert take_in() == (False, False)
    assert timing() == before
    assert not line.timeline.shown


@pytest.mark.parametrize(
    ("number", "first", "last", "named"),
    [
        (0, 60, 70, "'map' lies outside"),
        (0, -20, -10, "'map' lies outside"),
        (0, 16, 40, "Nothing is left of the word 'hi'"),
    ],
)
def test_what_cannot_be_spoken_is_named_and_left_as_it_lies(
    blender, addon, line, strips, lie, set_range, take_in, timing, number, first, last, named
):
    before = timing()
    blender.ops.gaussianspeech.show_words()
    strip = strips("word")[number]
    set_range(strip, first, last)
    errors = addon("speech.timeline.shown").BadInputError
    with pytest.raises(errors, match=named) as caught:
        take_in()
    assert caught.value.hint
    assert (strip.text, first, last) in lie("word")
    assert timing() == before


def test_moving_the_sound_moves_what_is_shown(blender, line, lie, take_in, timing):
    before = timing()
    blender.ops.gaussianspeech.show_words()
    line.start_frame = START + 10
    assert take_in() == (False, False)
    assert lie("word") == [("map", 26, 36), ("hi", 36, 46)]
    blender.context.scene.render.fps = 50
    assert take_in() == (False, False)
    assert lie("word") == [("map", 31, 51), ("hi", 51, 71)]
    assert timing() == before


def test_moving_the_sound_with_what_is_shown_is_no_edit(
    blender, line, strips, lie, set_range, take_in, timing
):
    before = timing()
    blender.ops.gaussianspeech.show_words()
    line.start_frame = START + 10
    for strip, first in zip(reversed(strips("word")), (36, 26), strict=True):
        set_range(strip, first, first + 10)
    assert take_in() == (False, False)
    assert lie("word") == [("map", 26, 36), ("hi", 36, 46)]
    assert timing() == before


def test_as_markers_boundaries_are_dragged(blender, line, lie, take_in, timing):
    line.timeline.markers = True
    own = blender.context.scene.timeline_markers.new("mine", frame=3)
    blender.ops.gaussianspeech.show_words()
    blender.ops.gaussianspeech.show_phones()
    markers = blender.context.scene.timeline_markers
    named = [(marker.name, marker.frame) for marker in markers]
    assert named == [
        ("mine", 3), ("map", 16), ("hi", 26), ("…", 36),
        ("/M/", 16), ("/AA/", 18), ("/P/", 24), ("/HH/", 26), ("/AY/", 28), ("//", 36),
    ]  # fmt: skip
    assert not lie("word")
    assert take_in() == (False, False)
    markers["/P/"].frame = 22
    assert take_in() == (True, False)
    assert timing()[0][1:3] == [("AA", 0.3, 0.44), ("P", 0.44, 0.6)]
    markers["/M/"].name = "B"
    take_in()
    assert timing()[0][0] == ("B", 0.2, 0.3)
    assert markers.get("/B/") is not None
    markers.remove(markers["/HH/"])
    take_in()
    assert [label for label, *_ in timing()[0]] == ["B", "AA", "P", "AY"]
    blender.ops.gaussianspeech.hide_timeline()
    assert [(m.name, m.frame) for m in blender.context.scene.timeline_markers] == [("mine", 3)]
    assert own.name == "mine"
