# SPDX-License-Identifier: GPL-3.0-or-later
"""Spans of a line whose lips are held closed, or that are spoken with a strength of their own."""

from __future__ import annotations

import pytest

from tests.blender_addon.timeline.shown_line import played


def test_the_lips_are_held_closed_at_the_playhead_and_nowhere_else(blender, head, line, lie):
    blender.context.scene.frame_set(20)
    assert blender.ops.gaussianspeech.hold_closed(duration=0.24) == {"FINISHED"}
    assert lie("span") == [("Hold Closed", 20, 26)]
    for frame in range(20, 27):
        values, gap = played(blender, head, frame)
        assert abs(gap) < 1e-5
        assert values["mouthSmileLeft"] == pytest.approx(0.2, abs=1e-4)
    for frame in (12, 16, 30, 38):
        assert played(blender, head, frame)[1] > 0.012


def test_the_lips_are_held_closed_over_selected_words(blender, head, line, strips, lie):
    blender.ops.gaussianspeech.show_words()
    strips("word")[1].select = True
    blender.ops.gaussianspeech.hold_closed()
    assert lie("span") == [("Hold Closed", 26, 36)]
    assert abs(played(blender, head, 30)[1]) < 1e-5


def test_a_hold_is_trimmed_and_deleted_on_the_timeline(
    blender, addon, head, line, strips, set_range, take_in
):
    blender.context.scene.frame_set(20)
    blender.ops.gaussianspeech.hold_closed(duration=0.4)
    set_range(strips("span")[0], last=24)
    assert take_in() == (False, True)
    blender.ops.gaussianspeech.rebake()
    assert abs(played(blender, head, 23)[1]) < 1e-5
    assert played(blender, head, 28)[1] > 0.012
    blender.ops.gaussianspeech.remove_span(index=0)
    assert not strips("span")
    assert played(blender, head, 22)[1] == pytest.approx(0.013, abs=1e-4)


def test_a_phrase_is_spoken_with_its_own_strength(blender, head, line, strips, lie, take_in):
    blender.context.scene.frame_set(30)
    assert blender.ops.gaussianspeech.phrase_strength(amount=0.5) == {"FINISHED"}
    assert lie("span") == [("Strength 0.50", 26, 36)]
    assert played(blender, head, 31)[0]["jawOpen"] == pytest.approx(0.2, abs=1e-3)
    assert played(blender, head, 14)[0]["jawOpen"] == pytest.approx(0.4, abs=1e-3)
    line.timeline.spans[0].amount = 1.5
    assert played(blender, head, 31)[0]["jawOpen"] == pytest.approx(0.6, abs=1e-3)
    assert lie("span") == [("Strength 1.50", 26, 36)]
    strips("span")[0].text = "Strength 0.25"
    assert take_in() == (False, True)
    blender.ops.gaussianspeech.rebake()
    assert played(blender, head, 31)[0]["jawOpen"] == pytest.approx(0.1, abs=1e-3)
    strips("span")[0].text = "Strength strong"
    with pytest.raises(Exception, match="no strength of a phrase"):
        take_in()


def test_a_strength_needs_a_word(blender, line):
    blender.context.scene.frame_set(3)
    with pytest.raises(RuntimeError, match="no word at frame 3"):
        blender.ops.gaussianspeech.phrase_strength()
    assert not line.timeline.spans


def test_a_copy_of_a_line_has_its_spans_and_shows_nothing(blender, head, line, lie):
    blender.context.scene.frame_set(20)
    blender.ops.gaussianspeech.hold_closed()
    blender.ops.gaussianspeech.duplicate_line()
    copy = head.gaussianspeech_lines[-1]
    assert [span.kind for span in copy.timeline.spans] == ["HOLD_CLOSED"]
    assert not copy.timeline.shown
    blender.ops.gaussianspeech.rebake()
    assert abs(played(blender, head, 21)[1]) < 1e-5


def test_what_is_held_and_shown_is_undone_by_one_step_each(blender, line, one_step):
    operators = blender.ops.gaussianspeech
    blender.context.scene.frame_set(18)
    one_step(operators.hold_closed, duration=0.2)
    one_step(operators.phrase_strength, amount=0.5)
    one_step(operators.show_words)
    one_step(operators.show_phones)
    one_step(operators.hide_timeline)
