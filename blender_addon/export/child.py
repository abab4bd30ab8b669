# SPDX-License-Identifier: GPL-3.0-or-later
"""What a second Blender runs: it opens a copy of the objects, plays the frames and writes a file.

Started by :mod:`.background_blender` with a request as JSON; reports on stdout, a line each: the
mark and JSON with ``progress`` in [0, 1], or at the end ``done`` or ``error``. This file runs by
itself: it imports nothing of the add-on.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import bpy
import numpy as np

MARK = "GAUSSIANSPEECH "
"""Begins the lines of stdout that are for the add-on."""

Request = Mapping[str, Any]


def main(path: str) -> None:
    """Carry out the request in a JSON file."""
    request = json.loads(Path(path).read_text("utf-8"))
    try:
        _open(request)
        report = WRITERS[request["kind"]](request)
        if request["sound"]:
            _mix_down(request, request["sound"])
    # Whatever an exporter raises becomes the add-on's message.
    except Exception as error:  # noqa: BLE001
        _tell(error=f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    else:
        _tell(done=report or {})


def _tell(**message: Any) -> None:
    try:
        print(f"\n{MARK}{json.dumps(message)}", flush=True)
    except OSError:
        os._exit(1)  # Nobody reads any more: the Blender that asked is gone.


def _open(request: Request) -> None:
    """Load the copy, and make its scene play as the scene that it comes from."""
    bpy.context.preferences.filepaths.use_scripts_auto_execute = request["run_scripts"]
    bpy.ops.wm.open_mainfile(
        filepath=request["blend"], load_ui=False, use_scripts=request["run_scripts"]
    )
    scene = bpy.context.scene
    for path, value in request["scene"].items():
        owner, _, name = path.rpartition(".")
        setattr(scene.path_resolve(owner) if owner else scene, name, value)
    scene.frame_start, scene.frame_end = request["frames"]
    scene.frame_step = 1
    linked = set(scene.collection.objects)
    for obj in bpy.data.objects:
        if obj not in linked:
            scene.collection.objects.link(obj)
        obj.select_set(False)
    for name in request["objects"]:
        obj = _object(name)
        if obj.library is None:
            obj.hide_viewport = False  # Rigs often are hidden; exporters would leave them out.
        obj.select_set(True)
    bpy.context.view_layer.objects.active = _object(request["objects"][0])


def _object(name: list[str]) -> bpy.types.Object:
    """An object by its name and its library's file; a local one's is empty.

    Objects that are linked without an override do not come with the copy: they are linked again.
    """
    found = _loaded(name)
    if found is None and name[1]:
        with bpy.data.libraries.load(name[1], link=True) as (_, wanted):
            wanted.objects = [name[0]]
        found = _loaded(name)
        if found is not None:
            bpy.context.scene.collection.objects.link(found)
    if found is None:
        raise LookupError(f"'{name[0]}' did not come with the copy of the scene.")
    return found


def _loaded(name: list[str]) -> bpy.types.Object | None:
    for obj in bpy.data.objects:
        library = bpy.path.abspath(obj.library.filepath) if obj.library else ""
        if obj.name == name[0] and library == name[1]:
            return obj
    return None


def _played(request: Request) -> Iterator[bpy.types.Depsgraph]:
    first, last = request["frames"]
    for number, frame in enumerate(range(first, last + 1)):
        bpy.context.scene.frame_set(frame)
        _tell(progress=number / (last + 1 - first))
        yield bpy.context.evaluated_depsgraph_get()


def _exported(operator: Any, request: Request, options: Mapping[str, Any]) -> None:
    """Run one of Blender's exporters, with those options that it has, and report its frames."""
    first, last = request["frames"]

    def on_frame(scene: bpy.types.Scene, _depsgraph: object = None) -> None:
        done = (scene.frame_current - first) / (last + 1 - first)
        _tell(progress=min(max(done, 0.0), 1.0))

    known = operator.get_rna_type().properties.keys()
    out = Path(request["out"])
    bpy.app.handlers.frame_change_post.append(on_frame)
    result = operator(
        filepath=str(out),
        check_existing=False,
        **{name: value for name, value in options.items() if name in known},
    )
    if result != {"FINISHED"} or not out.is_file() or out.stat().st_size == 0:
        raise RuntimeError("it wrote nothing")


def _enable(addon: str) -> None:
    import addon_utils  # Where bpy is a module, it can be imported once that is.

    addon_utils.enable(addon)


def _alembic(request: Request) -> None:
    first, last = request["frames"]
    options = {
        "start": first,
        "end": last,
        "selected": True,
        "uvs": True,
        "normals": True,
        "face_sets": True,
        "export_hair": False,
        "export_particles": False,
        "evaluation_mode": "RENDER",
        "as_background_job": False,
    }
    _exported(bpy.ops.wm.alembic_export, request, options)


def _usd(request: Request) -> None:
    options = {
        "selected_objects_only": True,
        "export_animation": True,
        "export_hair": False,
        "export_uvmaps": True,
        "export_normals": True,
        "export_materials": True,
        # Every frame's vertices: other programs' blend shapes would not know the modifiers.
        "export_shapekeys": False,
        "export_armatures": False,
        "export_lights": False,
        "export_cameras": False,
        "convert_world_material": False,
        "evaluation_mode": "RENDER",
    }
    _exported(bpy.ops.wm.usd_export, request, options)


def _key_driven(request: Request) -> None:
    """Turn what drivers do to shape keys into keyframes: exporters sample drivers by half."""
    driven = [
        (block, keys)
        for keys in dict.fromkeys(
            obj.data.shape_keys for obj in bpy.context.selected_objects if obj.type == "MESH"
        )
        if keys is not None and keys.animation_data is not None
        for block in keys.key_blocks
        if keys.animation_data.drivers.find(block.path_from_id("value")) is not None
    ]
    first, last = request["frames"]
    values = np.empty((last + 1 - first, len(driven)), np.float32)
    for number, depsgraph in enumerate(_played(request) if driven else ()):
        for column, (block, keys) in enumerate(driven):
            values[number, column] = keys.evaluated_get(depsgraph).key_blocks[block.name].value
    for (block, _), column in zip(driven, values.T, strict=True):
        block.driver_remove("value")
        for frame, value in enumerate(column.tolist(), first):
            block.value = value
            block.keyframe_insert("value", frame=frame)


def _glb(request: Request) -> None:
    _enable("io_scene_gltf2")
    _key_driven(request)
    options = {
        "export_format": "GLB",
        "use_selection": True,
        "export_yup": True,
        "export_texcoords": True,
        "export_cameras": False,
        "export_lights": False,
        "export_apply": False,
        "export_morph": True,
        "export_morph_normal": True,
        "export_morph_animation": True,
        "export_animations": True,
        # What plays in the scene, with NLA tracks and drivers, sampled at every frame.
        "export_animation_mode": "SCENE",
        # Keys and bones are one animation: players play one at a time.
        "export_anim_scene_split_object": False,
        "export_force_sampling": True,
        "export_frame_range": True,
        "export_anim_slide_to_zero": request["from_zero"],
        "export_optimize_animation_size": False,
    }
    _exported(bpy.ops.export_scene.gltf, request, options)


def _fbx(request: Request) -> None:
    _enable("io_scene_fbx")
    _key_driven(request)
    options = {
        "use_selection": True,
        "object_types": {"MESH", "ARMATURE", "EMPTY"},
        "use_mesh_modifiers": False,  # Applying them would cost the shape keys.
        "mesh_smooth_type": "FACE",
        "add_leaf_bones": False,
        "bake_anim": True,
        # What plays in the scene, sampled at every frame.
        "bake_anim_use_nla_strips": False,
        "bake_anim_use_all_actions": False,
        "bake_anim_force_startend_keying": True,
        "bake_anim_simplify_factor": 0.0,
        "path_mode": "COPY",
        "embed_textures": True,
    }
    _exported(bpy.ops.export_scene.fbx, request, options)


def _sample(request: Request) -> dict[str, Any]:
    """The evaluated values of shape keys at every frame, and what else a performance needs.

    ``keys`` of the request: for each object the names of its keys. ``turned``: an object whose
    rotation counts, or nothing. ``rig``: the first object's armature, or nothing, and ``bones`` of
    it that count. ``dense``: the first object's evaluated vertices too.

    Writes an npz of ``values/N`` (T, K), ``matrices`` (T, 3, 3), ``bones`` (T, J, 4, 4), by which
    the bones stand away from rest, and of the first object ``rest`` (V, 3), ``moving`` (M,) columns
    and ``shapes`` (M, V, 3) offsets of those keys; ``vertices.npy`` (T, V, 3) beside it where it is
    dense. All in Blender's space.
    """
    first, last = request["frames"]
    objects = [_object(name) for name in request["objects"][: len(request["keys"])]]
    turned = _object(request["turned"]) if request["turned"] else None
    rig = _object(request["rig"]) if request["rig"] else None
    blocks = [obj.data.shape_keys for obj in objects]
    frames = last + 1 - first
    values = [np.zeros((frames, len(names)), np.float32) for names in request["keys"]]
    matrices = np.zeros((frames, 3, 3), np.float64)
    bones = np.zeros((frames, len(request["bones"]), 4, 4), np.float64)
    dense = _Dense(request, objects[0], frames) if request["dense"] else None
    for number, depsgraph in enumerate(_played(request)):
        for keys, names, found in zip(blocks, request["keys"], values, strict=True):
            evaluated = keys.evaluated_get(depsgraph).key_blocks
            found[number] = [0.0 if evaluated[n].mute else evaluated[n].value for n in names]
        if turned is not None:
            matrix = turned.evaluated_get(depsgraph).matrix_world.to_3x3().normalized()
            matrices[number] = np.array(matrix)
        if rig is not None:
            posed = rig.evaluated_get(depsgraph).pose.bones
            for joint, name in enumerate(request["bones"]):
                rest = posed[name].bone.matrix_local.inverted_safe()
                bones[number, joint] = np.array(posed[name].matrix @ rest)
        if dense is not None:
            dense.write(objects[0].evaluated_get(depsgraph).data)
    if dense is not None:
        dense.close()
    arrays = {f"values/{number}": found for number, found in enumerate(values)}
    if request["shapes"]:
        arrays |= _shapes(blocks[0], request["keys"][0], values[0])
    with Path(request["out"]).open("wb") as stream:
        np.savez(stream, matrices=matrices, bones=bones, **arrays)
    return {"bad_vertices": dense.unexpected if dense else 0}


def _shapes(keys: bpy.types.Key, names: list[str], values: np.ndarray) -> dict[str, np.ndarray]:
    rest = _points(keys.reference_key)
    moving = np.flatnonzero(np.abs(values).max(axis=0, initial=0.0) > 0)
    shapes = np.empty((len(moving), *rest.shape), np.float32)
    for row, column in enumerate(moving):
        block = keys.key_blocks[names[column]]
        relative = block.relative_key
        base = rest if relative == keys.reference_key else _points(relative)
        shapes[row] = _points(block) - base
    return {"rest": rest, "moving": moving, "shapes": shapes}


def _points(key: bpy.types.ShapeKey) -> np.ndarray:
    flat = np.empty(3 * len(key.data), np.float32)
    key.points.foreach_get("co", flat)
    return flat.reshape(-1, 3)


class _Dense:
    """The evaluated vertices, streamed into a file, so that an hour of them needs no memory."""

    def __init__(self, request: Request, obj: bpy.types.Object, frames: int) -> None:
        self.unexpected = 0
        self._count = len(obj.data.vertices)
        self._stream = Path(request["out"]).with_name("vertices.npy").open("wb")
        header = {
            "descr": "<f4",
            "fortran_order": False,
            "shape": (frames, self._count, 3),
        }
        np.lib.format.write_array_header_1_0(self._stream, header)

    def write(self, mesh: bpy.types.Mesh) -> None:
        if len(mesh.vertices) != self._count:
            self.unexpected = len(mesh.vertices)
            return
        flat = np.empty(3 * self._count, np.float32)
        mesh.vertices.foreach_get("co", flat)
        self._stream.write(flat.astype("<f4").tobytes())

    def close(self) -> None:
        self._stream.close()


def _mix_down(request: Request, sound: Mapping[str, Any]) -> None:
    """What the sequencer of a scene plays over the frames, as a WAV file."""
    scene = bpy.data.scenes[sound["scene"]] if sound["scene"] else bpy.context.scene
    editor = scene.sequence_editor or scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    for number, (path, frame) in enumerate(sound["files"]):
        strips.new_sound(f"file {number}", path, 100 + number % 28, frame)
    scene.frame_start, scene.frame_end = request["frames"]
    scene.use_preview_range = False
    with bpy.context.temp_override(scene=scene):
        bpy.ops.sound.mixdown(
            filepath=sound["out"], check_existing=False, container="WAV", codec="PCM",
            format="S16", channels="STEREO", mixrate=48000,
        )  # fmt: skip
    if not Path(sound["out"]).is_file():
        raise RuntimeError("the sound could not be mixed down")


WRITERS: dict[str, Callable[[Request], dict[str, Any] | None]] = {
    "ABC": _alembic,
    "USD": _usd,
    "GLB": _glb,
    "FBX": _fbx,
    "SAMPLE": _sample,
}

if __name__ == "__main__":
    main(sys.argv[-1])
    sys.stdout.flush()
    # As a module, 4.2 may crash and 4.5 hang in its own clean-up.
    os._exit(0)
