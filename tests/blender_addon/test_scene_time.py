# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech stays with its sound where the scene's frames are not those of the sequencer."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.ramp_sound import SECONDS, asked
from tests.blender_addon.speaking import line_of
from tests.blender_addon.spoken_head import head

__all__ = ["asked", "head"]

FPS = 24


@pytest.fixture
def scene(audible, head):
    return audible.context.scene


@pytest.fixture
def opened(audible, scene, head):
    """How far the jaw is open: a quarter for each second of the sound."""

    def opened(frame):
        scene.frame_set(frame)
        return head.data.shape_keys.key_blocks["jawOpen"].value

    return opened


def speak(blender, ramp):
    blender.ops.gaussianspeech.import_sound(filepath=str(ramp))
    assert blender.ops.gaussianspeech.predict() == {"FINISHED"}


def test_time_that_is_remapped_leaves_speech_with_its_sound(
    audible, scene, opened, asked, ramp, addon, head
):
    speak(audible, ramp)
    expected = [opened(frame) for frame in range(1, 95)]
    assert expected[48] == pytest.approx(48 / FPS / SECONDS, abs=0.01)
    scene.render.frame_map_old, scene.render.frame_map_new = 100, 125
    audible.context.view_layer.update()
    np.testing.assert_allclose([opened(frame) for frame in range(1, 95)], expected, atol=0.01)
    assert not addon("speech.lines").out_of_date(audible.context, line_of(head))
    # A line that is baked then is where the other was, and is exported with the same frames.
    audible.ops.gaussianspeech.predict()
    np.testing.assert_allclose([opened(frame) for frame in range(1, 95)], expected, atol=0.01)
    assert addon("export.ops").speech_frames(head) == range(1, 97)


def scene_strip(blender, addon, scene, frames, *, trimmed=0):
    """Another scene that shows a scene over the frames, the first of which is trimmed."""
    edit = blender.data.scenes.new("Edit")
    edit.render.fps = FPS
    edit.sequence_editor_create()
    compat = addon("compat")
    first, last = frames
    strip = compat.strips(edit.sequence_editor).new_scene("Shot", scene, 2, first - trimmed)
    if hasattr(strip, "left_handle"):
        strip.left_handle, strip.right_handle = first, last
    else:
        strip.frame_final_start, strip.frame_final_end = first, last
    return edit, strip


@pytest.mark.parametrize("trimmed", [0, 30])
def test_a_sound_of_the_edit_is_spoken_where_the_edit_shows_the_scene(
    audible, scene, opened, asked, ramp, addon, head, trimmed
):
    scene.frame_start, scene.frame_end = 1001, 1300
    edit, shown = scene_strip(audible, addon, scene, (101, 250), trimmed=trimmed)
    sound = addon("speech.strip").add_sound_strip(edit, ramp, 111)
    line = addon("speech.line_list").add_line(head, "ramp")
    line.source, line.strip = "STRIP", sound.name
    assert audible.ops.gaussianspeech.predict() == {"FINISHED"}
    # Frame 101 of the edit is 1001 of the scene, and what was trimmed later.
    begin = 1011 + trimmed
    assert opened(begin + 48) == pytest.approx(48 / FPS / SECONDS, abs=0.01)
    assert opened(begin - 20) == pytest.approx(0.0, abs=1e-4)
    lines = addon("speech.lines")
    assert not lines.out_of_date(audible.context, line_of(head))
    # The edit shows it later: the line follows with Update.
    name = "content_start" if hasattr(shown, "content_start") else "frame_start"
    setattr(shown, name, getattr(shown, name) + 5)
    assert lines.out_of_date(audible.context, line_of(head)) == "Its sound was moved or trimmed"
    audible.ops.gaussianspeech.update_line()
    assert opened(begin - 5 + 48) == pytest.approx(48 / FPS / SECONDS, abs=0.01)


def test_a_sound_is_imported_where_the_edit_shows_the_playhead(
    audible, scene, asked, ramp, addon, head, monkeypatch
):
    scene.frame_start, scene.frame_end = 1001, 1300
    edit, _ = scene_strip(audible, addon, scene, (101, 250))
    compat = addon("compat")
    monkeypatch.setattr(compat, "sequencer_scene", lambda _context: edit)
    scene.frame_set(1011)
    audible.ops.gaussianspeech.import_sound(filepath=str(ramp))
    (strip,) = [each for each in compat.all_strips(edit.sequence_editor) if each.type == "SOUND"]
    assert compat.strip_range(strip)[0] == 111
    audible.ops.gaussianspeech.predict()
    scene.frame_set(1011 + 48)
    assert head.data.shape_keys.key_blocks["jawOpen"].value == pytest.approx(0.5, abs=0.01)


def test_in_an_edit_that_does_not_show_the_scene_frames_are_the_same(
    audible, scene, opened, asked, ramp, addon, head
):
    other = audible.data.scenes.new("Other")
    edit, _ = scene_strip(audible, addon, other, (101, 250))
    sound = addon("speech.strip").add_sound_strip(edit, ramp, 111)
    line = addon("speech.line_list").add_line(head, "ramp")
    line.source, line.strip = "STRIP", sound.name
    audible.ops.gaussianspeech.predict()
    assert opened(111 + 48) == pytest.approx(48 / FPS / SECONDS, abs=0.01)
