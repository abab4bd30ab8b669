# SPDX-License-Identifier: GPL-3.0-or-later
"""The process in which Blender reads and writes a character's file: ``-m … REQUEST.json``.

The request names the ``file`` and where the ``answer`` goes; with ``out`` it has the clip, too:
``name``, ``fps``, the shape keys of the ``objects``, and an npz with their ``values``.
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

from engine.core.arrays import Float

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
        return {"parts": parts}
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
    data = keys.animation_data_create()
    driven = {curve.data_path for curve in data.drivers}
    action = bpy.data.actions.new(f"{obj.name} {request['name']}")
    slot = action.slots.new(id_type="KEY", name=keys.name)
    bag = anim_utils.action_ensure_channelbag_for_slot(action, slot)
    scene = bpy.context.scene
    rate = scene.render.fps / scene.render.fps_base
    frames = scene.frame_start + np.arange(len(values)) * rate / request["fps"]
    left_out = []
    for column, name in enumerate(names):
        block = keys.key_blocks[name]
        path = block.path_from_id("value")
        if path in driven or block.mute:
            why = "driven" if path in driven else "muted"
            left_out.append(f"The shape key {name!r} of {obj.name!r} is {why}: left alone.")
            continue
        block.slider_max = max(block.slider_max, float(values[:, column].max()))
        curve = bag.fcurves.new(path)
        curve.keyframe_points.add(len(values))
        points = np.stack([frames, values[:, column]], axis=1)
        curve.keyframe_points.foreach_set("co", points.ravel().astype(np.float32))
        curve.keyframe_points.foreach_set("interpolation", [_LINEAR] * len(values))
        curve.update()
    track = data.nla_tracks.new()
    track.name = _TRACK
    strip = track.strips.new(request["name"], scene.frame_start, action)
    strip.action_slot = slot
    strip.extrapolation = "NOTHING"
    scene.frame_end = max(scene.frame_end, int(np.ceil(frames[-1] - 1e-3)))
    return left_out


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
