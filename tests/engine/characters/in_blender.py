# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests let Blender do, in a process that they share: ``[ACTION, ARGUMENTS…]`` a line.

Each action begins with factory settings or with a file that it opens. A line that begins with
``DONE`` or ``FAILED`` answers, with the result or what went wrong as JSON.
"""

from __future__ import annotations

import json
import sys
import traceback

import bpy

from engine.characters.blender_process import main as answer
from tests.engine.gltf_files import ARKIT


def make(path: str, *options: str) -> None:
    """A character of a face and teeth, as .blend or .fbx."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for name, keys in (("Face", (*ARKIT, "artist's own")), ("Teeth", ("jawOpen",))):
        bpy.ops.mesh.primitive_uv_sphere_add(segments=8, ring_count=6)
        obj = bpy.context.object
        obj.name = name
        obj.shape_key_add(name="Basis")
        for key in keys:
            obj.shape_key_add(name=key).data[0].co.z += 0.5
    blocks = bpy.data.objects["Face"].data.shape_keys.key_blocks
    blocks["artist's own"].value = 0.25
    bpy.data.objects["Face"].data.materials.append(bpy.data.materials.new("Skin"))
    if "rigged" in options:
        rig(by_euler="euler" in options)
    if "stuck" in options:
        bones = bpy.data.objects["Rig"].pose.bones
        bones["Head"].rotation_mode = "AXIS_ANGLE"
        bones["jaw"].driver_add("rotation_quaternion", 1).driver.expression = "0.5"
    if "busy" in options:
        blocks["mouthPucker"].driver_add("value").driver.expression = "0.5"
        blocks["mouthFunnel"].mute = True
        blocks["jawOpen"].value = 0.9
        blocks["jawOpen"].keyframe_insert("value", frame=300)
        text = bpy.data.texts.new("run.py")
        text.use_module = True
        text.write("import pathlib\npathlib.Path(__file__ + '.ran').touch()\n")
    if path.endswith(".blend"):
        bpy.ops.wm.save_as_mainfile(filepath=path)
    else:
        bpy.ops.export_scene.fbx(filepath=path)


def rig(*, by_euler: bool) -> None:
    """An armature that stands askew, with a head that is turned on a neck."""
    armature = bpy.data.armatures.new("Rig")
    obj = bpy.data.objects.new("Rig", armature)
    obj.rotation_euler = (0.1, 0.2, 0.3)
    bpy.context.scene.collection.objects.link(obj)
    bpy.context.view_layer.objects.active = obj
    bpy.ops.object.mode_set(mode="EDIT")
    neck = armature.edit_bones.new("Neck")
    neck.tail = (0, 0.02, 0.1)
    head = armature.edit_bones.new("Head")
    head.head, head.tail, head.roll, head.parent = neck.tail, (0, -0.05, 0.3), 0.7, neck
    jaw = armature.edit_bones.new("jaw")
    jaw.head, jaw.tail, jaw.roll, jaw.parent = (0, 0, 0.2), (0, -0.1, 0.15), 0.3, head
    bpy.ops.object.mode_set(mode="OBJECT")
    if by_euler:
        obj.pose.bones["Head"].rotation_mode = obj.pose.bones["jaw"].rotation_mode = "ZXY"
    obj.pose.bones["jaw"]["open"] = 0.25
    obj.pose.bones["jaw"].id_properties_ui("open").update(default=0.25)
    face = bpy.data.objects["Face"]
    face.modifiers.new("Armature", "ARMATURE").object = obj
    face.vertex_groups.new(name="Head").add([0, 1, 2], 1.0, "REPLACE")


def turns(path: str, count: str, rig: str = "Rig", name: str = "Head") -> dict:
    """How a bone is turned against its rest, and its axes at rest, in Blender's space."""
    scene = opened(path)
    obj = bpy.data.objects[rig]
    rest = (obj.matrix_world @ obj.data.bones[name].matrix_local).to_quaternion()
    rate = scene.render.fps / scene.render.fps_base
    found = []
    opened_by = []
    for number in range(int(count)):
        frame = scene.frame_start * path.endswith(".blend") + number * rate / 25.0
        scene.frame_set(int(frame), subframe=frame - int(frame))
        pose = obj.pose.bones[name]
        bone = (obj.matrix_world @ pose.matrix).to_quaternion()
        axis, angle = (bone @ rest.inverted()).to_axis_angle()
        found.append([angle * part for part in axis])
        opened_by.append(pose.get("open"))
    axes = [list(row) for row in rest.to_matrix()]
    return {"turns": found, "axes": axes, "open": opened_by}


def opened(path: str) -> bpy.types.Scene:
    """The scene of a file; frames of what is imported are at 25 frames per second, from 0."""
    if path.endswith(".blend"):
        bpy.ops.wm.open_mainfile(filepath=path)
        return bpy.context.scene
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.fps = 25
    if path.endswith(".fbx"):
        bpy.ops.import_scene.fbx(filepath=path, anim_offset=0.0)
    else:
        bpy.ops.import_scene.gltf(filepath=path)
    return bpy.context.scene


def sample(path: str, fps: str, count: str) -> dict:
    """The values of all shape keys at k / fps seconds after the start, in Blender's time."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    if path.endswith(".blend"):
        bpy.ops.wm.open_mainfile(filepath=path)
        scene = bpy.context.scene
        start = scene.frame_start
    elif path.endswith(".fbx"):
        bpy.ops.import_scene.fbx(filepath=path, anim_offset=0.0)
        start = 0
    else:
        # The importer puts second 0 at frame 0, at the scene's rate.
        scene.render.fps = 60
        bpy.ops.import_scene.gltf(filepath=path)
        start = 0
    rate = scene.render.fps / scene.render.fps_base
    keys = {
        obj.name: obj.data.shape_keys.key_blocks
        for obj in scene.objects
        if obj.type == "MESH" and obj.data.shape_keys
    }
    values: dict[str, list[float]] = {}
    for number in range(int(count)):
        frame = start + number * rate / float(fps)
        scene.frame_set(int(frame), subframe=frame - int(frame))
        for name, blocks in keys.items():
            for block in blocks[1:]:
                values.setdefault(f"{name}/{block.name}", []).append(block.value)
    return {"values": values, "rate": rate, "materials": [m.name for m in bpy.data.materials]}


if __name__ == "__main__":
    for line in sys.stdin:
        action, *arguments = json.loads(line)
        try:
            actions = {"make": make, "sample": sample, "turns": turns, "answer": answer}
            found = actions[action](*arguments)
        except Exception:  # noqa: BLE001 - Whatever it is, the test says it.
            print("FAILED " + json.dumps(traceback.format_exc()), flush=True)
        else:
            print("DONE " + json.dumps(found), flush=True)
