# SPDX-License-Identifier: GPL-3.0-or-later
"""A composite follows the scene by itself, and leaves the heads as the artist has them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.rendering.compositor.composited_scene import (
    HEIGHT,
    WIDTH,
    glowing_cube,
    rendered,
)


@pytest.fixture
def head(blender, scene):
    return blender.data.objects["Head"]


def face_is(picture, color) -> bool:
    return np.allclose(picture[HEIGHT // 2, WIDTH // 2], color, atol=0.02)


GREEN = (0.0, 1.0, 0.0)
"""Of the head's mesh."""


def test_a_head_is_hidden_from_the_camera_only_while_it_renders(blender, scene, head, tmp_path):
    seen = []
    blender.app.handlers.render_pre.append(lambda *_: seen.append(head.visible_camera))
    blender.ops.gaussianspeech.set_up_composite()
    assert head.visible_camera
    picture = rendered(scene, tmp_path)
    blender.app.handlers.render_pre.pop()
    assert not any(seen)
    assert head.visible_camera
    assert not face_is(picture, GREEN)


def test_a_head_whose_avatar_is_removed_shows_its_mesh(blender, scene, head, tmp_path):
    blender.ops.gaussianspeech.set_up_composite()
    blender.ops.gaussianspeech.unbind_avatar()
    with pytest.raises(RuntimeError, match="No head"):
        blender.ops.gaussianspeech.set_up_composite()
    blender.ops.gaussianspeech.remove_composite()
    assert face_is(rendered(scene, tmp_path), GREEN)


def avatar_heads(scene) -> set[str]:
    objects = scene.gaussianspeech_composite.avatar_scene.collection.objects
    return {obj.name for obj in objects if obj.type == "MESH"}


@pytest.mark.parametrize("change", ["delete", "hide", "exclude", "collection", "switch off"])
def test_what_the_scene_no_longer_renders_the_avatar_scene_does_not(
    blender, scene, head, change, tmp_path
):
    other = head.copy()
    other.name, other.location.x = "Other", 1.5
    collection = blender.data.collections.new("Others")
    scene.collection.children.link(collection)
    collection.objects.link(other)
    blender.ops.gaussianspeech.set_up_composite()
    assert avatar_heads(scene) == {"Head", "Other"}
    if change == "delete":
        collection.objects.unlink(other)
    elif change == "hide":
        other.hide_render = True
    elif change == "exclude":
        scene.view_layers[0].layer_collection.children["Others"].exclude = True
    elif change == "collection":
        collection.hide_render = True
    else:
        other.gaussianspeech_avatar.enabled = False
    rendered(scene, tmp_path)
    assert avatar_heads(scene) == ({"Head", "Other"} if change == "hide" else {"Head"})


def test_what_is_added_or_renamed_is_rendered_without_setting_up_again(
    blender, scene, head, tmp_path
):
    blender.ops.gaussianspeech.set_up_composite()
    other = head.copy()
    other.name = "Duplicate"
    scene.collection.objects.link(other)
    head.name = "Anna"
    rendered(scene, tmp_path)
    assert avatar_heads(scene) == {"Anna", "Duplicate"}


def test_a_new_view_transform_takes_effect_without_setting_up_again(
    blender, scene, head, addon, tmp_path
):
    blender.ops.gaussianspeech.set_up_composite()
    before = rendered(scene, tmp_path)
    scene.view_settings.view_transform = "AgX"
    after = rendered(scene, tmp_path)
    assert addon("rendering.compositor").built_view(scene) == "AgX"
    middle = HEIGHT // 2, WIDTH // 2
    np.testing.assert_allclose(after[middle], before[middle], atol=0.02)


def test_a_head_that_the_artist_hid_from_the_camera_stays_hidden(blender, scene, head, tmp_path):
    head.visible_camera = False
    blender.ops.gaussianspeech.set_up_composite()
    rendered(scene, tmp_path)
    assert not head.visible_camera
    blender.ops.gaussianspeech.remove_composite()
    assert not head.visible_camera


def test_deleting_the_avatar_scene_shows_the_heads_again(blender, scene, head, tmp_path):
    blender.ops.gaussianspeech.set_up_composite()
    blender.data.scenes.remove(scene.gaussianspeech_composite.avatar_scene)
    rendered(scene, tmp_path)
    assert head.visible_camera


def test_heads_that_composites_of_earlier_versions_hid_are_shown(blender, scene, head, addon):
    blender.ops.gaussianspeech.set_up_composite()
    composite = scene.gaussianspeech_composite
    composite.keeps_visibility, head.visible_camera = False, False
    addon("rendering.avatar_scene")._on_load()
    assert head.visible_camera
    assert composite.keeps_visibility
    entry = composite.hidden_heads.add()
    entry.head, entry.visible, head.visible_camera = head, True, False
    blender.ops.gaussianspeech.remove_composite()
    assert head.visible_camera


def move_evenly(head, addon):
    """Along X by a metre a frame, through the origin at frame 1."""
    for frame, x in ((0, -1.0), (4, 3.0)):
        head.location.x = x
        head.keyframe_insert("location", frame=frame)
    for curve in addon("compat").fcurves_of(head):
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"


@pytest.mark.parametrize("blurred", [False, True])
def test_a_render_between_two_frames_has_the_avatars_of_that_time(
    blender, scene, head, addon, disc, tmp_path, blurred
):
    move_evenly(head, addon)
    glowing_cube("Bar", (0, -1.5, 0), (0, 0, 1)).scale.z = 4
    head.gaussianspeech_light.enabled = True
    scene.gaussianspeech_composite.occlusion = "COVERAGE"
    blender.ops.gaussianspeech.set_up_composite()
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = blurred, 0.5
    composite = scene.gaussianspeech_composite
    found = {}

    def note(other, depsgraph):
        if depsgraph.mode == "RENDER" and other in (
            composite.light_scene,
            composite.foreground_scene,
        ):
            # Light and mattes lie where geometry nodes find the head.
            evaluated = head.evaluated_get(depsgraph)
            found.setdefault(other.name, evaluated.matrix_world.translation.x)

    for subframe in (0.5, 0.0):
        scene.frame_set(1, subframe=subframe)
        disc.requests.clear()
        found.clear()
        blender.app.handlers.frame_change_post.append(note)
        try:
            rendered(scene, tmp_path)
        finally:
            blender.app.handlers.frame_change_post.remove(note)
        seen = [
            np.reshape(params["items"][0]["matrix"], (4, 4))[0, 3]
            for method, params, _ in disc.requests
            if method == "avatar.render"
        ]
        assert (len(seen) > 1) == blurred
        assert np.mean(seen) == pytest.approx(subframe, abs=1e-4)
        others = composite.light_scene, composite.foreground_scene
        assert found == {other.name: pytest.approx(subframe, abs=1e-4) for other in others}


def test_avatars_are_where_remapped_time_has_their_heads(
    blender, scene, head, addon, disc, tmp_path
):
    move_evenly(head, addon)
    blender.ops.gaussianspeech.set_up_composite()
    scene.render.frame_map_old, scene.render.frame_map_new = 100, 200
    scene.frame_set(4)
    rendered(scene, tmp_path)
    _, params, _ = disc.last("avatar.render")
    assert params["items"][0]["matrix"][3] == pytest.approx(1.0, abs=1e-4)


def layered(blender, scene, head, addon):
    """The head in a second view layer alone, whose picture the artist's nodes show."""
    cast = blender.data.collections.new("Cast")
    scene.collection.children.link(cast)
    cast.objects.link(head)
    scene.collection.objects.unlink(head)
    second = scene.view_layers.new("Cast")
    scene.view_layers[0].layer_collection.children["Cast"].exclude = True
    second.layer_collection.children["Cast"].exclude = False
    nodes = addon("rendering.compositor_nodes")
    tree = nodes.ensure_tree(scene)
    background, layers = (tree.nodes.new("CompositorNodeRLayers") for _ in range(2))
    for node, name in ((background, scene.view_layers[0].name), (layers, "Cast")):
        node.scene, node.layer = scene, name
    tree.links.new(background.outputs["Image"], tree.nodes.new("CompositorNodeViewer").inputs[0])
    tree.links.new(layers.outputs["Image"], nodes.output_socket(tree, make=True))
    return second


def test_an_avatar_is_put_over_the_view_layer_that_shows_its_head(
    blender, scene, head, addon, tmp_path
):
    layered(blender, scene, head, addon)
    blender.ops.gaussianspeech.set_up_composite()
    assert avatar_heads(scene) == {"Head"}
    picture = rendered(scene, tmp_path)
    assert not face_is(picture, GREEN)
    assert not face_is(picture, (0, 0, 0))
    # The picture of the background scenes is another layer's: depths are compared.
    assert scene.gaussianspeech_composite.foreground_scene is None
    glowing_cube("Wall", (0, -1.5, 0), (0, 0, 1))
    assert face_is(rendered(scene, tmp_path), (0, 0, 1))


def test_a_head_that_goes_to_another_view_layer_is_found_by_setting_up_again(
    blender, scene, head, addon, tmp_path
):
    second = layered(blender, scene, head, addon)
    blender.ops.gaussianspeech.set_up_composite()
    for layer in scene.view_layers:
        layer.layer_collection.children["Cast"].exclude = layer == second
    rendered(scene, tmp_path)
    assert avatar_heads(scene) == set()
    blender.ops.gaussianspeech.set_up_composite()
    assert avatar_heads(scene) == {"Head"}
    assert not face_is(rendered(scene, tmp_path), GREEN)
