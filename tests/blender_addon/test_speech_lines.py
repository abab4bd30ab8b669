# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines stay with their sounds: moved, renamed, trimmed, at another frame rate, several, of two.

The sound is a ramp whose loudness is its time. A function stands in for the engine that opens the
jaw by the time: at every frame the jaw says which second of the sound it belongs to.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.ramp_sound import (
    asked,
    second_at,
    seconds_played,
    strips,
    strips_of,
    trim,
)
from tests.blender_addon.slicing import slices
from tests.blender_addon.speaking import action_of, frames_of, line_of, strip_of
from tests.blender_addon.spoken_head import FRAMES, curves, head, played, speak

__all__ = ["asked", "head", "slices", "speak"]

FPS = 24


@pytest.fixture
def spoken(audible, head, asked, ramp):
    """The strip of a line that the head speaks from frame 11 on, at 24 frames per second."""
    scene = audible.context.scene
    scene.render.fps, scene.frame_current = FPS, 11
    audible.ops.gaussianspeech.import_sound(filepath=str(ramp))
    assert audible.ops.gaussianspeech.predict() == {"FINISHED"}
    return strips(audible)[0]


def move(strip, frame):
    setattr(strip, "content_start" if hasattr(strip, "content_start") else "frame_start", frame)


def state(addon, blender, obj):
    return addon("speech.lines").out_of_date(blender.context, line_of(obj))


def test_the_jaw_shows_what_blender_plays(mixing, head, spoken, tmp_path):
    sounding = seconds_played(mixing, 59, tmp_path)
    assert second_at(mixing, head, 59) == pytest.approx(sounding, abs=0.01)
    assert second_at(mixing, head, 59) == pytest.approx(2.0, abs=0.005)


def test_a_moved_strip_puts_its_line_out_of_date_and_update_follows(
    audible, addon, head, spoken, asked
):
    assert state(addon, audible, head) == ""
    move(spoken, 111)
    assert "moved" in state(addon, audible, head)
    assert audible.ops.gaussianspeech.update_line() == {"FINISHED"}
    assert state(addon, audible, head) == ""
    assert second_at(audible, head, 159) == pytest.approx(2.0, abs=0.005)
    assert len(asked) == 1


def test_a_renamed_strip_is_still_known(audible, addon, head, spoken, asked):
    spoken.name = "take 7, with laughter"
    assert state(addon, audible, head) == ""
    move(spoken, 111)
    audible.ops.gaussianspeech.update_line()
    assert second_at(audible, head, 159) == pytest.approx(2.0, abs=0.005)
    assert line_of(head).strip == "take 7, with laughter"
    assert len(asked) == 1


def test_a_copied_strip_does_not_take_the_line(audible, addon, head, spoken):
    copy = strips_of(audible).new_sound("copy", spoken.sound.filepath, 3, 301)
    copy["gaussianspeech_id"] = spoken["gaussianspeech_id"]
    assert state(addon, audible, head) == ""
    assert addon("speech.sound").strip_of_line(audible.context, line_of(head))[1] == spoken


def test_a_tighter_trim_needs_no_engine_and_starts_and_ends_at_rest(
    audible, addon, head, spoken, asked
):
    trim(spoken, 35, 83)
    assert "trimmed" in state(addon, audible, head)
    audible.ops.gaussianspeech.update_line()
    assert len(asked) == 1
    assert second_at(audible, head, 59) == pytest.approx(2.0, abs=0.005)
    assert second_at(audible, head, 35) == pytest.approx(1.0, abs=0.05)
    assert second_at(audible, head, 30) == second_at(audible, head, 88) == 0.0
    assert frames_of(head) == (35, 82)


def test_a_wider_trim_is_predicted(audible, addon, head, spoken, asked):
    trim(spoken, 35, 83)
    audible.ops.gaussianspeech.predict()
    assert len(asked) == 2
    trim(spoken, 35, 95)
    assert "more than was predicted" in state(addon, audible, head)
    audible.ops.gaussianspeech.update_line()
    assert len(asked) == 3
    assert state(addon, audible, head) == ""
    assert second_at(audible, head, 90) == pytest.approx((90 - 11) / FPS, abs=0.005)
    trim(spoken, 20, 95)
    assert "more than was predicted" in state(addon, audible, head)


def test_a_changed_text_is_predicted_and_a_recognised_one_is_no_change(
    audible, addon, head, spoken, asked
):
    assert line_of(head).text == "ramp"
    assert state(addon, audible, head) == ""
    line_of(head).text = "lamp"
    assert "text" in state(addon, audible, head)
    audible.ops.gaussianspeech.update_line()
    assert asked[-1]["text"] == "lamp"
    assert state(addon, audible, head) == ""


def test_a_deleted_strip_and_a_missing_file_are_reported(
    audible, addon, head, spoken, asked, tmp_path
):
    strips_of(audible).remove(spoken)
    assert "is gone" in state(addon, audible, head)
    with pytest.raises(RuntimeError, match="There is no sound strip 'ramp'"):
        audible.ops.gaussianspeech.update_line()
    assert action_of(head) is not None
    assert second_at(audible, head, 59) == pytest.approx(2.0, abs=0.005)


@pytest.mark.parametrize("trimmed", [False, True])
def test_another_frame_rate_keeps_the_line_in_sync(
    mixing, addon, head, spoken, asked, trimmed, tmp_path
):
    if trimmed:
        trim(spoken, 35, 83)
        mixing.ops.gaussianspeech.update_line()
    scene = mixing.context.scene
    scene.render.fps, scene.render.fps_base = 30, 1.001
    mixing.context.view_layer.update()
    frame = 60
    assert second_at(mixing, head, frame) == pytest.approx(
        seconds_played(mixing, frame, tmp_path), abs=0.01
    )
    mixing.ops.gaussianspeech.rebake()
    assert second_at(mixing, head, frame) == pytest.approx(
        seconds_played(mixing, frame, tmp_path), abs=0.01
    )
    assert state(addon, mixing, head) == ""
    assert len(asked) == 1


def test_a_file_without_a_strip_stays_in_sync(blender, addon, head, asked, ramp):
    blender.context.scene.render.fps = FPS
    line = addon("speech.line_list").add_line(head, "ramp")
    line.source, line.filepath, line.start_frame = "FILE", str(ramp), 11
    blender.ops.gaussianspeech.predict()
    assert second_at(blender, head, 59) == pytest.approx(2.0, abs=0.005)
    blender.context.scene.render.fps = 30
    blender.context.view_layer.update()
    assert second_at(blender, head, 71) == pytest.approx(2.0, abs=0.005)
    line.start_frame = 41
    assert "moved" in state(addon, blender, head)
    blender.ops.gaussianspeech.update_line()
    assert second_at(blender, head, 101) == pytest.approx(2.0, abs=0.005)
    assert len(asked) == 1


def test_lines_of_one_head_live_together(blender, head, speak):
    speak(clip="one", start=1.0)
    speak(clip="two", start=101.0)
    speak(clip="three", start=101.0 + FRAMES)
    for first in (1, 101, 101 + FRAMES):
        rows = played(blender, head, first=first)
        np.testing.assert_allclose(rows[2:-2], curves()[2:-2], atol=2e-3)
    between = played(blender, head, first=60, frames=30)
    assert not between.any()
    tracks = head.data.shape_keys.animation_data.nla_tracks
    assert [track.name for track in tracks] == [
        "GaussianSpeech Rest", "GaussianSpeech", "GaussianSpeech.001"
    ] or len(tracks) == 3  # fmt: skip


def test_a_moved_line_that_meets_another_takes_another_track(blender, head, speak):
    speak(clip="one", start=1.0)
    speak(clip="two", start=101.0)
    line = head.gaussianspeech_lines["two"]
    line.offset = -80
    np.testing.assert_allclose(played(blender, head, first=21), curves(), atol=2e-3)
    np.testing.assert_allclose(played(blender, head, frames=15), curves()[:15], atol=2e-3)


def test_a_muted_line_does_not_play(blender, head, speak):
    speak(clip="one", start=1.0)
    line = line_of(head)
    assert not line.muted
    line.muted = True
    assert line.muted
    assert not played(blender, head).any()
    speak(clip="one", start=1.0)
    assert line_of(head).muted


def test_a_line_can_have_controls_of_its_own(blender, head, speak):
    speak(clip="one", start=1.0)
    speak(clip="two", start=101.0)
    head.gaussianspeech_speech.strength = 0.8
    two = head.gaussianspeech_lines["two"]
    two.use_own_controls = True
    assert two.controls.strength == pytest.approx(0.8)
    two.controls.strength = 0.5
    np.testing.assert_allclose(played(blender, head), 0.8 * curves(), atol=2e-3)
    np.testing.assert_allclose(played(blender, head, first=101), 0.5 * curves(), atol=2e-3)
    head.gaussianspeech_speech.strength = 1.0
    np.testing.assert_allclose(played(blender, head), curves(), atol=2e-3)
    np.testing.assert_allclose(played(blender, head, first=101), 0.5 * curves(), atol=2e-3)
    two.strength = 0.5
    np.testing.assert_allclose(played(blender, head, first=101), 0.25 * curves(), atol=2e-3)


def test_a_slider_bakes_all_lines_and_update_those_whose_bake_was_cancelled(
    blender, addon, head, speak, slices
):
    speak(clip="one", start=1.0)
    speak(clip="two", start=101.0)
    head.gaussianspeech_speech.strength = 0.5
    slices.until(lambda: not slices.queue._queue or state(addon, blender, head) == "")
    blender.ops.gaussianspeech.cancel()
    one = head.gaussianspeech_lines["one"]
    assert state(addon, blender, head) == ""
    assert "controls" in addon("speech.lines").out_of_date(blender.context, one)
    np.testing.assert_allclose(played(blender, head, first=101), 0.5 * curves(), atol=2e-3)
    np.testing.assert_allclose(played(blender, head), curves(), atol=2e-3)
    assert blender.ops.gaussianspeech.update_lines() == {"FINISHED"}
    np.testing.assert_allclose(played(blender, head), 0.5 * curves(), atol=2e-3)


def test_keys_of_a_control_put_its_lines_out_of_date_and_playing_does_not(
    blender, addon, head, speak
):
    speak(clip="one", start=1.0)
    controls = head.gaussianspeech_speech
    controls.joy = 0.0
    controls.keyframe_insert("joy", frame=1)
    assert "controls" in state(addon, blender, head)
    blender.ops.gaussianspeech.update_line()
    assert state(addon, blender, head) == ""
    for frame in (1, 10, 20):
        blender.context.scene.frame_set(frame)
        assert state(addon, blender, head) == ""
    controls.joy = 0.5
    controls.keyframe_insert("joy", frame=20)
    assert "controls" in state(addon, blender, head)


def test_a_duplicate_is_a_take_of_its_own(blender, head, speak):
    speak(clip="one", start=1.0)
    assert blender.ops.gaussianspeech.duplicate_line() == {"FINISHED"}
    one, copy = head.gaussianspeech_lines
    assert (one.muted, copy.muted, copy.name) == (True, False, "one.001")
    assert action_of(head, one) != action_of(head, copy)
    copy.strength = 0.5
    np.testing.assert_allclose(played(blender, head), 0.5 * curves(), atol=2e-3)
    copy.muted, one.muted = True, False
    np.testing.assert_allclose(played(blender, head), curves(), atol=2e-3)
    assert blender.ops.gaussianspeech.rebake() == {"FINISHED"}
    blender.ops.gaussianspeech.remove_line()
    np.testing.assert_allclose(played(blender, head), curves(), atol=2e-3)


def test_a_strip_that_was_removed_comes_back_with_update(blender, addon, head, speak):
    speak(clip="one", start=1.0)
    keys = head.data.shape_keys
    for track in list(keys.animation_data.nla_tracks):
        keys.animation_data.nla_tracks.remove(track)
    assert "was removed" in state(addon, blender, head)
    assert blender.ops.gaussianspeech.update_line() == {"FINISHED"}
    np.testing.assert_allclose(played(blender, head), curves(), atol=2e-3)
    assert len([action for action in blender.data.actions if action.users]) == 2
    assert all(action.users for action in blender.data.actions)


@pytest.mark.parametrize("undone", ["remove_line", "duplicate_line", "add_line", "edit_line"])
def test_each_step_is_undone_at_once(blender, head, speak, undone):
    speak(clip="one", start=1.0)
    blender.ops.ed.undo_push(message="before")
    names = [line.name for line in head.gaussianspeech_lines]
    getattr(blender.ops.gaussianspeech, undone)()
    blender.ops.ed.undo_push(message="after")
    blender.ops.ed.undo()
    obj = blender.data.objects["Small"]
    assert [line.name for line in obj.gaussianspeech_lines] == names
    np.testing.assert_allclose(played(blender, obj), curves(), atol=2e-3)
    assert strip_of(obj.data.shape_keys, line_of(obj)) is not None


def test_lines_that_are_grouped_in_a_meta_strip_stay_lines(blender, addon, ramp, asked, head):
    blender.ops.gaussianspeech.import_sound(filepath=str(ramp))
    blender.ops.gaussianspeech.predict()
    line, keys = line_of(head), head.data.shape_keys
    before = played(blender, head)
    group(blender, keys)
    np.testing.assert_allclose(played(blender, head), before, atol=1e-5)
    lines = addon("speech.lines")
    assert not lines.out_of_date(blender.context, line)
    # Sliders, Update and predictions change what is in it, and put nothing beside it.
    actions = len(blender.data.actions)
    head.gaussianspeech_speech.jaw = 0.5
    assert played(blender, head)[:, 0].max() < 0.7 * before[:, 0].max()
    blender.ops.gaussianspeech.predict()
    assert len(blender.data.actions) == actions
    tracks = [[strip.type for strip in track.strips] for track in keys.animation_data.nla_tracks]
    assert sorted(tracks) == [["CLIP"], ["META"]]
    # A line that is removed does not play any more.
    blender.ops.gaussianspeech.remove_line()
    assert not played(blender, head).any()


def group(blender, keys):
    """Group the strip of a line, as the artist does in the NLA editor."""
    window = blender.context.window_manager.windows[0]
    area = window.screen.areas[0]
    kept, area.type = area.type, "NLA_EDITOR"
    for track in keys.animation_data.nla_tracks:
        for strip in track.strips:
            strip.select = "gaussianspeech_line" in strip.action
    override = {"window": window, "area": area, "region": area.regions[-1]}
    with blender.context.temp_override(**override):
        assert blender.ops.nla.meta_add() == {"FINISHED"}
    area.type = kept
