# SPDX-License-Identifier: GPL-3.0-or-later
"""Bakes that are made in slices: nobody ever sees half of one, whatever happens in the middle."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.hand_edits import edits_of, raise_key
from tests.blender_addon.slicing import drafts_of, half_way, jaw, keys_of, slices
from tests.blender_addon.speaking import action_of, line_of
from tests.blender_addon.spoken_head import NAMES, curves, head, played, speak

__all__ = ["head", "slices", "speak"]


def test_a_long_line_follows_a_slider_in_slices_and_is_seen_whole(
    blender, addon, head, speak, slices
):
    speak()
    before = keys_of(addon, head)
    head.gaussianspeech_speech.strength = 0.5
    seen = []
    while slices.going:
        seen.append(keys_of(addon, head))
        slices.tick()
    assert len(seen) > 5
    assert all(keys == before for keys in seen)
    assert not drafts_of(blender)
    assert len([action for action in blender.data.actions if action.users]) == 2  # And the rest's.
    np.testing.assert_allclose(jaw(blender, head), 0.5 * curves()[:, 0], atol=2e-3)


@pytest.mark.parametrize("keying", ["FITTED", "EVERY_FRAME", "STEPPED", "ON_TWOS"])
def test_slices_make_the_keys_that_a_bake_at_once_makes(
    blender, addon, head, speak, slices, keying
):
    head.gaussianspeech_speech.keying = keying
    speak(head_motion=1.0)
    head.gaussianspeech_speech.smoothing = 40.0
    slices.finish()
    in_slices = keys_of(addon, head)
    assert blender.ops.gaussianspeech.rebake() == {"FINISHED"}
    assert keys_of(addon, head) == in_slices
    assert addon("speech.lines").out_of_date(blender.context, line_of(head)) == ""


def test_what_an_artist_put_on_the_action_stays(blender, addon, head, speak, slices):
    speak()
    action = action_of(head)
    action.name, action.use_fake_user, action["mine"] = "My Line", True, 7
    action.pose_markers.new("here").frame = 12
    addon("compat").fcurves(action)[0].mute = True
    head.gaussianspeech_speech.strength = 0.5
    slices.finish()
    action = action_of(head)
    assert (action.name, action.use_fake_user, action["mine"]) == ("My Line", True, 7)
    assert [marker.frame for marker in action.pose_markers] == [12]
    assert addon("compat").fcurves(action)[0].mute


def test_a_newer_value_takes_the_place_of_the_one_that_is_being_baked(blender, head, speak, slices):
    speak()
    settings = head.gaussianspeech_speech
    for value in (0.9, 0.8, 0.7, 0.6):
        settings.strength = value
        slices.tick(20)
    settings.strength = 0.5
    assert len(slices.queue._queue) == 1
    slices.finish()
    assert not drafts_of(blender)
    np.testing.assert_allclose(jaw(blender, head), 0.5 * curves()[:, 0], atol=2e-3)


def test_cancel_leaves_the_line_as_it_was_and_out_of_date(blender, addon, head, speak, slices):
    speak()
    before, cancel = keys_of(addon, head), blender.ops.gaussianspeech.cancel
    assert not cancel.poll()
    head.gaussianspeech_speech.strength = 0.5
    half_way(blender, slices)
    shown = addon("engine_link.background").shown()
    assert 0.0 < shown.poll()[0] < 1.0
    assert "voice" in shown.poll()[1]
    assert cancel() == {"FINISHED"}
    assert not slices.going
    assert not cancel.poll()
    assert not drafts_of(blender)
    assert keys_of(addon, head) == before
    assert "controls" in addon("speech.lines").out_of_date(blender.context, line_of(head))


def test_an_edit_in_the_middle_is_kept(blender, addon, head, speak, slices):
    speak()
    before = jaw(blender, head)
    head.gaussianspeech_speech.strength = 0.5
    half_way(blender, slices)
    frame = raise_key(addon, action_of(head), 12, 0.2)
    blender.context.view_layer.update()
    slices.finish()
    (layer,) = edits_of(head)
    assert layer.action["gaussianspeech_edits"] == line_of(head).id
    rows = jaw(blender, head)
    assert rows[frame] == pytest.approx(0.5 * before[frame] + 0.2, abs=0.02)
    assert not addon("speech.edits").is_edited(action_of(head))


def test_edits_from_before_stay_over_what_slices_make(blender, addon, head, speak, slices):
    speak()
    before = jaw(blender, head)
    raise_key(addon, action_of(head), 12, 0.2)
    edited = jaw(blender, head) - before
    for value in (0.9, 0.5):
        head.gaussianspeech_speech.strength = value
        slices.finish()
    np.testing.assert_allclose(jaw(blender, head), 0.5 * before + edited, atol=2e-3)
    assert len(edits_of(head)) == 1
    assert not drafts_of(blender)


def test_the_artists_own_keys_are_untouched(blender, addon, head, speak, slices):
    speak()
    keys = head.data.shape_keys
    block = keys.key_blocks["browInnerUp"]
    block.value = 0.25
    block.keyframe_insert("value", frame=5)
    own = keys.animation_data.action
    head.gaussianspeech_speech.strength = 0.5
    half_way(blender, slices)
    block.value = 0.75
    block.keyframe_insert("value", frame=15)
    slices.finish()
    assert keys.animation_data.action == own
    assert len(addon("compat").fcurves(own)[0].keyframe_points) == 2


def test_tweak_mode_stays_open(blender, addon, head, speak, slices):
    speak()
    assert blender.ops.gaussianspeech.edit_line() == {"FINISHED"}
    head.gaussianspeech_speech.strength = 0.5
    slices.finish()
    animation = head.data.shape_keys.animation_data
    assert animation.use_tweak_mode
    assert animation.action == action_of(head)
    assert blender.ops.gaussianspeech.edit_line() == {"FINISHED"}
    assert animation.action is None
    np.testing.assert_allclose(jaw(blender, head), 0.5 * curves()[:, 0], atol=2e-3)


def test_playing_in_the_middle_begins_nothing_anew(blender, head, speak, slices, monkeypatch):
    speak()
    begun, make = [], slices.queue.rebaking
    monkeypatch.setattr(
        slices.queue,
        "rebaking",
        lambda *given, **options: begun.append(1) or make(*given, **options),
    )
    head.gaussianspeech_speech.strength = 0.5
    frame = 1
    while slices.going:
        slices.tick()
        frame = frame % 40 + 1
        blender.context.scene.frame_set(frame)
    assert begun == [1]
    np.testing.assert_allclose(jaw(blender, head), 0.5 * curves()[:, 0], atol=2e-3)


def test_a_bake_that_waited_behind_one_begun_anew_is_of_what_counts_now(
    blender, addon, head, speak, slices, monkeypatch
):
    for number, name in enumerate(("one", "two")):
        speak(clip=name, start=1.0 + 100 * number)
    one, two = head.gaussianspeech_lines
    rendering = [True]
    monkeypatch.setattr(slices.queue, "is_held", lambda _context: rendering[0])
    for line in (one, two):
        addon("speech.rebake").rebake_lines([line], blender.context)
    first, second = slices.queue._queue
    slices.until(lambda: first.is_made and second.is_made)
    with monkeypatch.context() as nobody_notices:
        nobody_notices.setattr(addon("speech.rebake"), "_held", True)
        head.gaussianspeech_speech.strength = 0.5
    first.restart()
    rendering[0] = False
    slices.finish()
    np.testing.assert_allclose(
        played(blender, head, NAMES[:1], first=101)[:, 0], 0.5 * curves()[:, 0], atol=2e-3
    )


def test_a_line_that_changes_all_the_time_is_shown_out_of_date(
    blender, addon, head, speak, slices, monkeypatch
):
    monkeypatch.setattr(slices.queue, "_TRIES", 1)
    speak()
    settings = head.gaussianspeech_speech
    settings.strength = 0.5
    half_way(blender, slices)
    with monkeypatch.context() as nobody_notices:
        nobody_notices.setattr(addon("speech.rebake"), "_held", True)
        settings.strength = 0.25
    slices.finish()
    np.testing.assert_allclose(jaw(blender, head), 0.5 * curves()[:, 0], atol=2e-3)
    assert "controls" in addon("speech.lines").out_of_date(blender.context, line_of(head))


class Modal:
    """A window in which an operator runs."""

    def __init__(self, name):
        self.bl_idname, self.modal_operators = name, [self]
        self.window_manager, self.windows = self, [self]


def test_bakes_wait_for_what_is_moved_with_the_mouse_and_for_renders_of_a_viewport(slices):
    held = {
        "TRANSFORM_OT_translate": True,
        "GAUSSIANSPEECH_OT_viewport_render": True,
        "GAUSSIANSPEECH_OT_predict": False,
        "RENDER_OT_render": False,  # It lasts until the next event, its job does not.
        "NODE_OT_add_node": False,  # As any other operator that is a Python class.
    }
    assert {name: slices.queue.is_held(Modal(name)) for name in held} == held


def test_the_new_prediction_of_a_window_is_put_in_slices_too(blender, addon, head, speak, slices):
    """With corrective keys, head motion and edits, as at once."""
    deltas = np.full((1, 4, 3), 0.1, np.float32)
    values = np.concatenate([curves(), np.full((40, 1), -0.5, np.float32)], axis=1)
    speak(values, deltas=deltas, head_motion=1.0)
    blender.ops.gaussianspeech.rebake()  # From here on all is made of the prediction as it is kept.
    whole, rows = keys_of(addon, head), jaw(blender, head)
    raise_key(addon, action_of(head), 12, 0.2)
    edited = jaw(blender, head)
    prediction = addon("speech.action").read_prediction(action_of(head))
    source = addon("speech.line_draft").Source(prediction, deltas)
    line = line_of(head)
    future = slices.queue.BakeFuture(line.id, slices.queue.drafting_of(line.id, source))
    before = keys_of(addon, head)
    slices.until(lambda: future.done)
    assert keys_of(addon, head) == before
    done = addon("speech.bake").put(blender.context, future.result(0))
    assert not slices.going
    assert keys_of(addon, head) == whole
    np.testing.assert_allclose(jaw(blender, head), edited, atol=2e-3)
    assert np.abs(edited - rows).max() > 0.1
    assert done.notes == ("What you edited is kept in the layer 'voice edits'.",)
    assert [key.name for key in head.data.shape_keys.key_blocks].count("voice corrective 01") == 1
    assert not drafts_of(blender)


def test_several_lines_follow_the_first_at_once_and_the_others_together(
    blender, addon, head, speak, slices
):
    for number, name in enumerate(("one", "two", "three")):
        speak(clip=name, start=1.0 + 100 * number)
    before = jaw(blender, head)
    head.gaussianspeech_active_line = 2
    head.gaussianspeech_speech.strength = 0.5
    strengths, steps = set(), []
    while slices.going:
        steps.append(addon("engine_link.background").shown().poll())
        slices.tick()
        rows = [played(blender, head, NAMES[:1], first=first)[:, 0] for first in (201, 1, 101)]
        strengths.add(tuple(round(float(each.max() / before.max()), 1) for each in rows))
    assert strengths == {(1.0, 1.0, 1.0), (0.5, 1.0, 1.0), (0.5, 0.5, 0.5)}
    assert list(dict.fromkeys(text for _, text in steps)) == [
        f"baking '{name}'" for name in ("three", "one", "two")
    ]
    fractions = [fraction for fraction, _ in steps]
    assert fractions == sorted(fractions)
    assert fractions[-1] > 0.9


def test_update_all_goes_over_the_lines_in_slices(blender, addon, head, speak, slices, monkeypatch):
    """As its timer does in a window; what is waited for here is worked on a step at a time."""
    names = ("one", "two")
    for number, name in enumerate(names):
        speak(clip=name, start=1.0 + 100 * number)
    head.gaussianspeech_speech.strength = 0.5
    blender.ops.gaussianspeech.cancel()
    lines, seen = addon("speech.lines"), []

    def wait(future, _timeout):
        slices.tick()
        stale = [lines.out_of_date(blender.context, line) != "" for line in lines.lines_of(head)]
        seen.append((tuple(stale), round(future.poll()[0])))
        return future.done

    monkeypatch.setattr(slices.queue.BakeFuture, "wait", wait)
    assert blender.ops.gaussianspeech.update_lines() == {"FINISHED"}
    assert list(dict.fromkeys(stale for stale, _ in seen)) == [(True, True), (False, True)]
    assert len(seen) > 20
    for first in (1, 101):
        rows = played(blender, head, NAMES[:1], first=first)[:, 0]
        np.testing.assert_allclose(rows, 0.5 * curves()[:, 0], atol=2e-3)
    assert not slices.going
    assert not drafts_of(blender)


def test_a_preset_bakes_once_in_slices(blender, addon, head, speak, slices):
    speak()
    with addon("speech.rebake").changed_together(head.gaussianspeech_speech, blender.context):
        head.gaussianspeech_speech.strength = 0.5
        head.gaussianspeech_speech.smile = 0.25
    assert len(slices.queue._queue) == 1
    slices.finish()
    assert addon("speech.lines").out_of_date(blender.context, line_of(head)) == ""


@pytest.mark.parametrize("operator", ["rebake", "update_line", "update_lines"])
def test_a_script_gets_the_whole_bake_from_an_operator(
    blender, addon, head, speak, slices, operator
):
    speak()
    head.gaussianspeech_speech.strength = 0.5
    half_way(blender, slices)
    assert getattr(blender.ops.gaussianspeech, operator)() == {"FINISHED"}
    np.testing.assert_allclose(jaw(blender, head), 0.5 * curves()[:, 0], atol=2e-3)
    assert addon("speech.lines").out_of_date(blender.context, line_of(head)) == ""
    slices.finish()
    assert not line_of(head).baking
    np.testing.assert_allclose(jaw(blender, head), 0.5 * curves()[:, 0], atol=2e-3)


def test_background_blender_bakes_whatever_a_script_sets_at_once(
    blender, addon, head, speak, monkeypatch
):
    monkeypatch.setattr(addon("speech.rebake"), "LIVE_LIMIT", 0)
    speak()
    head.gaussianspeech_speech.strength = 0.5
    np.testing.assert_allclose(jaw(blender, head), 0.5 * curves()[:, 0], atol=2e-3)


def test_a_line_that_cannot_be_baked_says_so(blender, addon, head, speak, slices):
    speak()
    head.shape_key_remove(head.data.shape_keys.key_blocks["mouthClose"])
    head.gaussianspeech_speech.strength = 0.5
    status = blender.context.window_manager.gaussianspeech_status
    assert status.is_error
    assert "mouthClose" in status.message
    assert not slices.going
