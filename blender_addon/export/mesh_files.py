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

from ...engine.core import platforms
from ...engine.core.errors import BadInputError
from ...engine.core.files import atomic_write
from ..characters.properties import is_character
from ..heads.properties import is_head
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
        objects: what is seen of the head or character, the main one first.
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
    objects = _visible(context, objects)
    if kind in _WITH_RIG:
        objects += _rigs(objects)
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


def _visible(
    context: bpy.types.Context, objects: Sequence[bpy.types.Object]
) -> list[bpy.types.Object]:
    """The meshes; what a rig moves and is hidden, as helpers are, is left out.

    Raises:
        BadInputError: a part of the head or character is hidden, or all meshes are.
    """
    meshes = []
    for obj in objects:
        if obj.type != "MESH":
            continue
        if obj.visible_get(view_layer=context.view_layer):
            meshes.append(obj)
        elif is_head(obj) or is_character(obj):
            raise BadInputError(
                f"'{obj.name}' is hidden, and Blender's exporters skip what is hidden.",
                "Show it in the viewport, then export.",
            )
    if not meshes:
        raise BadInputError(
            f"All meshes that '{objects[0].name}' moves are hidden.", "Show them, then export."
        )
    return meshes


def _rigs(meshes: Sequence[bpy.types.Object]) -> list[bpy.types.Object]:
    """The armatures that move the meshes."""
    return list(dict.fromkeys(rig for obj in meshes for rig in _moved_by(obj)))


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
                        platforms.replace(other, place)
            platforms.replace(out, temporary)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
