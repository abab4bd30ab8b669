# SPDX-License-Identifier: GPL-3.0-or-later
"""The animated mesh through Blender's own exporters: Alembic, USD and GLB.

Only the head goes out, over the frames asked for. A file stands under its name only when it is
whole; selection, current frame and frame range of the scene are what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import bpy

from ...engine.core.errors import BadInputError, GaussianSpeechError
from ...engine.core.files import atomic_write
from .. import compat

Exporter = Callable[[Path, int, int], object]


def export_mesh(
    context: bpy.types.Context,
    objects: Sequence[bpy.types.Object],
    path: Path,
    kind: str,
    frames: range,
) -> None:
    """Write the animated mesh of a head, or those of a character.

    Args:
        context: of the scene to export from.
        objects: the head, or the character's objects, the main one first.
        path: of the file.
        kind: ``ABC``, ``USD`` or ``GLB``.
        frames: scene frames.

    Raises:
        BadInputError: the head cannot be selected, or the folder cannot be written.
        GaussianSpeechError: Blender's exporter failed.
    """
    if missing := missing_exporter(kind):
        raise BadInputError(missing, "Choose another format, or a Blender from blender.org.")
    for obj in objects:
        if not obj.visible_get(view_layer=context.view_layer):
            raise BadInputError(
                f"'{obj.name}' is hidden, and Blender's exporters skip what is hidden.",
                "Show it in the viewport, then export.",
            )
    try:
        with _only(context, objects, frames), atomic_write(path) as temporary:
            _run(EXPORTERS[kind], temporary, frames)
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be written: {error.strerror or error}.", "Choose another folder."
        ) from error


def missing_exporter(kind: str) -> str:
    """Why this build of Blender cannot write a format; empty where it can."""
    option = {"ABC": "alembic", "USD": "usd"}.get(kind)
    if option is None or getattr(bpy.app.build_options, option, True):
        return ""
    return f"This Blender was built without {'Alembic' if kind == 'ABC' else 'USD'}."


def _run(exporter: Exporter, path: Path, frames: range) -> None:
    try:
        result = exporter(path, frames.start, frames.stop - 1)
    except RuntimeError as error:
        raise GaussianSpeechError(
            f"Blender's exporter failed: {str(error).strip()}", "See the console for more."
        ) from error
    if result != {"FINISHED"} or path.stat().st_size == 0:
        raise GaussianSpeechError("Blender's exporter wrote nothing.", "See the console for why.")


def _alembic(path: Path, start: int, end: int) -> object:
    return bpy.ops.wm.alembic_export(
        filepath=str(path),
        check_existing=False,
        start=start,
        end=end,
        selected=True,
        uvs=True,
        normals=True,
        face_sets=True,
        export_hair=False,
        export_particles=False,
        evaluation_mode="RENDER",
        as_background_job=False,
    )


def _usd(path: Path, _start: int, _end: int) -> object:
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
    return bpy.ops.wm.usd_export(
        filepath=str(path),
        check_existing=False,
        **compat.known_options(bpy.ops.wm.usd_export, options),
    )


def _glb(path: Path, _start: int, _end: int) -> object:
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
        "export_force_sampling": True,
        "export_frame_range": True,
        "export_anim_slide_to_zero": True,
        "export_optimize_animation_size": False,
    }
    return bpy.ops.export_scene.gltf(
        filepath=str(path),
        check_existing=False,
        **compat.known_options(bpy.ops.export_scene.gltf, options),
    )


EXPORTERS: dict[str, Exporter] = {"ABC": _alembic, "USD": _usd, "GLB": _glb}


@contextmanager
def _only(
    context: bpy.types.Context, objects: Sequence[bpy.types.Object], frames: range
) -> Iterator[None]:
    """Select the objects alone and play the frames; afterwards everything is as it was."""
    scene, layer = context.scene, context.view_layer
    selected, active = list(context.selected_objects), layer.objects.active
    before = scene.frame_current, scene.frame_start, scene.frame_end, scene.frame_step
    try:
        for other in selected:
            other.select_set(False)
        for obj in objects:
            obj.select_set(True)
        layer.objects.active = objects[0]
        scene.frame_start, scene.frame_end = frames.start, frames.stop - 1
        scene.frame_step = 1
        yield
    finally:
        for obj in objects:
            obj.select_set(False)
        for other in selected:
            other.select_set(True)
        layer.objects.active = active
        frame, scene.frame_start, scene.frame_end, scene.frame_step = before
        scene.frame_set(frame)
