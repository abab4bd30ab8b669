# SPDX-License-Identifier: GPL-3.0-or-later
"""The process in which Blender reads and writes a character's file: ``-m … REQUEST.json``.

The request names the ``file`` and where the ``answer`` goes; with ``out`` it has the clip, too:
``name``, ``fps``, the shape keys of the ``objects``, the channels and shares of the head's turn of
the ``rigs``, and an npz with their ``values`` and the rotations of the ``head``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy_extras import anim_utils
from mathutils import Quaternion

from engine.core.arrays import Float
from engine.gltf.expressions import is_head_bone
from engine.heads.axes import head_to_blender
from engine.motion.characters.blender_bones import (
    AXIS_ANGLE,
    channel_curves,
    head_curves,
    owner_of,
    posed_bones,
    property_default,
    rest_bones,
    up_of,
)
from engine.motion.characters.bones import OBJECT

_LINEAR = 1
_TRACK = "GaussianSpeech"


def main(path: str) -> None:
    """Answer one request."""
    request = json.loads(Path(path).read_text("utf-8"))
    try:
        answer = _answer(request)
    except RuntimeError as error:
        # Blender's operators raise it with the report that its window would show.
        answer = {"error": " ".join(str(error).split())}
    Path(request["answer"]).write_text(json.dumps(answer), "utf-8")


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    _open(Path(request["file"]))
    objects = _speaking_objects()
    if "out" not in request:
        parts = [{"name": obj.name, "keys": list(_keys(obj))} for obj in objects]
        return {"parts": parts, "rigs": [_described(rig) for rig in _rigs()]}
    left_out = []
    if not bpy.data.filepath and not bpy.data.actions:
        # Nothing else keeps time in it, so the frames can be ours.
        render = bpy.context.scene.render
        render.fps = round(request["fps"])
        render.fps_base = render.fps / request["fps"]
    with np.load(request["values"]) as values:
        for number, (name, keys) in enumerate(request["objects"].items()):
            obj = next(obj for obj in objects if obj.name == name)
            left_out += _animate(obj, keys, values[f"values_{number}"], request)
        turning = False
        for name, rig in request["rigs"].items():
            left_out += _move(name, rig, values[rig["array"]], values["head"], request)
            turning |= bool(rig["head_shares"])
        if values["head"].any() and not turning:
            left_out += _turn_head(objects, values["head"], request)
    _save(Path(request["out"]))
    return {"left_out": left_out}


def _open(path: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if path.suffix.lower() == ".blend":
        # Nothing in the file is run.
        bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
    else:
        # Second 0 is frame 0, as it will be when it is written again.
        bpy.ops.import_scene.fbx(filepath=str(path), anim_offset=0.0)
        scene = bpy.context.scene
        scene.frame_start = 0
        scene.frame_end = int(max((a.frame_range[1] for a in bpy.data.actions), default=0))


def _speaking_objects() -> list[Any]:
    """Mesh objects with shape keys of their own; of those that share a mesh the first."""
    found: dict[Any, Any] = {}
    for obj in bpy.context.scene.objects:
        if obj.type == "MESH" and obj.data.shape_keys and not obj.data.shape_keys.library:
            found.setdefault(obj.data.shape_keys, obj)
    return list(found.values())


def _keys(obj: Any) -> tuple[str, ...]:
    keys = obj.data.shape_keys
    return tuple(block.name for block in keys.key_blocks if block != keys.reference_key)


def _animate(
    obj: Any, names: Sequence[str], values: Float, request: Mapping[str, Any]
) -> list[str]:
    """Put the values onto a strip of the object's shape keys, above the strips that are there."""
    keys = obj.data.shape_keys
    driven = _driven(keys)
    left_out, curves = [], {}
    for column, name in enumerate(names):
        block = keys.key_blocks[name]
        path = block.path_from_id("value")
        if path in driven or block.mute:
            why = "driven" if path in driven else "muted"
            left_out.append(f"The shape key {name!r} of {obj.name!r} is {why}: left alone.")
            continue
        block.slider_max = max(block.slider_max, float(values[:, column].max()))
        curves[path, 0] = values[:, column]
    _add_strip(keys, obj.name, curves, request)
    return left_out


def _rigs() -> list[Any]:
    """Armature objects of the scene whose bones may be posed in this file."""
    return [obj for obj in bpy.context.scene.objects if obj.type == "ARMATURE" and not obj.library]


def _described(obj: Any) -> dict[str, Any]:
    """A rig as :class:`engine.characters.character.Rig` has it."""
    bones = [
        {
            name: value.ravel().tolist() if isinstance(value, np.ndarray) else value
            for name, value in bone._asdict().items()
        }
        for bone in rest_bones(obj)
    ]
    properties = [
        {"bone": bone, "channel": f"property {name}", "default": property_default(owner, name)}
        for bone, owner in [(OBJECT, obj), (OBJECT, obj.data), *obj.pose.bones.items()]
        for name, value in owner.items()
        if isinstance(value, float | int) and owner == owner_of(obj, bone, name)
    ]
    up = up_of(obj).tolist()
    return {"name": obj.name, "bones": bones, "up": up, "properties": properties}


def _move(
    name: str, rig: Mapping[str, Any], values: Float, head: Float, request: Mapping[str, Any]
) -> list[str]:
    """Put what bones do onto a strip of a rig, above the strips that are there."""
    obj = bpy.data.objects[name]
    channels = [(bone, channel) for bone, channel in rig["channels"]]
    shares: dict[str, float] = rig["head_shares"]
    stuck = {
        bone: f"The bone {bone!r} of {name!r} turns by axis and angle: left alone."
        for bone in (
            *(bone for bone, channel in channels if channel.startswith("rotation")),
            *shares,
        )
        if obj.pose.bones[bone].rotation_mode == AXIS_ANGLE
    }
    free = [number for number, (bone, _) in enumerate(channels) if bone not in stuck]
    shares = {bone: share for bone, share in shares.items() if bone not in stuck}
    channels = [channels[number] for number in free]
    posed = posed_bones(obj, {bone for bone, _ in channels} | shares.keys(), shares)
    found = [*channel_curves(channels, values[:, free], posed), *head_curves(shares, head, posed)]
    driven = {(d.data_path, d.array_index) for d in _drivers(obj)}
    left_out = [*stuck.values()]
    left_out += dict.fromkeys(
        f"{path} of {name!r} is driven: left alone."
        for path, index, _ in found
        if (path, index) in driven
    )
    curves = {(path, index): known for path, index, known in found if (path, index) not in driven}
    _add_strip(obj, obj.name, curves, request)
    return left_out


def _drivers(datablock: Any) -> Sequence[Any]:
    data = datablock.animation_data
    return data.drivers if data else ()


def _driven(datablock: Any) -> set[str]:
    return {curve.data_path for curve in _drivers(datablock)}


def _add_strip(
    datablock: Any, name: str, curves: Mapping[tuple[str, int], Float], request: Mapping[str, Any]
) -> None:
    """Put (T,) values by data path and index onto a strip, above the strips that are there."""
    if not curves:
        return
    data = datablock.animation_data_create()
    action = bpy.data.actions.new(f"{name} {request['name']}")
    slot = action.slots.new(id_type=datablock.id_type, name=datablock.name)
    bag = anim_utils.action_ensure_channelbag_for_slot(action, slot)
    scene = bpy.context.scene
    rate = scene.render.fps / scene.render.fps_base
    for (path, index), values in curves.items():
        frames = scene.frame_start + np.arange(len(values)) * rate / request["fps"]
        curve = bag.fcurves.new(path, index=index)
        curve.keyframe_points.add(len(values))
        points = np.stack([frames, values], axis=1).ravel().astype(np.float32)
        curve.keyframe_points.foreach_set("co", points)
        curve.keyframe_points.foreach_set("interpolation", [_LINEAR] * len(values))
        curve.update()
    track = data.nla_tracks.new()
    track.name = _TRACK
    strip = track.strips.new(request["name"], scene.frame_start, action)
    strip.action_slot = slot
    strip.extrapolation = "NOTHING"
    scene.frame_end = max(scene.frame_end, int(np.ceil(frames[-1] - 1e-3)))


def _turn_head(objects: Sequence[Any], vectors: Float, request: Mapping[str, Any]) -> list[str]:
    """Turn the bone that is called head, about itself, by (T, 3) rotation vectors in head space."""
    found = {
        (modifier.object, bone.name)
        for obj in objects
        for modifier in obj.modifiers
        if modifier.type == "ARMATURE" and modifier.object and not modifier.object.library
        for bone in modifier.object.data.bones
        if is_head_bone(bone.name)
    }
    if len(found) != 1:
        return ["The head does not move: no bone, or several, are called head."]
    ((rig, name),) = found
    bone = rig.pose.bones[name]
    frame = (rig.matrix_world @ bone.bone.matrix_local).to_quaternion()
    turns = []
    for vector in head_to_blender(vectors):
        turn = Quaternion(vector, float(np.linalg.norm(vector)))
        turns.append(frame.inverted() @ turn @ frame)
    if bone.rotation_mode == "QUATERNION":
        path, values = "rotation_quaternion", np.array(turns)
        # Neighbours on the same side, so that what lies between them turns the short way.
        values[1:] *= np.cumprod(np.where((values[1:] * values[:-1]).sum(1) < 0, -1, 1))[:, None]
    elif bone.rotation_mode == "AXIS_ANGLE":
        return [f"The bone {name!r} of {rig.name!r} turns by axis and angle: left alone."]
    else:
        path = "rotation_euler"
        values = np.unwrap([turn.to_euler(bone.rotation_mode) for turn in turns], axis=0)
    path = bone.path_from_id(path)
    if path in _driven(rig):
        return [f"The bone {name!r} of {rig.name!r} is driven: left alone."]
    curves = {(path, index): column for index, column in enumerate(values.T)}
    _add_strip(rig, rig.name, curves, request)
    return []


def _save(path: Path) -> None:
    if path.suffix.lower() == ".blend":
        # The file is there already, empty, under the name that it has until it is whole.
        bpy.context.preferences.filepaths.save_version = 0
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, check_existing=False)
        return
    bpy.ops.export_scene.fbx(
        filepath=str(path),
        check_existing=False,
        add_leaf_bones=False,
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_simplify_factor=0.0,
        path_mode="COPY",
        embed_textures=True,
    )


if __name__ == "__main__":
    main(sys.argv[1])
