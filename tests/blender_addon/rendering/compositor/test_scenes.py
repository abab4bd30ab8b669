# SPDX-License-Identifier: GPL-3.0-or-later
"""Several scenes: copies of a composite, deleted ones, instances, and errors of frames before."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.rendering.compositor.composited_scene import HEIGHT, WIDTH
from tests.blender_addon.rendering.disc_engine import COLOR

MIDDLE = HEIGHT // 2, WIDTH // 2


@pytest.fixture
def main(blender, scene):
    blender.ops.gaussianspeech.set_up_composite()
    return scene


def shows_avatar(scene, tmp_path) -> bool:
    """Whether the avatar is in the middle of a scene's picture."""
    import bpy

    scene.render.filepath = str(tmp_path / "picture.png")
    scene.render.image_settings.file_format = "PNG"
    bpy.ops.render.render(write_still=True, scene=scene.name)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    pixels = np.array(image.pixels[:]).reshape(HEIGHT, WIDTH, -1)
    return bool(np.abs(pixels[MIDDLE][:3] - COLOR).max() < 0.02)


@pytest.mark.parametrize("kind", ["LINK_COPY", "FULL_COPY"])
@pytest.mark.parametrize("occlusion", ["DEPTH", "COVERAGE"])
def test_a_copied_scene_has_a_composite_of_its_own(blender, main, kind, occlusion, tmp_path):
    main.gaussianspeech_composite.occlusion = occlusion
    blender.data.objects["Head"].gaussianspeech_avatar.source = str(tmp_path / "avatar.ply")
    blender.ops.scene.new(type=kind)
    (copy,) = (scene for scene in blender.data.scenes if scene.name == f"{main.name}.001")
    assert shows_avatar(copy, tmp_path)
    assert shows_avatar(main, tmp_path)
    own, others = (scene.gaussianspeech_composite for scene in (copy, main))
    assert own.avatar_scene != others.avatar_scene
    assert (own.foreground_scene is None) is (occlusion == "DEPTH")
    assert own.foreground_scene is None or own.foreground_scene != others.foreground_scene
    with blender.context.temp_override(scene=copy):
        blender.ops.gaussianspeech.remove_composite()
    assert shows_avatar(main, tmp_path)
    assert not shows_avatar(copy, tmp_path)


def test_what_was_made_for_a_scene_goes_with_it(blender, main, tmp_path):
    blender.data.objects["Head"].gaussianspeech_avatar.source = str(tmp_path / "avatar.ply")
    blender.data.objects["Head"].gaussianspeech_light.enabled = True
    main.gaussianspeech_composite.occlusion = "COVERAGE"
    assert len(blender.data.scenes) == 4
    other = blender.data.scenes.new("Other")
    other.camera, other.render.engine, other.cycles.samples = main.camera, "CYCLES", 1
    other.render.resolution_x = other.render.resolution_y = 16
    blender.data.scenes.remove(main)
    blender.ops.render.render(scene="Other")
    assert [scene.name for scene in blender.data.scenes] == ["Other"]


def test_a_copy_of_the_avatar_scene_is_left_to_the_artist(blender, main, tmp_path):
    avatar_scene = main.gaussianspeech_composite.avatar_scene
    avatar_scene.copy().name = "Mine"
    assert shows_avatar(main, tmp_path)
    assert "Mine" in blender.data.scenes


def test_an_instance_of_a_heads_collection_is_an_avatar(blender, scene, tmp_path):
    head = blender.data.objects["Head"]
    collection = blender.data.collections.new("Set")
    collection.objects.link(head)
    scene.collection.objects.unlink(head)
    instance = blender.data.objects.new("Instance", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", collection
    scene.collection.objects.link(instance)
    blender.ops.gaussianspeech.set_up_composite()
    assert shows_avatar(scene, tmp_path)
    instance.location.x = 40
    assert not shows_avatar(scene, tmp_path)
    instance.location.x = 0
    blender.data.objects.remove(instance)
    assert not shows_avatar(scene, tmp_path)
    assert head.visible_camera


@pytest.mark.parametrize("how", ["camera visibility", "indirect only"])
def test_a_head_that_cameras_are_not_to_see_is_not_seen(blender, main, how, tmp_path):
    head = blender.data.objects["Head"]
    collection = blender.data.collections.new("Set")
    main.collection.children.link(collection)
    collection.objects.link(head)
    main.collection.objects.unlink(head)
    layer = main.view_layers[0].layer_collection.children["Set"]
    assert shows_avatar(main, tmp_path)
    for hidden in (True, False):
        if how == "indirect only":
            layer.indirect_only = hidden
        else:
            head.visible_camera = not hidden
        assert shows_avatar(main, tmp_path) is not hidden


def test_frames_in_which_no_head_is_rendered_are_the_scene_alone(blender, main, tmp_path):
    head = blender.data.objects["Head"]
    for frame, hidden in ((1, False), (2, True)):
        head.hide_render = hidden
        head.keyframe_insert("hide_render", frame=frame)
    for frame, expected in ((2, False), (1, True)):
        main.frame_set(frame)
        assert shows_avatar(main, tmp_path) is expected
        assert not blender.context.window_manager.gaussianspeech_status.is_error


def test_a_head_that_is_gone_when_the_shutter_closes_is_in_the_picture(blender, main, tmp_path):
    head = blender.data.objects["Head"]
    for frame, hidden in ((1, False), (2, True)):
        head.hide_render = hidden
        head.keyframe_insert("hide_render", frame=frame)
    main.frame_set(1)
    main.render.use_motion_blur, main.render.motion_blur_shutter = True, 1.0
    main.render.motion_blur_position = "START"
    assert shows_avatar(main, tmp_path)
    assert not blender.context.window_manager.gaussianspeech_status.is_error


def test_another_camera_takes_effect_though_a_render_has_begun(blender, main, tmp_path):
    assert shows_avatar(main, tmp_path)
    side = blender.data.objects.new("Side", blender.data.cameras.new("Side"))
    side.location, side.rotation_euler = (6, 0, 0), (np.pi / 2, 0, np.pi / 2)
    main.collection.objects.link(side)
    main.camera = side
    assert shows_avatar(main, tmp_path)
    blender.data.objects.remove(blender.data.objects["Camera"])
    assert shows_avatar(main, tmp_path)


def test_an_error_of_one_render_leaves_the_panel_when_the_next_begins(
    blender, main, disc, addon, tmp_path
):
    status = blender.context.window_manager.gaussianspeech_status
    disc.error = addon("engine_link.client").EngineGoneError("The engine ended.", "Try again.")
    assert not shows_avatar(main, tmp_path)
    assert status.is_error
    disc.error = None
    assert shows_avatar(main, tmp_path)
    assert (status.is_error, status.message) == (False, "")
