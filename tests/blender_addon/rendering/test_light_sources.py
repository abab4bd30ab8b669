# SPDX-License-Identifier: GPL-3.0-or-later
"""Which light falls on avatars: pictures of the world, worlds of view layers, lamps for some."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.rendering.test_scene_light import (
    HEIGHT,
    MIDDLE,
    WIDTH,
    head,
    lamp,
    rendered,
    scene,
    set_world,
)

__all__ = ["head", "scene"]


def new_world(blender, color):
    world = blender.data.worlds.new("Other")
    if world.node_tree is None:
        world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (*color, 1)
    return world


def surround(blender, scene):
    """An environment texture: red from +X, which is in its middle, blue from −X."""
    image = blender.data.images.new("Environment", 64, 32, float_buffer=True)
    pixels = np.zeros((32, 64, 4), np.float32)
    pixels[..., 3] = 1
    angle = np.linspace(-np.pi, np.pi, 64, endpoint=False) + np.pi / 64
    pixels[:, np.cos(angle) > 0, 0] = 1
    pixels[:, np.cos(angle) < 0, 2] = 1
    image.pixels[:] = pixels.ravel()
    image.pack()
    tree = scene.world.node_tree
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    tree.links.new(texture.outputs["Color"], tree.nodes["Background"].inputs["Color"])


def lit(blender, head):
    head.gaussianspeech_light.enabled = True
    blender.ops.gaussianspeech.set_up_composite()


def sides(picture):
    """Colours of the head near its left and right edge in the picture."""
    row = picture[HEIGHT // 2]
    return row[WIDTH // 2 - 12], row[WIDTH // 2 + 12]


def test_each_side_has_the_light_of_its_side_of_an_environment_texture(
    blender, scene, head, tmp_path
):
    surround(blender, scene)
    lit(blender, head)
    left, right = sides(rendered(scene, tmp_path))
    assert right[0] / right[2] > 5 * left[0] / left[2]


def test_the_world_of_a_view_layer_lights_its_avatars(blender, scene, head, tmp_path):
    layer = scene.view_layers[0]
    if not hasattr(layer, "world_override"):
        pytest.skip("This Blender has no worlds of view layers.")
    lit(blender, head)
    layer.world_override = new_world(blender, (0, 0.5, 0))
    red, green, blue = rendered(scene, tmp_path)[MIDDLE]
    assert green > 0.05
    assert max(red, blue) < 0.01 * green


def collection_of_lamp(blender, light, obj, state):
    collection = blender.data.collections.new("Receivers")
    collection.objects.link(obj)
    collection.collection_objects[0].light_linking.link_state = state
    light.light_linking.receiver_collection = collection
    return collection


@pytest.mark.parametrize(("state", "brighter"), [("INCLUDE", True), ("EXCLUDE", False)])
def test_a_lamp_for_the_head_alone_or_for_all_others_does_so_with_its_avatar(
    blender, scene, head, tmp_path, state, brighter
):
    set_world(scene, 0.05)
    collection = collection_of_lamp(
        blender, lamp(scene, (-3, -1, 0), (1, 0.02, 0.02), 200), head, state
    )
    lit(blender, head)
    left, right = sides(rendered(scene, tmp_path))
    assert (left[0] > 3 * right[0]) == brighter
    blender.ops.gaussianspeech.remove_composite()
    assert list(collection.objects) == [head]


def test_what_a_lamp_is_for_is_followed_when_it_changes(blender, scene, head, tmp_path):
    set_world(scene, 0.05)
    light = lamp(scene, (-3, -1, 0), (1, 0.02, 0.02), 200)
    blender.ops.mesh.primitive_cube_add(location=(0, 9, 0))
    collection = collection_of_lamp(blender, light, blender.context.object, "INCLUDE")
    lit(blender, head)
    left, right = sides(rendered(scene, tmp_path))
    assert left[0] < 1.5 * right[0]
    collection.objects.link(head)
    left, right = sides(rendered(scene, tmp_path))
    assert left[0] > 3 * right[0]
    collection.objects.unlink(head)
    rendered(scene, tmp_path)
    assert len(collection.objects) == 1


def test_a_collection_of_the_scene_gets_no_proxies(blender, scene, head, tmp_path):
    light = lamp(scene, (-3, -1, 0), (1, 0.02, 0.02), 200)
    collection = collection_of_lamp(blender, light, head, "INCLUDE")
    scene.collection.children.link(collection)
    lit(blender, head)
    rendered(scene, tmp_path)
    assert list(collection.objects) == [head]


@pytest.mark.parametrize("change", ["world", "samples", "bounces"])
def test_a_change_of_the_scene_s_light_or_engine_is_noticed_between_renders(
    blender, addon, scene, head, change
):
    light_scene = addon("rendering.light.light_scene")
    lit(blender, head)
    assert not light_scene.differs(scene, [head])
    if change == "world":
        scene.world = new_world(blender, (0, 1, 0))
    elif change == "samples":
        scene.cycles.samples = 3
    else:
        scene.cycles.max_bounces = 2
    assert light_scene.differs(scene, [head])
