# SPDX-License-Identifier: GPL-3.0-or-later
"""Where F12 draws avatars, and with which pose: objects, parents, rigs, shape keys, modifiers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.rendering.f12.f12_scene import rendered


def bound_copy(scene, head, name, **place):
    other = head.copy()
    other.name = name
    for attribute, value in place.items():
        setattr(other, attribute, value)
    scene.collection.objects.link(other)
    return other


def test_several_avatars_stand_in_one_picture_each_with_its_own_file(scene, head, disc, tmp_path):
    path = str(tmp_path / "other.gsavatar")
    other = bound_copy(scene, head, "Berta", location=(1.5, 0, 0))
    other.gaussianspeech_avatar.source = path
    pixels = rendered(scene, tmp_path)
    items = disc.last("avatar.render")[1]["items"]
    assert {(item["avatar"], item["matrix"][3]) for item in items} == {
        ("default", 0.0),
        (path, 1.5),
    }
    scale = 60 * 50 / 36 / 6
    assert pixels[20, 30, 3] == pixels[20, int(30 + 1.5 * scale), 3] == 1


def test_a_turned_and_scaled_head_under_a_parent_is_drawn_where_blender_has_it(
    blender, scene, head, disc, tmp_path
):
    parent = blender.data.objects.new("Body", None)
    parent.location, parent.rotation_euler, parent.scale = (1, 2, 3), (0.3, 0.1, 1.2), (2, 2, 2)
    scene.collection.objects.link(parent)
    head.parent = parent
    head.location, head.rotation_euler, head.scale = (0.5, 0, 0), (0, 0.7, 0), (0.5, 0.8, 1.1)
    rendered(scene, tmp_path)
    _, params, arrays = disc.last("avatar.render")
    matrix = np.reshape(params["items"][0]["matrix"], (4, 4))
    ours = arrays["vertices/0"] @ matrix[:3, :3].T + matrix[:3, 3]
    blenders = [head.matrix_world @ vertex.co for vertex in head.data.vertices]
    np.testing.assert_allclose(ours, blenders, atol=1e-5)


def test_an_armature_bends_the_avatar(blender, scene, head, disc, tmp_path):
    bones = blender.data.objects.new("Bones", blender.data.armatures.new("Bones"))
    scene.collection.objects.link(bones)
    blender.context.view_layer.objects.active = bones
    blender.ops.object.mode_set(mode="EDIT")
    bones.data.edit_bones.new("Neck").tail = (0, 0, 1)
    blender.ops.object.mode_set(mode="OBJECT")
    group = head.vertex_groups.new(name="Neck")
    group.add([vertex.index for vertex in head.data.vertices if vertex.co.x > 0], 1.0, "ADD")
    head.modifiers.new("Armature", "ARMATURE").object = bones
    bones.pose.bones["Neck"].location = (0, 0.25, 0)
    rendered(scene, tmp_path)
    moved = disc.last("avatar.render")[2]["vertices/0"]
    # The bone's own +Y is the head's up; half of the cube is bound to it.
    rest = np.array([(v.co.x, v.co.z, -v.co.y) for v in head.data.vertices])
    rest[rest[:, 0] > 0, 1] += 0.25
    np.testing.assert_allclose(moved, rest, atol=1e-6)


def test_every_frame_of_an_animation_is_rendered_at_its_own_pose(
    blender, scene, head, disc, tmp_path
):
    head.keyframe_insert("location", frame=1)
    head.location.x = 1.0
    head.keyframe_insert("location", frame=3)
    scene.frame_start, scene.frame_end = 1, 3
    scene.render.filepath = str(tmp_path / "frame-")
    blender.ops.render.render(animation=True)
    renders = [params for method, params, _ in disc.requests if method == "avatar.render"]
    assert [round(params["items"][0]["matrix"][3], 3) for params in renders] == [0.0, 0.5, 1.0]
    assert len(list(tmp_path.glob("frame-*.exr"))) == 3


def test_animated_shape_keys_drive_vertices_and_expression(scene, head, disc, tmp_path):
    head.shape_key_add(name="Basis")
    key = head.shape_key_add(name="jawOpen")
    for point in key.data:
        point.co.z -= 1.0
    key.value = 0.0
    key.keyframe_insert("value", frame=1)
    key.value = 1.0
    key.keyframe_insert("value", frame=11)
    scene.frame_set(6)
    rendered(scene, tmp_path)
    _, params, arrays = disc.last("avatar.render")
    assert params["items"][0]["expression"]["jawOpen"] == pytest.approx(0.5)
    # Head space has +Y up: the mean height of the vertices fell by half a metre.
    np.testing.assert_allclose(arrays["vertices/0"].mean(0), [0, -0.5, 0], atol=1e-6)


def test_a_muted_shape_key_is_at_rest(scene, head, disc, tmp_path):
    head.shape_key_add(name="Basis")
    key = head.shape_key_add(name="jawOpen")
    key.value, key.mute = 1.0, True
    rendered(scene, tmp_path)
    assert disc.last("avatar.render")[1]["items"][0]["expression"]["jawOpen"] == 0


def test_a_head_without_shape_keys_sends_no_expression(scene, head, disc, tmp_path):
    rendered(scene, tmp_path)
    assert disc.last("avatar.render")[1]["items"][0]["expression"] == {}


def test_the_matrix_takes_head_space_to_the_world(scene, head, disc, tmp_path):
    head.location = (0.2, 0.3, 0.4)
    rendered(scene, tmp_path)
    matrix = np.reshape(disc.last("avatar.render")[1]["items"][0]["matrix"], (4, 4))
    # The head's forward axis, +Z in head space, is -Y in Blender.
    np.testing.assert_allclose(matrix @ [0, 0, 1, 1], [0.2, -0.7, 0.4, 1], atol=1e-6)


def test_instances_of_a_head_are_drawn_where_they_stand(blender, scene, head, disc, tmp_path):
    extras = blender.data.collections.new("Extras")
    extras.objects.link(head)
    scene.collection.objects.unlink(head)
    for x in (-1.0, 1.0):
        empty = blender.data.objects.new("Instance", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", extras
        empty.location.x = x
        scene.collection.objects.link(empty)
    rendered(scene, tmp_path)
    items = disc.last("avatar.render")[1]["items"]
    assert sorted(item["matrix"][3] for item in items) == [-1.0, 1.0]


def test_a_modifier_that_adds_vertices_fails_with_the_objects_name(blender, scene, head):
    head.modifiers.new("Array", "ARRAY")
    with pytest.raises(RuntimeError, match="'Anna' has 16 vertices after its modifiers"):
        blender.ops.render.render()


@pytest.mark.parametrize("smooth", ["CATMULL_CLARK", "SIMPLE"])
def test_subdivision_moves_the_vertices_and_adds_none(scene, head, disc, tmp_path, smooth):
    rendered(scene, tmp_path)
    before = disc.last("avatar.render")[2]["vertices/0"].copy()
    modifier = head.modifiers.new("Subdivision", "SUBSURF")
    modifier.render_levels, modifier.subdivision_type = 1, smooth
    rendered(scene, tmp_path)
    after = disc.last("avatar.render")[2]["vertices/0"]
    assert after.shape == before.shape
    # Each stays nearest to where it was.
    distances = np.linalg.norm(after[:, None] - before, axis=2)
    assert distances.argmin(axis=1).tolist() == list(range(len(before)))
    assert bool(distances.min(axis=1).max() > 0.1) is (smooth == "CATMULL_CLARK")


def test_a_deforming_modifier_reaches_the_avatar(scene, head, disc, tmp_path):
    modifier = head.modifiers.new("Cast", "CAST")
    modifier.factor, modifier.use_radius_as_size, modifier.size = 1.0, False, 3.0
    rendered(scene, tmp_path)
    radii = np.linalg.norm(disc.last("avatar.render")[2]["vertices/0"], axis=1)
    np.testing.assert_allclose(radii, 3.0, atol=1e-3)
