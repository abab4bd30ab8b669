# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters for tests: meshes of given keys, armatures of given bones, and Rigify's faces."""

from __future__ import annotations

import contextlib
import io

import numpy as np

from tests.blender_addon.speaking import frames_of_strip

ARKIT = ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "mouthSmileRight",
         "mouthLowerDownLeft", "mouthLowerDownRight", "eyeBlinkLeft", "eyeBlinkRight")  # fmt: skip


def make_mesh(blender, name, keys):
    """A mesh with shape keys of given names; each moves the vertices its own way."""
    blender.ops.mesh.primitive_uv_sphere_add(segments=8, ring_count=6)
    obj = blender.context.object
    obj.name = name
    obj.shape_key_add(name="Basis")
    for number, key in enumerate(keys):
        block = obj.shape_key_add(name=key, from_mix=False)
        block.points[number % len(block.points)].co.z += 0.1
        block.value = 0.0  # What Blender begins with differs between versions.
    return obj


def select(blender, main, *others):
    """Select objects, the first the active one."""
    for obj in blender.context.scene.objects:
        obj.select_set(obj == main or obj in others)
    blender.context.view_layer.objects.active = main


def make_armature(blender, name, bones):
    """An armature object.

    Args:
        blender: bpy.
        name: of the object.
        bones: head, tail, and parent or nothing, by name.
    """
    armature = blender.data.armatures.new(name)
    rig = blender.data.objects.new(name, armature)
    blender.context.collection.objects.link(rig)
    blender.context.view_layer.objects.active = rig
    blender.ops.object.mode_set(mode="EDIT")
    for bone, (head, tail, *parent) in bones.items():
        made = armature.edit_bones.new(bone)
        made.head, made.tail = head, tail
        if parent:
            made.parent = armature.edit_bones[parent[0]]
    blender.ops.object.mode_set(mode="OBJECT")
    return rig


def face_bones(jaw="jaw", eye="eye.{}"):
    """Bones of a face 1.5 m up that looks along −Y."""
    return {
        "neck": ((0, 0.02, 1.4), (0, 0.02, 1.48)),
        "head": ((0, 0.02, 1.48), (0, 0.02, 1.7), "neck"),
        jaw: ((0, 0.0, 1.55), (0, -0.08, 1.5), "head"),
        eye.format("L"): ((0.031, -0.06, 1.62), (0.031, -0.09, 1.62), "head"),
        eye.format("R"): ((-0.031, -0.06, 1.62), (-0.031, -0.09, 1.62), "head"),
    }


def rigify_face(blender, *, new):
    """The rig that Rigify generates of its human face, with the older or the newer face.

    Returns:
        The rig, or ``None`` where this Blender has no Rigify.
    """
    import addon_utils

    with contextlib.redirect_stdout(io.StringIO()):
        if addon_utils.enable("rigify", default_set=True) is None:
            return None
        blender.ops.object.armature_human_metarig_add()
        metarig = blender.context.object
        blender.ops.object.mode_set(mode="EDIT")
        bones = metarig.data.edit_bones
        face = {"face", *(bone.name for bone in bones["face"].children_recursive)}
        for name in [bone.name for bone in bones if bone.name not in face]:
            bones.remove(bones[name])
        blender.ops.object.mode_set(mode="OBJECT")
        if new:
            blender.ops.pose.rigify_upgrade_face()
        blender.ops.pose.rigify_generate()
        rig = blender.context.object
        blender.data.objects.remove(metarig)
    return rig


def location_of(blender, rig, bone):
    """(3,) where a bone's head is now, armature space."""
    evaluated = rig.evaluated_get(blender.context.evaluated_depsgraph_get())
    return np.array(evaluated.pose.bones[bone].matrix.translation)


def turn_of(blender, rig, bone):
    """(3,) rotation vector of a bone against its rest pose, armature space, radians."""
    evaluated = rig.evaluated_get(blender.context.evaluated_depsgraph_get())
    pose = evaluated.pose.bones[bone]
    turned = pose.matrix.to_3x3().normalized() @ pose.bone.matrix_local.to_3x3().inverted()
    axis, angle = turned.to_quaternion().to_axis_angle()
    return np.array(axis) * angle


def played_key(blender, obj, key):
    """The values of a key over the frames of the first line."""
    (strip,) = [
        strip
        for track in obj.data.shape_keys.animation_data.nla_tracks
        for strip in track.strips
        if "gaussianspeech_line" in strip.action
    ]
    first, last = frames_of_strip(strip)
    values = []
    for frame in range(int(first), int(last) + 1):
        blender.context.scene.frame_set(frame)
        values.append(obj.data.shape_keys.key_blocks[key].value)
    return np.array(values)
