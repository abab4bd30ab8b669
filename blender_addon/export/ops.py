# SPDX-License-Identifier: GPL-3.0-or-later
"""Exporting the animation of a head or character."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy_extras.io_utils import ExportHelper

from .. import compat
from ..characters.moved import moved_objects
from ..characters.polls import NOT_EDITING, OfSpeaker
from ..characters.properties import active_speaker, require_speaker
from ..engine_link.future import Future
from ..engine_link.tasks import EngineTask
from ..speech.lines import lines_of
from ..status import invoke_operator, report
from .evaluated import export_evaluated
from .flame import export_flame
from .formats import FILE_FILTER, FORMATS, format_items, with_suffix
from .mesh_files import export_mesh
from .sound import SoundChoice, check_sound
from .speech_of import speech_frames

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
"""What names of files must not have, on Windows most of it; names of objects may."""


class ExportOptions:
    """Mixin: what an export is asked for."""

    filepath: bpy.props.StringProperty(name="File", subtype="FILE_PATH", options={"SKIP_SAVE"})
    format: bpy.props.EnumProperty(name="Format", items=format_items())
    frames: bpy.props.EnumProperty(
        name="Frames",
        items=(
            ("BAKE", "Speech", "The frames of the baked speech"),
            ("SCENE", "Scene", "The scene's frame range"),
        ),
    )
    sound: bpy.props.BoolProperty(
        name="Sound",
        description=(
            "Also write what the sequencer plays over these frames, as NAME_sound.wav beside it"
        ),
    )
    from_zero: bpy.props.BoolProperty(
        name="Begin at Zero",
        description=(
            "Let the first frame stand at the file's time zero, as game engines like it. "
            "Otherwise it comes back at its own frame"
        ),
    )
    dense: bpy.props.BoolProperty(
        name="Dense Offsets",
        description="Also write every vertex of every frame, modifiers included",
    )

    def arguments(self) -> dict[str, Any]:
        """The options as arguments of another operator; Blender has ``options`` of its own."""
        names = ("filepath", "format", "frames", "sound", "from_zero", "dense")
        return {name: getattr(self, name) for name in names}


class ExportTask(OfSpeaker, ExportOptions, EngineTask):
    """Mixin: the export itself, in a second Blender, with progress and cancel."""

    task_label: ClassVar[str] = "Exporting"
    modes = NOT_EDITING

    _done = ""

    def begin(self, context: bpy.types.Context) -> Future:
        """Copy what is exported, and start."""
        obj = require_speaker(context)
        frames = speech_frames(obj) if self.frames == "BAKE" else scene_frames(context.scene)
        path = with_suffix(Path(bpy.path.abspath(self.filepath)), self.format)
        sound = _sound(context, obj) if self.sound else None
        self._done = f"Wrote {len(frames)} frames of '{obj.name}' to {path}"
        if self.format == "FLAME":
            return export_flame(context, obj, path, frames)
        if FORMATS[self.format].is_mesh:
            return export_mesh(
                context,
                moved_objects(obj),
                path,
                self.format,
                frames,
                sound=sound,
                from_zero=self.from_zero,
            )
        return export_evaluated(context, obj, path, frames, dense=self.dense, sound=sound)

    def finish(self, context: bpy.types.Context, reply: int) -> None:
        """Say what was written."""
        report(self, context, f"{self._done} ({reply / 1e6:.1f} MB)")


class GAUSSIANSPEECH_OT_write_export(ExportTask, bpy.types.Operator):
    """Write the animation to the file that was chosen."""

    bl_idname = "gaussianspeech.write_export"
    bl_label = "Write Animation"
    bl_description = "Write the animation to the file that was chosen"
    bl_options = {"INTERNAL"}


class GAUSSIANSPEECH_OT_export(ExportTask, bpy.types.Operator, ExportHelper):
    """Export the head or character with its animation, and nothing else of the scene."""

    bl_idname = "gaussianspeech.export"
    bl_label = "Export Speech Animation"
    bl_description = (
        "Export the head or character with its animation, and nothing else of the scene"
    )

    filename_ext: ClassVar[str] = ""
    check_extension = None  # The suffix follows the format below.
    filter_glob: bpy.props.StringProperty(default=FILE_FILTER, options={"HIDDEN"})

    _chosen = False

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Suggest the head's name beside the .blend file."""
        self._chosen = True
        folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
        name = f"{active_speaker(context).name}{FORMATS[self.format].suffix}"
        self.filepath = str(folder / _FORBIDDEN.sub("_", name))
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Export: beside the user's work where a file was chosen, at once for a script."""
        if self._chosen:
            return invoke_operator(self, bpy.ops.gaussianspeech.write_export, **self.arguments())
        return super().execute(context)

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
        for name in FORMATS[self.format].options:
            row = layout.row()
            row.enabled = name != "sound" or compat.has_audio()
            row.prop(self, name)


def scene_frames(scene: bpy.types.Scene) -> range:
    """The scene's frame range."""
    return range(scene.frame_start, scene.frame_end + 1)


def _sound(context: bpy.types.Context, obj: bpy.types.Object) -> SoundChoice:
    """What the sequencer plays, and the files that lines speak without a strip.

    Raises:
        BadInputError: there is no sound, or no sound system.
    """
    playing = [
        scene
        for scene in compat.sequencer_scenes(context)
        if any(strip.type == "SOUND" for strip in compat.all_strips(scene.sequence_editor))
    ]
    files = [
        (bpy.path.abspath(line.filepath), line.start_frame)
        for line in lines_of(obj)
        if line.source == "FILE" and Path(bpy.path.abspath(line.filepath)).is_file()
    ]
    choice = SoundChoice(playing[0] if playing else None, tuple(files))
    check_sound(choice)
    return choice


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_OT_write_export, GAUSSIANSPEECH_OT_export)
