# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters of one's own leave Blender with all their objects, rigs and overrides."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.blender_addon.exporting import assert_same, imported_back, world_vertices
from tests.blender_addon.rig_faces import make_armature, make_mesh, select

MOUTH_KEYS = [
    "Basis",
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "jawLeft",
    "jawRight",
    "cheekPuff",
]


def test_all_objects_of_a_character_go_out_together(blender, tmp_path):
    objects = []
    for name in ("Teeth", "Face"):
        blender.ops.mesh.primitive_cube_add()
        obj = blender.context.object
        obj.name = name
        for key in MOUTH_KEYS:
            obj.shape_key_add(name=key)
        objects.append(obj)
    for obj in objects:
        obj.select_set(True)
    blender.ops.gaussianspeech.use_character()
    path = tmp_path / "character.glb"
    blender.ops.gaussianspeech.export(filepath=str(path), format="GLB", frames="SCENE")
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    blender.ops.import_scene.gltf(filepath=str(path))
    assert {"Teeth", "Face"} <= set(blender.data.objects.keys())


@pytest.mark.parametrize(("kind", "suffix"), [("GLB", "glb"), ("FBX", "fbx")])
def test_all_objects_of_a_file_move_when_it_is_imported(blender, tmp_path, kind, suffix):
    for name in ("Teeth", "Face"):
        blender.ops.mesh.primitive_cube_add()
        obj = blender.context.object
        obj.name = name
        for key in MOUTH_KEYS:
            obj.shape_key_add(name=key, from_mix=False)
        jaw = obj.data.shape_keys.key_blocks["jawOpen"]
        jaw.data[0].co.z -= 1
        for frame, value in ((1, 0.0), (9, 1.0)):
            jaw.value = value
            jaw.keyframe_insert("value", frame=frame)
    blender.data.objects["Teeth"].select_set(True)
    blender.ops.gaussianspeech.use_character()
    blender.context.scene.frame_end = 9
    path = tmp_path / f"character.{suffix}"
    blender.ops.gaussianspeech.export(filepath=str(path), format=kind, frames="SCENE")
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    blender.context.scene.render.fps = 24
    if kind == "GLB":
        blender.ops.import_scene.gltf(filepath=str(path))
    else:
        blender.ops.import_scene.fbx(filepath=str(path), anim_offset=0.0)
    for frame, expected in ((1, 0.0), (9, 1.0)):
        blender.context.scene.frame_set(frame)
        for name in ("Teeth", "Face"):
            keys = blender.data.objects[name].data.shape_keys.key_blocks
            assert keys["jawOpen"].value == pytest.approx(expected, abs=1e-4), (name, frame)


def test_a_character_is_no_performance_of_a_head(blender, tmp_path):
    blender.ops.mesh.primitive_cube_add()
    for key in ("Basis", "A", "I", "U", "E", "O"):
        blender.context.object.shape_key_add(name=key)
    blender.ops.gaussianspeech.use_character()
    with pytest.raises(RuntimeError, match="performances are of heads"):
        blender.ops.gaussianspeech.export(
            filepath=str(tmp_path / "a.npz"), format="NPZ", frames="SCENE"
        )
    assert list(tmp_path.iterdir()) == []


def arkit_of(path) -> dict:
    content = json.loads(path.read_text("utf-8"))
    values = np.array(content["weightMat"])
    return {name: values[:, column] for column, name in enumerate(content["facsNames"])}


def test_a_characters_shapes_go_out_as_the_arkit_weights_they_stand_for(blender, tmp_path):
    blender.ops.mesh.primitive_cube_add()
    obj = blender.context.object
    for key in ("Basis", "A", "I", "U", "E", "O"):
        obj.shape_key_add(name=key)
    blender.ops.gaussianspeech.use_character()
    for key in obj.data.shape_keys.key_blocks:
        key.value = 0.5 if key.name == "A" else 0.0
    path = tmp_path / "a.json"
    blender.ops.gaussianspeech.export(filepath=str(path), format="JSON", frames="SCENE")
    poses = pytest.importorskip("engine.motion.characters.poses")
    shown = arkit_of(path)
    assert shown["jawOpen"][0] == pytest.approx(0.5 * poses.VISEMES["aa"]["jawOpen"], abs=1e-5)


@pytest.fixture
def shot(blender, tmp_path):
    """A file that overrides a character of a library; the override is active and animated."""
    blender.ops.mesh.primitive_cube_add()
    obj = blender.context.object
    obj.name = "Face"
    for key in ("Basis", "A", "I", "U", "E", "O"):
        obj.shape_key_add(name=key)
    for key in obj.data.shape_keys.key_blocks:
        key.value = 0.0
    blender.ops.gaussianspeech.use_character()
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with blender.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["Face"]
    (linked,) = blender.data.objects
    return linked


def test_a_library_override_goes_out(blender, shot, tmp_path):
    scene = blender.context.scene
    scene.collection.objects.link(shot)
    face = shot.override_hierarchy_create(scene, blender.context.view_layer)
    blender.context.view_layer.objects.active = face
    face.location.x = 2.0
    scene.frame_start, scene.frame_end = 1, 2
    expected = world_vertices(face, 2)
    path = tmp_path / "a.abc"
    blender.ops.gaussianspeech.export(filepath=str(path), format="ABC", frames="SCENE")
    blender.ops.gaussianspeech.export(
        filepath=str(tmp_path / "a.json"), format="JSON", frames="SCENE"
    )
    assert arkit_of(tmp_path / "a.json")["jawOpen"].tolist() == [0.0, 0.0]
    assert_same(world_vertices(imported_back("ABC", path), 2), expected, "ABC")


def test_what_is_only_linked_goes_out_too(blender, shot, tmp_path):
    blender.context.scene.collection.objects.link(shot)
    blender.context.view_layer.objects.active = shot
    expected = world_vertices(shot, 1)
    path = tmp_path / "a.glb"
    blender.ops.gaussianspeech.export(filepath=str(path), format="GLB", frames="SCENE")
    assert_same(world_vertices(imported_back("GLB", path), 1), expected, "GLB")


@pytest.mark.parametrize(("kind", "suffix"), [("ABC", "abc"), ("GLB", "glb")])
def test_a_rig_goes_out_with_the_meshes_that_it_moves(blender, tmp_path, kind, suffix):
    blender.ops.mesh.primitive_cube_add()
    mesh = blender.context.object
    armature = blender.data.armatures.new("Rig")
    rig = blender.data.objects.new("Rig", armature)
    blender.context.collection.objects.link(rig)
    blender.context.view_layer.objects.active = rig
    blender.ops.object.mode_set(mode="EDIT")
    bone = armature.edit_bones.new("jaw")
    bone.head, bone.tail = (0, 0, 0), (0, -1, 0)
    blender.ops.object.mode_set(mode="OBJECT")
    mesh.vertex_groups.new(name="jaw").add(range(8), 1.0, "REPLACE")
    mesh.modifiers.new("Armature", "ARMATURE").object = rig
    for other in blender.context.selected_objects:
        other.select_set(False)
    rig.select_set(True)
    blender.context.view_layer.objects.active = rig
    blender.ops.gaussianspeech.use_character()
    turned = rig.pose.bones["jaw"]
    turned.rotation_mode = "XYZ"
    for frame, angle in ((1, 0.0), (9, 0.4)):
        turned.rotation_euler.x = angle
        turned.keyframe_insert("rotation_euler", frame=frame)
    blender.context.scene.frame_end = 9
    rig.hide_viewport = True
    blender.ops.mesh.primitive_plane_add()
    helper = blender.context.object
    helper.modifiers.new("Armature", "ARMATURE").object = rig
    helper.hide_set(True)
    blender.context.view_layer.objects.active = rig
    expected = world_vertices(mesh, 6)
    path = tmp_path / f"a.{suffix}"
    blender.ops.gaussianspeech.export(filepath=str(path), format=kind, frames="SCENE")
    assert_same(world_vertices(imported_back(kind, path, uvs=None), 6), expected, "GLB")


def test_bones_alone_have_no_weights(blender, tmp_path):
    armature = blender.data.armatures.new("Rig")
    rig = blender.data.objects.new("Rig", armature)
    blender.context.collection.objects.link(rig)
    blender.context.view_layer.objects.active = rig
    blender.ops.object.mode_set(mode="EDIT")
    bone = armature.edit_bones.new("jaw")
    bone.head, bone.tail = (0, 0, 0), (0, -1, 0)
    blender.ops.object.mode_set(mode="OBJECT")
    rig.select_set(True)
    blender.ops.gaussianspeech.use_character()
    for kind, message in (("CSV", "moves bones and no shape keys"), ("ABC", "moves no mesh")):
        with pytest.raises(RuntimeError, match=message):
            blender.ops.gaussianspeech.export(
                filepath=str(tmp_path / "a"), format=kind, frames="SCENE"
            )


def driven_by(blender, face, control):
    """Let a face's jaw go with a control's property, which goes from 0 to 1 over 9 frames."""
    control["open"] = 0.0
    driver = face.data.shape_keys.key_blocks["jawOpen"].driver_add("value").driver
    variable = driver.variables.new()
    driver.expression = variable.name
    variable.targets[0].id, variable.targets[0].data_path = control, '["open"]'
    for frame, value in ((1, 0.0), (9, 1.0)):
        control["open"] = value
        control.keyframe_insert('["open"]', frame=frame)
    blender.context.scene.frame_end = 9
    blender.context.scene.frame_set(1)


@pytest.mark.parametrize("kind", ["EMPTY", "ARMATURE"])
def test_the_face_that_a_control_drives_goes_out_with_it(blender, tmp_path, kind):
    face = make_mesh(blender, "Face", MOUTH_KEYS[1:])
    if kind == "EMPTY":
        control = blender.data.objects.new("Knob", None)
        blender.context.scene.collection.objects.link(control)
    else:
        control = make_armature(blender, "Rig", {"root": ((0, 0, 0), (0, 0, 1))})
    driven_by(blender, face, control)
    select(blender, control)
    blender.ops.gaussianspeech.use_character()
    path = tmp_path / "face.glb"
    blender.ops.gaussianspeech.export(filepath=str(path), format="GLB", frames="SCENE")
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    blender.ops.import_scene.gltf(filepath=str(path))
    (mesh,) = [obj for obj in blender.data.objects if obj.type == "MESH"]
    moved = world_vertices(mesh, 9) - world_vertices(mesh, 1)
    assert np.abs(moved).max() == pytest.approx(0.1, abs=1e-3)
