# SPDX-License-Identifier: GPL-3.0-or-later
"""Exporting a head's animation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import bpy
from bpy_extras.io_utils import ExportHelper

from ...engine.core.errors import BadInputError
from ..characters.properties import (
    active_speaker,
    character_objects,
    is_character,
    require_speaker,
)
from ..speech.lines import baked_lines, frames_of_action, legacy_bake
from ..status import ReportMixin
from .mesh_files import export_mesh
from .performance_file import export_performance

SUFFIXES = {"ABC": ".abc", "USD": ".usdc", "GLB": ".glb", "NPZ": ".performance.npz"}


class GAUSSIANSPEECH_OT_export(ReportMixin, bpy.types.Operator, ExportHelper):
    """Export the head or character with its animation, and nothing else of the scene."""

    bl_idname = "gaussianspeech.export"
    bl_label = "Export Animation"
    bl_description = (
        "Export the head or character with its animation, and nothing else of the scene"
    )

    filename_ext: ClassVar[str] = ""
    check_extension = None  # The suffix follows the format below.

    format: bpy.props.EnumProperty(
        name="Format",
        items=(
            ("ABC", "Alembic", "Every frame's vertices, for any animation program"),
            ("USD", "USD", "Every frame's vertices, with UVs and materials"),
            ("GLB", "GLB", "Morph targets with sampled weights, for game engines and browsers"),
            ("NPZ", "Performance", "Shape-key values and shapes as numpy arrays"),
        ),
    )
    frames: bpy.props.EnumProperty(
        name="Frames",
        items=(
            ("BAKE", "Speech", "The frames of the baked speech"),
            ("SCENE", "Scene", "The scene's frame range"),
        ),
    )
    dense: bpy.props.BoolProperty(
        name="Dense Offsets",
        description="Also write every vertex of every frame, modifiers included",
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There is a head or a character to export."""
        cls.poll_message_set("Select a head or a character, in Object Mode")
        return active_speaker(context) is not None and context.mode == "OBJECT"

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Suggest the head's name beside the .blend file."""
        folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
        self.filepath = str(folder / f"{active_speaker(context).name}{SUFFIXES[self.format]}")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, _context: bpy.types.Context) -> bool:
        """Keep the file's suffix in step with the format."""
        wanted = str(with_suffix(Path(self.filepath), self.format))
        changed, self.filepath = wanted != self.filepath, wanted
        return changed

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw the options of the format."""
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "format")
        layout.prop(self, "frames", expand=True)
        if self.format == "NPZ":
            layout.prop(self, "dense")

    def run(self, context: bpy.types.Context) -> str:
        """Write the file."""
        head = require_speaker(context)
        frames = speech_frames(head) if self.frames == "BAKE" else scene_frames(context.scene)
        path = with_suffix(Path(bpy.path.abspath(self.filepath)), self.format)
        if self.format == "NPZ":
            if is_character(head):
                raise BadInputError(
                    f"'{head.name}' is a character, and performances are of heads.",
                    "Choose Alembic, USD or GLB.",
                )
            export_performance(context, head, path, frames, dense=self.dense)
        else:
            export_mesh(context, character_objects(head), path, self.format, frames)
        size = path.stat().st_size / 1e6
        return f"Wrote {len(frames)} frames of '{head.name}' to {path} ({size:.1f} MB)"


def speech_frames(head: bpy.types.Object) -> range:
    """Whole scene frames that the baked speech covers, from the first line to the last.

    Raises:
        BadInputError: nothing is baked.
    """
    actions = [action for _, action in baked_lines(head)] or [legacy_bake(head)]
    if None in actions:
        raise BadInputError(
            f"'{head.name}' has no baked speech.", "Predict first, or export the scene's frames."
        )
    starts, ends = zip(*(frames_of_action(head, action) for action in actions), strict=True)
    return range(math.ceil(min(starts) - 1e-3), math.floor(max(ends) + 1e-3) + 1)


def scene_frames(scene: bpy.types.Scene) -> range:
    """The scene's frame range."""
    return range(scene.frame_start, scene.frame_end + 1)


def with_suffix(path: Path, kind: str) -> Path:
    """The path with the suffix of a format, in place of another format's."""
    name = path.name
    for suffix in (*SUFFIXES.values(), ".usd", ".npz"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
            break
    return path.with_name((name or "head") + SUFFIXES[kind])


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_OT_export,)
