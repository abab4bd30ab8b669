# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars over a Cycles render: occlusion, colours, and an artist's own nodes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.blender_addon.rendering.compositor.composited_scene import (
    HEIGHT,
    WIDTH,
    glowing_cube,
    rendered,
)
from tests.blender_addon.rendering.disc_engine import COLOR
from tests.blender_addon.rendering.exr_file import channels

RED, BLUE = (0.8, 0.05, 0.05), (0.05, 0.05, 0.8)


def shown(color) -> np.ndarray:
    """Display values of a linear colour under the Standard view."""
    color = np.asarray(color)
    return 1.055 * color ** (1 / 2.4) - 0.055


def links(tree) -> set[tuple[str, str, str, str]]:
    return {
        (link.from_node.name, link.from_socket.name, link.to_node.name, link.to_socket.name)
        for link in tree.links
    }


def test_the_avatar_stands_in_for_the_mesh_of_its_head(blender, scene, tmp_path):
    blender.ops.gaussianspeech.set_up_composite()
    pixels = rendered(scene, tmp_path)
    np.testing.assert_allclose(pixels[HEIGHT // 2, WIDTH // 2], COLOR, atol=0.01)
    green = (pixels[..., 1] > 0.6) & (pixels[..., 0] < 0.3)
    assert not green.any()


def test_what_is_in_front_hides_the_avatar_and_what_is_behind_is_hidden(blender, scene, tmp_path):
    glowing_cube("Front", (-0.6, -2, 0), RED)
    glowing_cube("Back", (1.2, 3, 0), BLUE)
    blender.ops.gaussianspeech.set_up_composite()
    middle = rendered(scene, tmp_path)[HEIGHT // 2]
    kinds = ""
    for pixel in middle:
        distances = [np.abs(pixel - color).max() for color in (COLOR, shown(RED), shown(BLUE))]
        kinds += "ARB"[int(np.argmin(distances))] if min(distances) < 0.02 else "."
    # From the left: the cube in front over the avatar, the avatar over the cube behind.
    assert re.fullmatch(r"\.*R+\.?A+\.{0,6}B+\.*", kinds), kinds


def test_a_soft_edge_is_applied_once(blender, scene, disc, tmp_path):
    disc.opacity = 0.5
    glowing_cube("Back", (0, 3, 0), BLUE).scale = (20, 1, 20)
    blender.ops.gaussianspeech.set_up_composite()
    pixel = rendered(scene, tmp_path, "exr")[HEIGHT // 2, WIDTH // 2]
    avatar = ((COLOR + 0.055) / 1.055) ** 2.4
    np.testing.assert_allclose(pixel, 0.5 * avatar + 0.5 * np.array(BLUE), atol=5e-3)


@pytest.mark.parametrize("view", ["Standard", "AgX", "Filmic", "Khronos PBR Neutral", "Raw"])
def test_the_avatars_look_is_kept_under_each_view_transform(blender, scene, tmp_path, view):
    scene.view_settings.view_transform = view
    blender.ops.gaussianspeech.set_up_composite()
    pixels = rendered(scene, tmp_path)
    np.testing.assert_allclose(pixels[HEIGHT // 2, WIDTH // 2], COLOR, atol=0.01)


def test_set_up_again_takes_over_a_new_view_transform(blender, scene, addon, tmp_path):
    blender.ops.gaussianspeech.set_up_composite()
    scene.view_settings.view_transform = "AgX"
    blender.ops.gaussianspeech.set_up_composite()
    assert addon("rendering.compositor").built_view(scene) == "AgX"
    np.testing.assert_allclose(rendered(scene, tmp_path)[HEIGHT // 2, WIDTH // 2], COLOR, atol=0.01)


@pytest.mark.parametrize(("occlusion", "scenes"), [("DEPTH", 2), ("AUTO", 3)])
def test_set_up_twice_leaves_one_avatar_scene_and_one_group(
    blender, scene, compositing, occlusion, scenes
):
    scene.gaussianspeech_composite.occlusion = occlusion
    blender.ops.gaussianspeech.set_up_composite()
    before = links(compositing.tree_of(scene))
    blender.ops.gaussianspeech.set_up_composite()
    assert len(blender.data.scenes) == scenes
    assert links(compositing.tree_of(scene)) == before
    groups = [group for group in blender.data.node_groups if "GaussianSpeech" in group.name]
    assert [group.bl_idname for group in groups].count("CompositorNodeTree") == 1


def artists_tree(scene, compositing):
    """Render Layers → Blur → output, with the picture also in a viewer."""
    tree = compositing.ensure_tree(scene)
    tree.nodes.clear()
    layers = tree.nodes.new("CompositorNodeRLayers")
    blur = tree.nodes.new("CompositorNodeBlur")
    viewer = tree.nodes.new("CompositorNodeViewer")
    output = compositing.output_socket(tree, make=True)
    tree.links.new(layers.outputs["Image"], blur.inputs["Image"])
    tree.links.new(layers.outputs["Image"], viewer.inputs["Image"])
    tree.links.new(blur.outputs["Image"], output)
    return tree


def test_an_artists_nodes_get_the_composited_picture(blender, scene, compositing):
    tree = artists_tree(scene, compositing)
    blender.ops.gaussianspeech.set_up_composite()
    fed_by_us = {
        link.to_node.bl_idname for link in tree.links if link.from_node.get("gaussianspeech")
    }
    assert {"CompositorNodeBlur", "CompositorNodeViewer"} <= fed_by_us


def test_removing_restores_an_artists_nodes(blender, scene, compositing):
    tree = artists_tree(scene, compositing)
    nodes, before = {node.name for node in tree.nodes}, links(tree)
    blender.ops.gaussianspeech.set_up_composite()
    blender.ops.gaussianspeech.remove_composite()
    assert {node.name for node in tree.nodes} == nodes
    assert links(tree) == before


def test_removing_leaves_no_scene_and_shows_the_head_again(blender, scene):
    blender.ops.gaussianspeech.set_up_composite()
    blender.ops.gaussianspeech.remove_composite()
    assert len(blender.data.scenes) == 1
    assert blender.data.objects["Head"].visible_camera


def test_removing_nothing_says_so(blender, scene):
    with pytest.raises(RuntimeError, match="has no composite"):
        blender.ops.gaussianspeech.remove_composite()


def test_the_avatar_scene_follows_camera_frames_and_size(blender, scene):
    blender.ops.gaussianspeech.set_up_composite()
    other = blender.data.objects.new("Other", blender.data.cameras.new("Other"))
    scene.collection.objects.link(other)
    scene.camera, scene.frame_end, scene.render.resolution_x = other, 77, 123
    scene.frame_set(2)
    follower = scene.gaussianspeech_composite.avatar_scene
    assert (follower.camera, follower.frame_end, follower.render.resolution_x) == (other, 77, 123)


def test_a_scene_without_avatars_is_refused(blender, scene):
    blender.data.objects["Head"].gaussianspeech_avatar.source = ""
    with pytest.raises(RuntimeError, match="No head in 'Scene' has an avatar"):
        blender.ops.gaussianspeech.set_up_composite()
    assert len(blender.data.scenes) == 1


def test_a_scene_without_a_camera_is_refused(blender, scene):
    scene.camera = None
    with pytest.raises(RuntimeError, match="has no camera"):
        blender.ops.gaussianspeech.set_up_composite()


def test_a_scene_that_renders_avatars_itself_is_refused(blender, scene):
    scene.render.engine = "GAUSSIANSPEECH"
    with pytest.raises(RuntimeError, match="already renders avatars itself"):
        blender.ops.gaussianspeech.set_up_composite()


def test_a_failed_avatar_render_leaves_a_frame_that_cannot_pass_for_finished(
    blender, scene, disc, addon, tmp_path
):
    EngineGoneError = addon("engine_link.client").EngineGoneError
    blender.ops.gaussianspeech.set_up_composite()
    disc.error = EngineGoneError("The engine ended.", "Try again.")
    np.testing.assert_allclose(rendered(scene, tmp_path).mean((0, 1)), [1, 0, 1], atol=0.01)
    status = blender.context.window_manager.gaussianspeech_status
    assert (status.is_error, status.message, status.hint) == (
        True,
        "The engine ended.",
        "Try again.",
    )


@pytest.fixture
def layers(scene, tmp_path):
    """Switch the layers' file on; gives what renders into it."""
    import bpy

    composite = scene.gaussianspeech_composite
    composite.layers_path, composite.write_layers = str(tmp_path / "layers-####"), True

    def render():
        bpy.ops.render.render()
        return channels(tmp_path / "layers-0001.exr")

    return render


def layer_nodes(scene, compositing):
    tree = compositing.tree_of(scene)
    return [node for node in tree.nodes if node.bl_idname == "CompositorNodeOutputFile"]


def test_the_layers_file_has_the_composite_and_the_avatar_with_alpha_and_depth(
    blender, scene, disc, layers
):
    disc.opacity = 0.5
    glowing_cube("Front", (-0.6, -2, 0), RED)
    glowing_cube("Back", (0, 3, 0), BLUE).scale = (20, 1, 20)
    blender.ops.gaussianspeech.set_up_composite()
    read = layers()
    assert set(read) == {
        *(f"{layer}.{channel}" for layer in ("Composite", "Avatar") for channel in "RGBA"),
        "Avatar.Depth.V",
    }
    middle = HEIGHT // 2, WIDTH // 2
    avatar = ((COLOR + 0.055) / 1.055) ** 2.4
    over = 0.5 * avatar + 0.5 * np.array(BLUE)
    for layer, expected in (("Avatar", [*(0.5 * avatar), 0.5]), ("Composite", [*over, 1])):
        pixel = [read[f"{layer}.{channel}"][middle] for channel in "RGBA"]
        np.testing.assert_allclose(pixel, expected, atol=5e-3)
    assert read["Avatar.Depth.V"][middle] == pytest.approx(6, abs=1e-4)
    # Round the avatar there is nothing; behind the cube before it, it is still whole.
    corner = 0, 0
    assert (read["Avatar.A"][corner], read["Avatar.Depth.V"][corner]) == (0, np.float32(1e10))
    hidden = (read["Composite.R"] > 0.75) & (read["Avatar.A"] > 0.49)
    assert hidden.any()


def test_the_avatars_layer_over_the_scene_is_the_composite(blender, scene, disc, layers):
    scene.view_settings.view_transform = "AgX"
    disc.opacity = 0.5
    glowing_cube("Back", (0, 3, 0), BLUE).scale = (20, 1, 20)
    blender.ops.gaussianspeech.set_up_composite()
    read = layers()
    for channel, behind in zip("RGB", BLUE, strict=True):
        over = read[f"Avatar.{channel}"] + (1 - read["Avatar.A"]) * behind
        np.testing.assert_allclose(read[f"Composite.{channel}"], over, atol=5e-3)


def test_layers_are_switched_on_and_off_in_a_built_composite(blender, scene, compositing):
    composite = scene.gaussianspeech_composite
    blender.ops.gaussianspeech.set_up_composite()
    before = links(compositing.tree_of(scene))
    composite.write_layers = True
    composite.layers_path = "//other-####.exr"
    blender.ops.gaussianspeech.set_up_composite()
    assert len(layer_nodes(scene, compositing)) == 1
    composite.write_layers = False
    assert links(compositing.tree_of(scene)) == before
    assert not layer_nodes(scene, compositing)


def test_the_layers_file_goes_with_the_composite(blender, scene, compositing, layers):
    tree = artists_tree(scene, compositing)
    before = links(tree)
    blender.ops.gaussianspeech.set_up_composite()
    assert layer_nodes(scene, compositing)
    blender.ops.gaussianspeech.remove_composite()
    assert links(tree) == before
    assert not layer_nodes(scene, compositing)


def test_a_composited_animation_has_each_frames_own_pose_and_camera(blender, scene, disc, tmp_path):
    head, front = blender.data.objects["Head"], scene.camera
    for frame, x in ((1, 0.0), (3, 1.0)):
        head.location.x = x
        head.keyframe_insert("location", frame=frame)
    side = blender.data.objects.new("Side", front.data)
    side.location, side.rotation_euler = (9, 0, 0), (np.pi / 2, 0, np.pi / 2)
    scene.collection.objects.link(side)
    for frame, camera in ((1, front), (3, side)):
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    scene.frame_start, scene.frame_end = 1, 3
    blender.ops.gaussianspeech.set_up_composite()
    scene.render.filepath = str(tmp_path / "frame-")
    blender.ops.render.render(animation=True)
    renders = [params for method, params, _ in disc.requests if method == "avatar.render"]
    assert [round(params["items"][0]["matrix"][3], 3) for params in renders] == [0, 0.5, 1]
    assert [round(params["camera"]["viewmat"][11], 3) for params in renders] == [6, 6, 9]


def test_two_heads_are_composited_each_at_its_own_depth(blender, scene, tmp_path):
    other = blender.data.objects["Head"].copy()
    other.location = (1.5, 4, 0)
    scene.collection.objects.link(other)
    glowing_cube("Between", (1.2, 2, 0), RED).scale = (3, 1, 3)
    blender.ops.gaussianspeech.set_up_composite()
    middle = rendered(scene, tmp_path)[HEIGHT // 2]
    np.testing.assert_allclose(middle[WIDTH // 2], COLOR, atol=0.01)
    # The second stands at 1.5 metres of 10: behind the cube.
    behind = int(WIDTH / 2 + 1.5 * WIDTH * 50 / 36 / 10)
    np.testing.assert_allclose(middle[behind], shown(RED), atol=0.02)


def test_a_render_region_composites_its_part_of_the_frame(blender, scene, tmp_path):
    glowing_cube("Back", (0, 3, 0), BLUE).scale = (20, 1, 20)
    blender.ops.gaussianspeech.set_up_composite()
    whole = rendered(scene, tmp_path)
    scene.render.use_border = True
    scene.render.border_min_x, scene.render.border_max_x = 0.25, 0.5
    scene.render.border_min_y, scene.render.border_max_y = 0.25, 0.75
    part = rendered(scene, tmp_path)[16:48, 24:48]
    np.testing.assert_allclose(part, whole[16:48, 24:48], atol=0.03)
