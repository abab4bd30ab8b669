# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads that come from a file in which a composite has left them hidden from the camera."""

from __future__ import annotations

import pytest

from tests.blender_addon.rendering.compositor.composited_scene import rendered


@pytest.fixture
def head(blender, scene):
    return blender.data.objects["Head"]


@pytest.fixture
def saved_in_mid_render(blender, scene, head, tmp_path):
    """A file that was saved while its composite was rendered."""
    path = tmp_path / "library.blend"

    def save(*_args):
        blender.ops.wm.save_as_mainfile(filepath=str(path), copy=True)

    blender.ops.gaussianspeech.set_up_composite()
    blender.app.handlers.render_pre.append(save)
    try:
        rendered(scene, tmp_path)
    finally:
        blender.app.handlers.render_pre.remove(save)
    assert head.visible_camera
    return path


@pytest.fixture
def saved_by_0_1_0(blender, head, tmp_path):
    """A file whose head a composite of 0.1.0 has hidden; no note says so."""
    path = tmp_path / "library.blend"
    head.gaussianspeech_head.property_unset("camera_visibility")
    head.visible_camera = False
    blender.ops.wm.save_as_mainfile(filepath=str(path), copy=True)
    return path


@pytest.fixture
def saved_hidden(blender, head, tmp_path):
    """A file whose head the artist has hidden."""
    path = tmp_path / "library.blend"
    head.gaussianspeech_head.camera_visibility = "ARTIST"
    head.visible_camera = False
    blender.ops.wm.save_as_mainfile(filepath=str(path), copy=True)
    return path


@pytest.fixture(params=["saved_in_mid_render", "saved_by_0_1_0"])
def library(request, blender):
    path = request.getfixturevalue(request.param)
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return path


def test_a_file_that_was_saved_in_mid_render_opens_with_its_heads(blender, saved_in_mid_render):
    blender.ops.wm.open_mainfile(filepath=str(saved_in_mid_render))
    assert blender.data.objects["Head"].visible_camera


def test_what_the_artist_hid_stays_hidden_in_a_file_that_is_opened(blender, saved_hidden):
    blender.ops.wm.open_mainfile(filepath=str(saved_hidden))
    assert not blender.data.objects["Head"].visible_camera


def append(blender, path):
    folder = f"{path}/Object/"
    blender.ops.wm.append(filepath=f"{folder}Head", directory=folder, filename="Head")
    blender.context.view_layer.update()
    return blender.data.objects["Head"]


def test_an_appended_head_is_seen(blender, library):
    assert append(blender, library).visible_camera


def test_what_the_artist_hid_stays_hidden_where_it_is_appended(blender, saved_hidden):
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert not append(blender, saved_hidden).visible_camera


def own(blender):
    (found,) = [obj for obj in blender.data.objects if is_own(obj)]
    return found


def is_own(obj):
    return obj.name == "Head" and obj.library is None


def test_an_override_of_a_linked_head_is_seen_and_keeps_what_the_artist_chooses(
    blender, library, tmp_path
):
    with blender.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.objects = ["Head"]
    (linked,) = wanted.objects
    blender.context.scene.collection.objects.link(linked)
    linked.override_create(remap_local_usages=True)
    blender.context.view_layer.update()
    assert own(blender).visible_camera
    shot = str(tmp_path / "shot.blend")
    for chosen in (True, False):
        own(blender).visible_camera = chosen
        blender.ops.wm.save_as_mainfile(filepath=shot)
        blender.ops.wm.open_mainfile(filepath=shot)
        blender.context.view_layer.update()
        assert own(blender).visible_camera is chosen


def test_an_append_that_is_undone_and_redone_is_seen(blender, library):
    blender.ops.ed.undo_push(message="before")
    append(blender, library)
    blender.ops.ed.undo_push(message="append")
    blender.ops.ed.undo()
    assert "Head" not in blender.data.objects
    blender.ops.ed.redo()
    blender.context.view_layer.update()
    assert blender.data.objects["Head"].visible_camera
