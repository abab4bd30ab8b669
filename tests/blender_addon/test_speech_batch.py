# SPDX-License-Identifier: GPL-3.0-or-later
"""Many lines at once: strips of a channel, a folder, a script, subtitles, and two who talk."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.blender_addon.ramp_sound import add_strips, asked, second_at, strips, strips_of
from tests.blender_addon.speaking import action_of, frames_of, strip_of
from tests.blender_addon.spoken_head import NAMES, head

__all__ = ["asked", "head"]

LENGTH = 96
"""Frames of the ramp."""


@pytest.fixture
def other(audible, head):
    """A second head beside the first, which stays the active object."""
    copy = head.copy()
    copy.data, copy.name = head.data.copy(), "Anna"
    audible.context.collection.objects.link(copy)
    return copy


def select(blender, obj):
    blender.context.view_layer.objects.active = obj
    for each in blender.context.scene.objects:
        each.select_set(each == obj)


def texts(obj):
    return [line.text for line in obj.gaussianspeech_lines]


def test_all_strips_of_a_channel_become_lines_that_are_predicted(audible, head, asked, ramp):
    add_strips(audible, ramp, 301, 1, 151)
    add_strips(audible, ramp, 1, channel=3)
    assert audible.ops.gaussianspeech.lines_from_strips(channel=1) == {"FINISHED"}
    assert [line.name for line in head.gaussianspeech_lines] == ["take 1", "take 151", "take 301"]
    assert len(asked) == 3
    for first in (1, 151, 301):
        assert second_at(audible, head, first + 48) == pytest.approx(2.0, abs=0.005)
    assert "3 lines" in audible.context.window_manager.gaussianspeech_status.message
    with pytest.raises(RuntimeError, match="channel 1 is a line already"):
        audible.ops.gaussianspeech.lines_from_strips(channel=1)
    assert audible.ops.gaussianspeech.lines_from_strips(predict=False) == {"FINISHED"}
    assert len(head.gaussianspeech_lines) == 4
    assert len(asked) == 3


def test_copies_of_one_strip_are_lines_of_their_own(audible, addon, head, asked, ramp):
    add_strips(audible, ramp, 1, 151)
    first, second = strips(audible)
    first["gaussianspeech_id"] = second["gaussianspeech_id"] = "same"
    audible.ops.gaussianspeech.lines_from_strips()
    one, two = head.gaussianspeech_lines
    assert one.strip_id != two.strip_id
    assert (frames_of(head, one)[0], frames_of(head, two)[0]) == (1, 151)


def test_a_failure_in_the_middle_keeps_what_was_done(audible, addon, head, asked, ramp, tmp_path):
    add_strips(audible, ramp, 1, 151)
    gone = tmp_path / "gone.wav"
    shutil.copy(ramp, gone)
    strips_of(audible).new_sound("gone", str(gone), 1, 301)
    gone.unlink()
    with pytest.raises(RuntimeError, match=r"gone\.wav"):
        audible.ops.gaussianspeech.lines_from_strips()
    lines = head.gaussianspeech_lines
    assert [action_of(head, line) is not None for line in lines] == [True, True, False]
    status = audible.context.window_manager.gaussianspeech_status
    assert status.is_error
    assert not status.busy


def test_a_folder_is_added_by_name_one_after_the_other(audible, addon, head, asked, ramp, tmp_path):
    for name in ("line 10.wav", "line 2.wav", "notes.txt"):
        shutil.copy(ramp, tmp_path / name)
    (tmp_path / "._line 2.wav").write_bytes(b"what macOS leaves on foreign disks")
    audible.context.scene.frame_current = 21
    audible.context.scene.frame_end = 50
    done = audible.ops.gaussianspeech.lines_from_folder(directory=str(tmp_path), gap=12)
    assert done == {"FINISHED"}
    lines = head.gaussianspeech_lines
    assert [line.name for line in lines] == ["line 2", "line 10"]
    assert [frames_of(head, line)[0] for line in lines] == [21, 21 + LENGTH + 12]
    assert len({strip.channel for strip in strips(audible)}) == 1
    assert audible.context.scene.frame_end == 21 + 2 * LENGTH + 12 - 1
    assert len(asked) == 2


@pytest.mark.parametrize("content", [None, b"this is no sound"])
def test_a_folder_that_cannot_be_used_leaves_nothing(audible, head, asked, ramp, tmp_path, content):
    if content is not None:
        shutil.copy(ramp, tmp_path / "a.wav")
        (tmp_path / "b.wav").write_bytes(content)
    word = "no recordings" if content is None else r"b\.wav"
    with pytest.raises(RuntimeError, match=word):
        audible.ops.gaussianspeech.lines_from_folder(directory=str(tmp_path))
    assert not head.gaussianspeech_lines
    assert not audible.context.scene.sequence_editor or not strips(audible)


def test_a_script_is_split_over_the_lines_in_their_order(audible, head, asked, ramp, tmp_path):
    add_strips(audible, ramp, 151, 1)
    audible.ops.gaussianspeech.lines_from_strips(predict=False)
    path = tmp_path / "scene 3.txt"
    path.write_text("Who goes there?\n\nNote: nobody.\n")
    assert audible.ops.gaussianspeech.texts_from_script(filepath=str(path)) == {"FINISHED"}
    assert texts(head) == ["Who goes there?", "Note: nobody."]
    assert audible.ops.gaussianspeech.update_lines() == {"FINISHED"}
    assert [params["text"] for params in asked] == texts(head)
    path.write_text("One line alone.\n")
    with pytest.raises(RuntimeError, match="1 lines for 'Small', who has 2"):
        audible.ops.gaussianspeech.texts_from_script(filepath=str(path))
    assert texts(head) == ["Who goes there?", "Note: nobody."]


def test_subtitles_are_split_by_their_times(audible, head, asked, ramp, tmp_path):
    add_strips(audible, ramp, 1, 121)
    audible.ops.gaussianspeech.lines_from_strips(predict=False)
    path = tmp_path / "scene 3.srt"
    path.write_text(
        "1\n00:00:00,500 --> 00:00:01,500\nWho goes\n\n2\n00:00:02,000 --> 00:00:03,000\nthere?\n\n"
        "3\n00:00:05,500 --> 00:00:08,000\nNobody.\n"
    )
    assert audible.ops.gaussianspeech.texts_from_script(filepath=str(path)) == {"FINISHED"}
    assert texts(head) == ["Who goes there?", "Nobody."]
    path.write_text("1\n00:10:00,500 --> 00:10:01,500\nToo late\n")
    with pytest.raises(RuntimeError, match="No subtitle"):
        audible.ops.gaussianspeech.texts_from_script(filepath=str(path))


def text_grid(tiers):
    """A TextGrid of 12 seconds, whose tiers hold (text, start, end)."""
    parts = ['"ooTextFile"', '"TextGrid"', "0", "12", "<exists>", str(len(tiers))]
    for name, intervals in tiers.items():
        parts += ['"IntervalTier"', f'"{name}"', "0", "12", str(len(intervals))]
        parts += [f'{start} {end} "{text}"' for text, start, end in intervals]
    return "\n".join(parts)


def test_the_tiers_of_a_text_grid_are_split_by_speakers_and_times(
    audible, head, other, asked, ramp, tmp_path
):
    for obj, channel, frames in ((head, 1, (1, 241)), (other, 2, (121,))):
        add_strips(audible, ramp, *frames, channel=channel)
        select(audible, obj)
        audible.ops.gaussianspeech.lines_from_strips(channel=channel, predict=False)
    select(audible, head)
    path = tmp_path / "scene 3.TextGrid"
    small = [("Who goes", 0.5, 1.5), ("sil", 1.5, 2.0), ("there?", 2.0, 3.0), ("Ah.", 10.2, 11.0)]
    words = [("who", 0.5, 1.0), ("goes", 1.0, 1.5), ("there", 2.0, 3.0), ("ah", 10.2, 11.0)]
    phones = [("HH", 0.5, 0.7), ("UW1", 0.7, 1.0)]
    nobody = [("no", 5.2, 5.4), ("body", 5.4, 6.0)]
    tiers = {"Berta": [("Not here.", 0.5, 3.0)], "phones": phones, "words": words, "SMALL": small}
    tiers |= {"anna - words": nobody, "anna - phones": [("N", 5.2, 5.4)]}
    path.write_text(text_grid(tiers))
    assert audible.ops.gaussianspeech.texts_from_script(filepath=str(path)) == {"FINISHED"}
    assert texts(head) == ["Who goes there?", "Ah."]
    assert texts(other) == ["no body"]
    path.write_text(text_grid({"words": words}))
    audible.ops.gaussianspeech.texts_from_script(filepath=str(path))
    assert texts(head) == ["who goes there", "ah"]
    path.write_text(text_grid({"anna": [("Too late", 11, 12)], "words": [("well", 0.5, 1.0)]}))
    with pytest.raises(RuntimeError, match="No subtitle is spoken while a line of 'Anna' plays"):
        audible.ops.gaussianspeech.texts_from_script(filepath=str(path))
    assert texts(head) == ["who goes there", "ah"]
    path.write_text(text_grid({"phones": phones}))
    with pytest.raises(RuntimeError, match="has no text"):
        audible.ops.gaussianspeech.texts_from_script(filepath=str(path))


def test_two_talk_with_each_other(audible, addon, head, other, asked, ramp, tmp_path):
    for obj, channel, frames in ((head, 1, (1, 301)), (other, 2, (151,))):
        add_strips(audible, ramp, *frames, channel=channel)
        select(audible, obj)
        audible.ops.gaussianspeech.lines_from_strips(channel=channel, predict=False)
    path = tmp_path / "dialogue.txt"
    path.write_text("Small: Who goes there?\nANNA: Nobody.\nsmall: I hear nobody.\n")
    audible.ops.gaussianspeech.texts_from_script(filepath=str(path))
    assert texts(head) == ["Who goes there?", "I hear nobody."]
    assert texts(other) == ["Nobody."]
    assert audible.ops.gaussianspeech.update_lines(everybody=True) == {"FINISHED"}
    assert len(asked) == 3
    for obj, speaking, silent in ((head, (1, 301), 151), (other, (151,), 1)):
        for first in speaking:
            assert second_at(audible, obj, first + 48) == pytest.approx(2.0, abs=0.005)
        assert second_at(audible, obj, silent + 48) == 0.0
    head.gaussianspeech_speech.strength = 0.5
    assert second_at(audible, other, 199) == pytest.approx(2.0, abs=0.005)
    audible.context.scene.render.fps = 30
    audible.context.view_layer.update()
    for obj in (head, other):
        for line in obj.gaussianspeech_lines:
            assert strip_of(obj.data.shape_keys, line).scale == pytest.approx(30 / 24)
    assert audible.ops.gaussianspeech.update_lines(everybody=True) == {"CANCELLED"}
    status = audible.context.window_manager.gaussianspeech_status
    assert (status.message, status.is_error) == ("All lines are up to date", False)


def test_a_batch_is_one_step_of_undo(audible, head, asked, ramp):
    add_strips(audible, ramp, 1, 151)
    audible.ops.ed.undo_push(message="strips")
    audible.ops.gaussianspeech.lines_from_strips()
    audible.ops.ed.undo_push(message="lines")
    audible.ops.ed.undo()
    obj = audible.data.objects["Small"]
    assert not obj.gaussianspeech_lines
    assert not audible.data.actions
    audible.context.scene.frame_set(48)
    assert not np.any([obj.data.shape_keys.key_blocks[name].value for name in NAMES])
