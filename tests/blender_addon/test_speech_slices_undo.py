# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo, files, removals and renders in the middle of a bake that is made in slices."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.slicing import drafts_of, half_way, jaw, keys_of, slices, small
from tests.blender_addon.speaking import line_of
from tests.blender_addon.spoken_head import curves, head, speak

__all__ = ["head", "slices", "speak"]


@pytest.fixture
def slid(blender, addon, head, speak, slices):
    """A slider that was moved and let go, and its bake, which is half made."""
    speak()
    blender.ops.ed.undo_push(message="before")
    head.gaussianspeech_speech.strength = 0.5
    blender.ops.ed.undo_push(message="Strength")  # As the interface does.
    half_way(blender, slices)
    return slices


def test_a_slider_and_its_bake_are_one_step(blender, addon, slid):
    slid.finish()
    whole = curves()[:, 0]
    for _ in range(2):
        assert small(blender).gaussianspeech_speech.strength == 0.5
        np.testing.assert_allclose(jaw(blender, small(blender)), 0.5 * whole, atol=2e-3)
        slid.undo(blender)
        assert small(blender).gaussianspeech_speech.strength == 1.0
        np.testing.assert_allclose(jaw(blender, small(blender)), whole, atol=2e-3)
        assert not slid.going
        slid.redo(blender)
    assert addon("speech.lines").out_of_date(blender.context, line_of(small(blender))) == ""
    assert not drafts_of(blender)


def test_undo_in_the_middle_ends_the_bake_and_redo_begins_it_anew(blender, slid):
    slid.undo(blender)
    assert not slid.going
    assert not drafts_of(blender)
    np.testing.assert_allclose(jaw(blender, small(blender)), curves()[:, 0], atol=2e-3)
    slid.redo(blender)
    assert slid.going
    slid.finish()
    np.testing.assert_allclose(jaw(blender, small(blender)), 0.5 * curves()[:, 0], atol=2e-3)


def test_undo_of_something_else_in_the_middle_keeps_the_bake(blender, slid):
    small(blender).location.x = 3.0
    blender.ops.ed.undo_push(message="Move")
    slid.tick(3)
    slid.undo(blender)
    assert small(blender).location.x == 0.0
    assert small(blender).gaussianspeech_speech.strength == 0.5
    assert slid.going
    slid.finish()
    assert not drafts_of(blender)
    np.testing.assert_allclose(jaw(blender, small(blender)), 0.5 * curves()[:, 0], atol=2e-3)


def test_a_cancelled_bake_is_not_begun_by_undo(blender, slid):
    blender.ops.gaussianspeech.cancel()
    small(blender).location.x = 3.0
    blender.ops.ed.undo_push(message="Move")
    slid.undo(blender)
    assert small(blender).gaussianspeech_speech.strength == 0.5
    assert not slid.going


def test_a_file_saved_in_the_middle_has_the_bake_that_was_whole(blender, addon, slid, tmp_path):
    path = tmp_path / "middle.blend"
    before = keys_of(addon, small(blender))
    blender.ops.wm.save_as_mainfile(filepath=str(path), copy=True)
    assert slid.going
    slid.finish()
    np.testing.assert_allclose(jaw(blender, small(blender)), 0.5 * curves()[:, 0], atol=2e-3)
    blender.ops.wm.open_mainfile(filepath=str(path))
    assert not slid.going
    assert not drafts_of(blender)
    assert keys_of(addon, small(blender)) == before
    line = line_of(small(blender))
    assert not line.baking
    assert "controls" in addon("speech.lines").out_of_date(blender.context, line)


def test_another_file_in_the_middle_ends_the_bake(blender, slid):
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert not slid.going
    assert not blender.data.actions


@pytest.mark.parametrize("gone", ["object", "line", "draft", "strip"])
def test_what_is_removed_in_the_middle(blender, addon, slid, gone):
    obj = small(blender)
    if gone == "object":
        blender.data.objects.remove(obj)
    elif gone == "line":
        blender.ops.gaussianspeech.remove_line()
    elif gone == "draft":
        blender.data.orphans_purge()
    else:
        animation = obj.data.shape_keys.animation_data
        for track in list(animation.nla_tracks):
            animation.nla_tracks.remove(track)
    slid.finish()
    assert not drafts_of(blender)
    if gone == "draft":
        np.testing.assert_allclose(jaw(blender, obj), 0.5 * curves()[:, 0], atol=2e-3)
    assert not addon("engine_link.background").shown()
    if gone == "line":
        assert not [action for action in blender.data.actions if action.users]


def test_nothing_is_put_into_the_file_while_blender_renders(blender, addon, slid, monkeypatch):
    before, rendering = keys_of(addon, small(blender)), [True]
    monkeypatch.setattr(slid.queue, "is_held", lambda _context: rendering[0])
    slid.tick(500)
    assert slid.going
    assert keys_of(addon, small(blender)) == before
    small(blender).gaussianspeech_speech.strength = 0.25
    slid.tick(500)
    assert keys_of(addon, small(blender)) == before
    rendering[0] = False
    slid.finish()
    np.testing.assert_allclose(jaw(blender, small(blender)), 0.25 * curves()[:, 0], atol=2e-3)
