# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's light on avatars: a light pass of their meshes over the light of the capture."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.blender_addon.rendering.disc_engine import COLOR, DiscEngine

WIDTH, HEIGHT = 96, 64
MIDDLE = HEIGHT // 2, WIDTH // 2
RADIUS = 0.5


def avatar_file(path, **tensors):
    """An avatar of which only the light and the places of Gaussians are read."""
    header, body = {"__metadata__": {"gaussianspeech-avatar-2": "{}"}}, b""
    for name, values in tensors.items():
        data = np.ascontiguousarray(values).tobytes()
        kind = "I32" if np.asarray(values).dtype == np.int32 else "F32"
        ends = [len(body), len(body) + len(data)]
        header[name] = {"dtype": kind, "shape": list(np.shape(values)), "data_offsets": ends}
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return str(path)


@pytest.fixture
def scene(blender, addon, monkeypatch):
    """A sphere for a head before a camera, in a grey world."""
    monkeypatch.setattr(addon("rendering.engine"), "get_engine", lambda _context: DiscEngine())
    addon("rendering.light.light_scene")._warned.clear()
    scene = blender.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 8, False
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.view_settings.view_transform = "Standard"
    scene.camera = blender.data.objects.new("Camera", blender.data.cameras.new("Camera"))
    scene.camera.location, scene.camera.rotation_euler = (0, -3, 0), (np.pi / 2, 0, 0)
    scene.collection.objects.link(scene.camera)
    world = blender.data.worlds.new("World")
    if world.node_tree is None:
        world.use_nodes = True
    scene.world = world
    set_world(scene, 0.2)
    return scene


def set_world(scene, strength):
    color = scene.world.node_tree.nodes["Background"].inputs["Color"]
    color.default_value = (strength, strength, strength, 1)


@pytest.fixture
def head(blender, scene, tmp_path):
    """Its capture was in even light of the radiance 1."""
    blender.ops.mesh.primitive_uv_sphere_add(radius=RADIUS, segments=32, ring_count=16)
    obj = blender.context.object
    obj.name, count = "Head", len(obj.data.vertices)
    known = obj.gaussianspeech_head
    known.id, known.source, known.vertex_count = "default", "default", count
    light = np.ones((count, 3), np.float32)
    obj.gaussianspeech_avatar.source = avatar_file(
        tmp_path / "lit.safetensors", **{"light.vertices": light}
    )
    return obj


def lamp(scene, location, color, energy=60.0):
    import bpy

    light = bpy.data.lights.new("Lamp", "POINT")
    light.color, light.energy, light.shadow_soft_size = color, energy, 0.05
    obj = bpy.data.objects.new("Lamp", light)
    obj.location = location
    scene.collection.objects.link(obj)
    return obj


def rendered(scene, tmp_path) -> np.ndarray:
    """Scene-linear colours, the bottom row first."""
    import bpy

    scene.render.filepath = str(tmp_path / "picture.exr")
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_depth = "32"
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    return np.array(image.pixels[:]).reshape(HEIGHT, WIDTH, 4)[..., :3]


def linear(color):
    return ((color + 0.055) / 1.055) ** 2.4


def proxies(blender):
    return [obj for obj in blender.data.objects if obj.gaussianspeech_light_proxy.head]


def names(blender):
    kinds = ("objects", "meshes", "scenes", "collections", "materials", "node_groups", "worlds")
    return {kind: sorted(item.name for item in getattr(blender.data, kind)) for kind in kinds}


def test_amount_0_is_the_picture_as_before_to_the_bit(blender, scene, head, tmp_path):
    lamp(scene, (-2, -2, 1), (1, 0.1, 0.1))
    blender.ops.gaussianspeech.set_up_composite()
    before, known = rendered(scene, tmp_path), names(blender)
    head.gaussianspeech_light.amount = 0
    head.gaussianspeech_light.enabled = True
    np.testing.assert_array_equal(rendered(scene, tmp_path), before)
    assert names(blender)["objects"] == known["objects"]


def test_an_amount_that_is_keyed_is_followed_from_0_to_1(blender, scene, head, tmp_path):
    lamp(scene, (-2, -2, 1), (1, 0.1, 0.1))
    blender.ops.gaussianspeech.set_up_composite()
    before = rendered(scene, tmp_path)
    light = head.gaussianspeech_light
    light.enabled = True
    for frame, amount in ((1, 0.0), (2, 1.0)):
        light.amount = amount
        light.keyframe_insert("amount", frame=frame)
    scene.frame_set(1)
    np.testing.assert_array_equal(rendered(scene, tmp_path)[MIDDLE], before[MIDDLE])
    scene.frame_set(2)
    lit = rendered(scene, tmp_path)[MIDDLE]
    assert lit[0] / lit[1] > 1.3 * before[MIDDLE][0] / before[MIDDLE][1]


def test_the_avatars_colour_is_multiplied_by_the_light_over_that_of_its_capture(
    blender, scene, head, tmp_path
):
    set_world(scene, 0.5)
    head.gaussianspeech_light.enabled = True
    blender.ops.gaussianspeech.set_up_composite()
    # A convex body in an even world has the world's radiance as its light.
    even = rendered(scene, tmp_path)[MIDDLE]
    np.testing.assert_allclose(even, 0.5 * linear(COLOR), rtol=0.06)
    head.gaussianspeech_light.gain = 2
    np.testing.assert_allclose(rendered(scene, tmp_path)[MIDDLE], 2 * even, rtol=0.01)
    head.gaussianspeech_light.gain, head.gaussianspeech_light.gamma = 1, 2
    np.testing.assert_allclose(rendered(scene, tmp_path)[MIDDLE], 0.5 * even, rtol=0.06)
    head.gaussianspeech_light.gamma, head.gaussianspeech_light.temperature = 1, 3000
    warm = rendered(scene, tmp_path)[MIDDLE] / even
    assert warm[0] > 1.2
    assert warm[2] < 0.7


def test_a_red_lamp_makes_its_side_of_the_face_red(blender, scene, head, tmp_path):
    set_world(scene, 0.05)
    lamp(scene, (-3, -1, 0), (1, 0.02, 0.02), 200)
    head.gaussianspeech_light.enabled = True
    blender.ops.gaussianspeech.set_up_composite()
    row = rendered(scene, tmp_path)[HEIGHT // 2]
    left, right = (row[WIDTH // 2 + offset] for offset in (-12, 12))
    ratio = linear(COLOR)[0] / linear(COLOR)[1]
    assert left[0] / left[1] > 4 * ratio
    assert right[0] / right[1] < 2 * ratio
    assert left[0] > 5 * right[0]


def test_a_props_shadow_darkens_the_face(blender, scene, head, tmp_path):
    set_world(scene, 0.0)
    lamp(scene, (0, -3, 3), (1, 1, 1), 400)
    head.gaussianspeech_light.enabled = True
    blender.ops.gaussianspeech.set_up_composite()
    open_light = rendered(scene, tmp_path)[MIDDLE]
    blender.ops.mesh.primitive_plane_add(size=0.6, location=(0, -1.6, 1.6))
    blender.context.object.rotation_euler = (np.pi / 4, 0, 0)
    shaded = rendered(scene, tmp_path)[MIDDLE]
    assert open_light.mean() > 0.05
    assert (shaded < 0.1 * open_light).all()


def test_what_stands_out_beyond_the_mesh_is_lit_too(blender, scene, head, tmp_path):
    head.gaussianspeech_light.enabled = True
    lamp(scene, (0, -3, 0), (1, 0.02, 0.02), 400)
    blender.ops.gaussianspeech.set_up_composite()
    # The disc is larger than the receiver: the sphere shrinks, not what the engine draws.
    for obj in proxies(blender):
        obj.scale = (0.7, 0.7, 0.7)
    row = rendered(scene, tmp_path)[HEIGHT // 2]
    covered = np.flatnonzero(np.abs(row[:, 1] - row[WIDTH // 2, 1]) < 0.02)
    beyond = row[WIDTH // 2 + 17]
    assert covered.size
    assert beyond[0] / beyond[1] > 2 * linear(COLOR)[0] / linear(COLOR)[1]


@pytest.mark.parametrize("view", ["AgX", "Standard"])
def test_lit_avatars_go_through_the_view_transform_as_the_scene_does(
    blender, scene, head, tmp_path, view
):
    scene.view_settings.view_transform = view
    set_world(scene, 1.0)
    head.gaussianspeech_light.enabled = True
    blender.ops.gaussianspeech.set_up_composite()
    np.testing.assert_allclose(rendered(scene, tmp_path)[MIDDLE], linear(COLOR), rtol=0.06)


def test_an_avatar_without_a_stored_light_warns_once(blender, scene, head, addon, tmp_path, capsys):
    head.gaussianspeech_avatar.source = avatar_file(tmp_path / "dark.safetensors")
    head.gaussianspeech_light.enabled = True
    addon("rendering.avatar_scene").set_up_composite(scene)
    status = blender.context.window_manager.gaussianspeech_status
    assert "without a stored light" in status.message
    blender.ops.gaussianspeech.set_up_composite()
    rendered(scene, tmp_path)
    assert capsys.readouterr().out.count("without a stored light") == 1


def test_it_follows_what_is_added_renamed_deleted_and_switched_off(blender, scene, head, tmp_path):
    scene.gaussianspeech_composite.occlusion = "DEPTH"  # Or there would be mattes, too.
    head.gaussianspeech_light.enabled = True
    blender.ops.gaussianspeech.set_up_composite()
    other = head.copy()
    other.name, other.location.x = "Other", 1.2
    scene.collection.objects.link(other)
    head.name = "Anna"
    rendered(scene, tmp_path)
    assert sorted(obj.gaussianspeech_light_proxy.head.name for obj in proxies(blender)) == [
        "Anna", "Anna", "Other", "Other",
    ]  # fmt: skip
    blender.data.objects.remove(other)
    rendered(scene, tmp_path)
    assert {obj.gaussianspeech_light_proxy.head for obj in proxies(blender)} == {head}
    head.hide_render = True
    depsgraph = scene.gaussianspeech_composite.light_scene.view_layers[0].depsgraph
    assert depsgraph is not None
    head.hide_render = False
    head.gaussianspeech_light.enabled = False
    assert not proxies(blender)
    assert scene.gaussianspeech_composite.light_scene is None


def test_a_head_that_is_deleted_or_hidden_leaves_no_shadow(blender, scene, head, tmp_path):
    set_world(scene, 0.0)
    lamp(scene, (0, -3, 3), (1, 1, 1))
    head.gaussianspeech_light.enabled = True
    blender.ops.gaussianspeech.set_up_composite()
    alone = rendered(scene, tmp_path)[MIDDLE]
    other = head.copy()
    other.location = (0, -1.5, 1.5)
    scene.collection.objects.link(other)
    assert rendered(scene, tmp_path)[MIDDLE].mean() < 0.2 * alone.mean()
    other.hide_render = True
    np.testing.assert_allclose(rendered(scene, tmp_path)[MIDDLE], alone, rtol=0.05)
    blender.data.objects.remove(other)
    np.testing.assert_allclose(rendered(scene, tmp_path)[MIDDLE], alone, rtol=0.05)


def test_removing_leaves_nothing_and_nothing_of_the_artists_is_touched(
    blender, scene, head, tmp_path
):
    before = names(blender)
    kept = head.visible_camera, head.hide_render, list(head.modifiers), list(head.data.attributes)
    head.gaussianspeech_light.enabled = True
    blender.ops.gaussianspeech.set_up_composite()
    rendered(scene, tmp_path)
    assert kept == (
        head.visible_camera, head.hide_render, list(head.modifiers), list(head.data.attributes)
    )  # fmt: skip
    blender.ops.gaussianspeech.remove_composite()
    after = names(blender)
    after["node_groups"] = [name for name in after["node_groups"] if "Compositing" not in name]
    assert after == before


def hairy(tmp_path, head, reach):
    """Gaussians over the upper half that stand off from the sphere."""
    mesh = head.data
    mesh.calc_loop_triangles()
    corners = np.array([tri.vertices for tri in mesh.loop_triangles])
    points = np.array([vertex.co for vertex in mesh.vertices])
    upper = np.flatnonzero((points[corners][..., 2] > 0.05).all(axis=1)).astype(np.int32)
    v0, v1, v2 = (points[corners[upper, index]] for index in range(3))
    edge = (v1 - v0) / np.linalg.norm(v1 - v0, axis=1, keepdims=True)
    side = np.cross(edge, v2 - v0)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    third = np.cross(side, edge)
    size = (np.linalg.norm(v1 - v0, axis=1) + np.abs((third * (v2 - v0)).sum(1))) / 2
    positions = np.zeros((len(upper), 3), np.float32)
    positions[:, 1] = reach / size
    return avatar_file(
        tmp_path / "hairy.safetensors",
        **{
            "light.vertices": np.ones((len(points), 3), np.float32),
            "binding": upper,
            "positions": positions,
            "opacity_logits": np.full(len(upper), 5, np.float32),
        },
    )


def test_hair_has_a_hull_that_stands_off_as_far_as_its_gaussians(blender, scene, head, tmp_path):
    head.gaussianspeech_avatar.source = hairy(tmp_path, head, 0.04)
    head.gaussianspeech_light.enabled = True
    blender.ops.gaussianspeech.set_up_composite()
    (hull,) = scene.gaussianspeech_composite.hulls.objects
    assert not hull.visible_camera
    hull.hide_viewport = False
    evaluated = hull.evaluated_get(blender.context.evaluated_depsgraph_get())
    points = np.array([vertex.co for vertex in evaluated.data.vertices])
    # What is bare has none, but for the smoothing between the two.
    assert points[:, 2].min() > -0.3
    top = points[points[:, 2] > 0.4]
    # The middles of the triangles lie up to 5 mm inside the sphere.
    np.testing.assert_allclose(np.linalg.norm(top, axis=1), RADIUS + 0.04, atol=0.005)


def test_hair_casts_its_shadow_on_the_scene(blender, scene, head, tmp_path):
    head.gaussianspeech_avatar.source = hairy(tmp_path, head, 0.06)
    scene.camera.location = (0, -6, 0)
    set_world(scene, 0.0)
    blender.ops.mesh.primitive_plane_add(size=9, location=(0, 1, 0), rotation=(np.pi / 2, 0, 0))
    lamp(scene, (0, -1.5, 1.5), (1, 1, 1), 300)
    blender.ops.gaussianspeech.set_up_composite()
    bald = rendered(scene, tmp_path).mean(axis=2)
    head.gaussianspeech_light.enabled = True
    hair = rendered(scene, tmp_path).mean(axis=2)
    darkened = (hair < 0.3 * bald) & (bald > 0.1)
    assert darkened.sum() >= 5
