# SPDX-License-Identifier: GPL-3.0-or-later
"""An artist's work on a line stays: keys above it, and keys of its own that were edited."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.hand_edits import curve_of, edits_of, raise_key
from tests.blender_addon.speaking import action_of, line_of, strip_of
from tests.blender_addon.spoken_head import FRAMES, NAMES, curves, head, played, speak

__all__ = ["head", "speak"]


def values(blender, obj):
    return played(blender, obj)[:, 0]


def test_a_hand_edit_survives_ten_moves_of_smile(blender, addon, head, speak):
    speak()
    before = values(blender, head)
    frame = raise_key(addon, action_of(head), 12, 0.2)
    edited = values(blender, head) - before
    assert edited[frame] == pytest.approx(0.2, abs=0.02)
    for step in range(1, 11):
        head.gaussianspeech_speech.smile = step / 10
    head.gaussianspeech_speech.smile = 0.0
    np.testing.assert_allclose(values(blender, head), before + edited, atol=2e-3)
    # The keys themselves are the bake's again, and one layer has the edit.
    (layer,) = edits_of(head)
    assert layer.action.get("gaussianspeech_edits") == line_of(head).id
    assert not addon("speech.edits").is_edited(action_of(head))


def test_an_edit_rides_on_what_sliders_make_of_the_line(blender, addon, head, speak):
    speak()
    before = values(blender, head)
    raise_key(addon, action_of(head), 12, 0.2)
    edited = values(blender, head) - before
    head.gaussianspeech_speech.strength = 0.5
    np.testing.assert_allclose(values(blender, head), 0.5 * before + edited, atol=2e-3)


def test_edits_add_up(blender, addon, head, speak):
    speak()
    before = values(blender, head)
    for frame in (12, 30, 12):
        raise_key(addon, action_of(head), frame, 0.1)
        speak()
    gained = values(blender, head) - before
    assert gained[12] == pytest.approx(0.2, abs=0.02)
    assert gained[30] == pytest.approx(0.1, abs=0.02)
    assert abs(gained[0]) < 2e-3
    assert len(edits_of(head)) == 1


def test_an_edit_of_a_part_is_reported_and_changes_nothing_else(blender, addon, head, speak):
    speak()
    before = played(blender, head)
    raise_key(addon, action_of(head), 12, 0.2)
    assert any("edited" in note for note in speak().notes)
    gained = played(blender, head) - before
    assert np.abs(gained[:, 1:]).max() < 1e-3
    assert np.abs(gained[30:]).max() < 2e-3
    assert not speak().notes


def test_the_layer_itself_can_be_edited_further(blender, addon, head, speak):
    speak()
    raise_key(addon, action_of(head), 12, 0.2)
    speak()
    (layer,) = edits_of(head)
    for point in curve_of(addon, layer.action).keyframe_points:
        point.co.y *= 2
    doubled = values(blender, head)
    head.gaussianspeech_speech.smile = 0.5
    head.gaussianspeech_speech.smile = 0.0
    np.testing.assert_allclose(values(blender, head), doubled, atol=2e-3)


def test_added_and_removed_channels_are_kept(blender, addon, head, speak):
    speak()
    before = played(blender, head)
    action, compat = action_of(head), addon("compat")
    path = 'key_blocks["browInnerUp"].value'
    compat.new_fcurve(action, head.data.shape_keys, path).keyframe_points.insert(5, 0.3)
    bag = action.layers[0].strips[0].channelbags[0] if hasattr(action, "layers") else action
    bag.fcurves.remove(curve_of(addon, action, 'key_blocks["mouthClose"].value'))
    speak()
    after = played(blender, head)
    np.testing.assert_allclose(after[:, 2], 0.3, atol=2e-3)
    np.testing.assert_allclose(after[:, 1], 0.0, atol=2e-3)
    np.testing.assert_allclose(after[:, 0], before[:, 0], atol=2e-3)


def test_muted_channels_stay_muted_and_are_no_edit(blender, addon, head, speak):
    speak()
    curve_of(addon, action_of(head)).mute = True
    assert not addon("speech.edits").is_edited(action_of(head))
    speak()
    assert curve_of(addon, action_of(head)).mute
    assert not values(blender, head).any()
    assert not edits_of(head)


def test_the_artists_action_above_is_never_touched(blender, addon, head, speak):
    speak()
    keys = head.data.shape_keys
    blender.context.scene.frame_set(10)
    for frame, change in ((9, 0.0), (10, 0.2), (11, 0.0)):
        blender.context.scene.frame_set(frame)
        key = keys.key_blocks["jawOpen"]
        key.value = key.value + change
        assert key.keyframe_insert("value", frame=frame)
    action = keys.animation_data.action
    kept = [tuple(point.co) for point in curve_of(addon, action).keyframe_points]
    edited = values(blender, head)
    for step in range(10):
        head.gaussianspeech_speech.smile = step / 10
    head.gaussianspeech_speech.smile = 0.0
    speak()
    assert keys.animation_data.action == action
    assert [tuple(point.co) for point in curve_of(addon, action).keyframe_points] == kept
    np.testing.assert_allclose(values(blender, head), edited, atol=2e-3)


def test_the_artists_keys_add_to_speech_where_blender_can(blender, addon, head, speak):
    speak()
    keys, before = head.data.shape_keys, values(blender, head)
    if not addon("compat").shape_keys_start_at_zero():
        assert keys.animation_data.action_blend_type == "REPLACE"
        return
    for frame, change in ((9, 0.0), (10, 0.2), (11, 0.0)):
        blender.context.scene.frame_set(frame)
        key = keys.key_blocks["jawOpen"]
        key.value = before[frame - 1] + change
        key.keyframe_insert("value", frame=frame)
    gained = values(blender, head) - before
    assert gained[9] == pytest.approx(0.2, abs=1e-3)
    assert np.abs(np.delete(gained, 9)).max() < 1e-3


def test_keys_on_other_channels_are_no_edit(blender, addon, head, speak):
    speak()
    head.rotation_euler.z = 0.3
    head.keyframe_insert("rotation_euler", frame=3)
    head.data.shape_keys.key_blocks["browInnerUp"].keyframe_insert("value", frame=3)
    assert not addon("speech.edits").is_edited(action_of(head))
    assert not speak().notes
    assert not edits_of(head)


def test_pushed_down_keys_of_the_artist_stay_above(blender, addon, head, speak):
    speak()
    keys = head.data.shape_keys
    key = keys.key_blocks["jawOpen"]
    for frame in (5, 15):
        key.value = 0.77
        key.keyframe_insert("value", frame=frame)
    animation = keys.animation_data
    animation.action_blend_type = "REPLACE"
    action = animation.action
    curve = curve_of(addon, action)
    for point in curve.keyframe_points:
        point.co.y, point.interpolation = 0.77, "LINEAR"
    track = animation.nla_tracks.new()
    animation.action = None
    strip = track.strips.new("mine", 5, action)
    strip.blend_type = "REPLACE"
    head.gaussianspeech_speech.smile = 0.5
    speak(clip="second", start=10.0)
    assert animation.nla_tracks[-1] == track
    blender.context.scene.frame_set(12)
    assert key.value == pytest.approx(0.77)


def test_tweak_mode_lasts_through_sliders_and_keeps_what_it_changed(blender, addon, head, speak):
    speak()
    before = values(blender, head)
    assert blender.ops.gaussianspeech.edit_line() == {"FINISHED"}
    animation = head.data.shape_keys.animation_data
    assert animation.use_tweak_mode
    assert animation.action == action_of(head)
    raise_key(addon, animation.action, 12, 0.2)
    head.gaussianspeech_speech.smile = 0.5
    head.gaussianspeech_speech.smile = 0.0
    head.gaussianspeech_speech.articulation = 1.0
    if animation.use_tweak_mode:
        blender.ops.gaussianspeech.edit_line()
    assert not animation.use_tweak_mode
    assert animation.action is None
    gained = values(blender, head) - before
    assert gained[12] == pytest.approx(0.2, abs=0.02)


def test_removing_the_line_keeps_what_was_edited_in_the_file(blender, addon, head, speak):
    speak()
    raise_key(addon, action_of(head), 12, 0.2)
    speak()
    assert blender.ops.gaussianspeech.remove_line() == {"FINISHED"}
    (kept,) = blender.data.actions
    assert kept.use_fake_user
    assert not head.data.shape_keys.animation_data.nla_tracks
    assert not values(blender, head).any()


def test_nothing_is_left_behind(blender, head, speak):
    for number in range(5):
        speak(start=1.0 + 10 * number)
        head.gaussianspeech_speech.smile = number / 10
    head.gaussianspeech_speech.head_motion = 1.0
    speak(clip="second", start=101.0)
    assert all(action.users for action in blender.data.actions)
    for _ in range(2):
        blender.ops.gaussianspeech.remove_line()
    assert not blender.data.actions
    assert set(blender.data.objects) == {head}


def test_a_copied_strip_follows_and_the_copy_of_an_action_is_known(blender, addon, head, speak):
    speak()
    keys = head.data.shape_keys
    strip = strip_of(keys, line_of(head))
    track = keys.animation_data.nla_tracks.new()
    linked = track.strips.new("again", 200, strip.action)
    if hasattr(linked, "action_slot"):
        linked.action_slot = strip.action.slots[0]
    single = strip.action.copy()
    own = keys.animation_data.nla_tracks.new().strips.new("own", 400, single)
    own.extrapolation = "NOTHING"
    head.gaussianspeech_speech.strength = 0.5
    assert action_of(head) == strip.action
    ids = {action["gaussianspeech_line"] for action in (single, strip.action)}
    assert ids == {line_of(head).id}
    assert own.action == single
    first = 200 - linked.action_frame_start
    np.testing.assert_allclose(
        played(blender, head, first=round(first), frames=FRAMES)[:, 0],
        0.5 * curves()[:, 0],
        atol=2e-3,
    )


def test_a_strip_that_was_moved_scaled_or_trimmed_by_hand_stays_so(blender, head, speak):
    speak()
    strip = strip_of(head.data.shape_keys, line_of(head))
    start = strip.frame_start
    strip.frame_start_ui = start + 10
    strip.influence = 0.5
    head.gaussianspeech_speech.offset = 3
    speak()
    strip = strip_of(head.data.shape_keys, line_of(head))
    assert strip.frame_start == pytest.approx(start + 13)
    assert strip.influence == 0.5
    strip.action_frame_end = 20
    speak()
    assert strip_of(head.data.shape_keys, line_of(head)).action_frame_end == 20


@pytest.mark.parametrize("name", NAMES[:2])
def test_lines_come_from_rest_and_go_back_to_it(blender, head, speak, name):
    speak()
    rows = played(blender, head, (name,), first=-20, frames=FRAMES + 40)[:, 0]
    inside = rows[21 : 21 + FRAMES]
    np.testing.assert_allclose(inside, curves()[:, NAMES.index(name)], atol=2e-3)
    assert not rows[:15].any()
    assert not rows[-15:].any()
    assert np.abs(np.diff(rows)).max() < 0.4


def test_a_duplicate_bakes_no_other_line(blender, addon, head, speak, monkeypatch):
    speak()
    baked = []
    monkeypatch.setattr(addon("speech.rebake"), "rebake", lambda _context, line: baked.append(line))
    blender.ops.gaussianspeech.add_line()
    blender.ops.gaussianspeech.duplicate_line()
    assert not baked
    head.gaussianspeech_speech.smile = 0.5
    assert len(baked) == 1


def test_own_controls_that_do_not_count_bake_nothing(blender, addon, head, speak, monkeypatch):
    speak()
    baked = []
    monkeypatch.setattr(addon("speech.rebake"), "rebake", lambda _context, line: baked.append(line))
    (line,) = head.gaussianspeech_lines
    line.controls.smile = 0.5
    assert not baked
    line.use_own_controls = True
    # Not once for each of the two dozen controls that it takes over.
    assert 1 <= len(baked) <= 3
    baked.clear()
    line.controls.smile = 0.2
    assert len(baked) == 1
