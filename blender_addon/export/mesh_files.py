# SPDX-License-Identifier: GPL-3.0-or-later
"""The animated mesh through Blender's own exporters, which run in a second Blender.

Only the character goes out, over the frames asked for. A file stands under its name only when it is
whole.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import bpy

from ...engine.core.errors import BadInputError
from ...engine.core.files import atomic_write
from .background_blender import BackgroundExport, ExportFolder
from .sound import SoundChoice, sound_scene, write_sound

_BUILD_OPTIONS = {"ABC": ("alembic", "Alembic"), "USD": ("usd", "USD")}
_ADDONS = {"GLB": ("io_scene_gltf2", "glTF"), "FBX": ("io_scene_fbx", "FBX")}
_WITH_RIG = ("GLB", "FBX")
"""Formats that keep shapes and bones instead of every frame's vertices."""


def export_mesh(
    context: bpy.types.Context,
    objects: Sequence[bpy.types.Object],
    path: Path,
    kind: str,
    frames: range,
    *,
    sound: SoundChoice | None = None,
    from_zero: bool = False,
) -> BackgroundExport:
    """Begin to write the animated mesh of a head, or those of a character.

    Args:
        context: of the scene to export from.
        objects: the head, or the character's objects, the main one first.
        path: of the file.
        kind: ``ABC``, ``USD``, ``GLB`` or ``FBX``.
        frames: scene frames.
        sound: what is mixed down beside the file.
        from_zero: let the first frame stand at the time zero of the file, where a GLB's stands at
            the time of its scene frame otherwise.

    Returns:
        A future of the size of the file in bytes.

    Raises:
        BadInputError: this Blender has no such exporter, an object is hidden, or the copy of the
            scene cannot be written.
    """
    if missing := missing_exporter(kind):
        raise BadInputError(missing, "Choose another format, or a Blender from blender.org.")
    objects = _with_rigs(context, objects, keep_bones=kind in _WITH_RIG)
    for obj in objects:
        if not obj.visible_get(view_layer=context.view_layer):
            raise BadInputError(
                f"'{obj.name}' is hidden, and Blender's exporters skip what is hidden.",
                "Show it in the viewport, then export.",
            )
    with sound_scene(sound) as scene:
        folder = ExportFolder(
            context,
            objects,
            frames,
            kind,
            sound_scene=scene,
            sound_files=() if sound is None else sound.files,
            from_zero=from_zero,
        )

    def finish(out: Path, _report: dict[str, Any]) -> int:
        write_sound(folder, path)
        return out.stat().st_size

    return BackgroundExport(folder, lambda: _beside(path), finish, f"Exporting {path.name}")


def missing_exporter(kind: str) -> str:
    """Why this Blender cannot write a format; empty where it can."""
    if kind in _BUILD_OPTIONS:
        option, name = _BUILD_OPTIONS[kind]
        if not getattr(bpy.app.build_options, option, True):
            return f"This Blender was built without {name}."
    if kind in _ADDONS:
        module, name = _ADDONS[kind]
        if importlib.util.find_spec(module) is None:
            return f"This Blender came without its {name} add-on."
    return ""


def _with_rigs(
    context: bpy.types.Context, objects: Sequence[bpy.types.Object], *, keep_bones: bool
) -> list[bpy.types.Object]:
    """The meshes of a character, those that its armatures move too, and the armatures on demand.

    Raises:
        BadInputError: there is no mesh.
    """
    rigs = {obj: None for obj in objects if obj.type == "ARMATURE"}
    meshes = {obj: None for obj in objects if obj.type == "MESH"}
    for obj in context.view_layer.objects:
        if obj.type == "MESH" and obj.visible_get() and rigs.keys() & set(_moved_by(obj)):
            meshes[obj] = None
    if not meshes:
        raise BadInputError(
            f"No visible mesh is moved by '{objects[0].name}'.", "Show its meshes, then export."
        )
    if keep_bones:
        for obj in meshes:
            rigs |= dict.fromkeys(_moved_by(obj))
        return [*meshes, *rigs]
    return list(meshes)


def _moved_by(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """The armatures that move a mesh."""
    found = [modifier.object for modifier in obj.modifiers if modifier.type == "ARMATURE"]
    return [rig for rig in (*found, obj.parent) if rig is not None and rig.type == "ARMATURE"]


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A path to write to; what was written takes its place, its textures first."""
    with atomic_write(path) as temporary:
        folder = Path(tempfile.mkdtemp(prefix=f"{temporary.name}.", dir=temporary.parent))
        try:
            out = folder / path.name
            yield out
            for other in sorted(folder.rglob("*")):
                if other != out and other.is_file():
                    target = path.parent / other.relative_to(folder)
                    with atomic_write(target) as place:
                        other.replace(place)
            out.replace(temporary)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
