# SPDX-License-Identifier: GPL-3.0-or-later
"""The menu beside the list of lines: many lines at once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import ClassVar

import bpy
from bpy_extras.io_utils import ImportHelper

from ...engine.core.errors import BadInputError
from ..characters.properties import active_speaker, require_speaker
from ..engine_link.future import CompletedFuture, Future
from ..status import ReportMixin, invoke_operator
from . import batch
from .lines import line_by_id
from .ops import GAUSSIANSPEECH_OT_update_lines, LinesTask
from .scene_time import sequencer_frame


class _Batch(LinesTask):
    """What operators share that add lines and predict them, if asked."""

    bl_options: ClassVar[set[str]] = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a head or character."""
        cls.poll_message_set("Select a head or character")
        return active_speaker(context) is not None

    def added(self, context: bpy.types.Context, known: list[str], *, predict: bool) -> Future:
        """Predict lines that were added, which are one step of undo whatever comes next."""
        self._changed = True
        self._summary = f"Added {len(known)} lines"
        if not predict:
            return CompletedFuture(None)
        return self.start(context, [line_by_id(each) for each in known])


class GAUSSIANSPEECH_OT_lines_from_strips(_Batch, bpy.types.Operator):
    """Add a line for each sound strip that is none yet, and predict them."""

    bl_idname = "gaussianspeech.lines_from_strips"
    bl_label = "Add Lines from Strips"
    bl_description = "Add a line for each sound strip of a channel that is none yet, and predict it"

    channel: bpy.props.IntProperty(
        name="Channel", description="Of the sequencer; 0 for all of them", min=0, max=128
    )
    predict: bpy.props.BoolProperty(
        name="Predict", description="Predict and bake the lines, one after the other", default=True
    )

    def begin(self, context: bpy.types.Context) -> Future:
        """Add the lines, and begin with the first."""
        obj = require_speaker(context)
        strips = batch.free_strips(context)
        strips = [strip for strip in strips if self.channel in (0, strip.channel)]
        if not strips:
            where = f"channel {self.channel}" if self.channel else "the sequencer"
            raise BadInputError(
                f"Every sound strip of {where} is a line already.", "Add sound strips first."
            )
        return self.added(context, batch.lines_from_strips(obj, strips), predict=self.predict)


class GAUSSIANSPEECH_OT_lines_from_folder(_Batch, bpy.types.Operator):
    """Add the recordings of a folder as strips, one after the other, and predict them."""

    bl_idname = "gaussianspeech.lines_from_folder"
    bl_label = "Add Lines from Folder"
    bl_description = (
        "Add the recordings of a folder as strips from the current frame on, one after the other "
        "by name, each a line, and predict them"
    )

    directory: bpy.props.StringProperty(
        name="Folder", description="The folder of the recordings", subtype="DIR_PATH"
    )
    gap: bpy.props.IntProperty(
        name="Gap", description="Frames between two recordings", default=12, min=0
    )
    predict: bpy.props.BoolProperty(
        name="Predict", description="Predict and bake the lines, one after the other", default=True
    )

    def begin(self, context: bpy.types.Context) -> Future:
        """Add strips and lines, and begin with the first."""
        obj = require_speaker(context)
        paths = batch.recordings_in(Path(bpy.path.abspath(self.directory)))
        frame = sequencer_frame(context)
        strips = batch.strips_from_files(context, paths, frame, self.gap)
        return self.added(context, batch.lines_from_strips(obj, strips), predict=self.predict)


class GAUSSIANSPEECH_OT_open_folder(bpy.types.Operator):
    """Choose a folder of recordings to add as lines."""

    bl_idname = "gaussianspeech.open_folder"
    bl_label = "Add Lines from Recordings"
    bl_description = GAUSSIANSPEECH_OT_lines_from_folder.bl_description
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    directory: bpy.props.StringProperty(subtype="DIR_PATH")
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_sound: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    gap: bpy.props.IntProperty(
        name="Gap", description="Frames between two recordings", default=12, min=0
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a head or character."""
        cls.poll_message_set("Select a head or character")
        return active_speaker(context) is not None

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Open the file browser."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Add them."""
        target = bpy.ops.gaussianspeech.lines_from_folder
        return invoke_operator(self, target, directory=self.directory, gap=self.gap)


class GAUSSIANSPEECH_OT_texts_from_script(ReportMixin, bpy.types.Operator, ImportHelper):
    """Give the lines their texts, from a script or from subtitles."""

    bl_idname = "gaussianspeech.texts_from_script"
    bl_label = "Import Texts from Script"
    bl_description = (
        "Give the lines their texts: from a script with a line of text for each, in the order of "
        'their time, where "NAME: text" is for the head or character of that name; or, by their '
        "times, from subtitles (.srt or .vtt) or a TextGrid, whose tiers may be named likewise"
    )
    bl_options: ClassVar[set[str]] = {"REGISTER", "UNDO"}

    filename_ext = ".txt"
    filter_glob: bpy.props.StringProperty(
        default="*.txt;*.srt;*.vtt;*.TextGrid;*.textgrid", options={"HIDDEN"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a head or character."""
        cls.poll_message_set("Select a head or character")
        return active_speaker(context) is not None

    def run(self, context: bpy.types.Context) -> str:
        """Read the file; Update All predicts what it changes."""
        obj, path = require_speaker(context), Path(bpy.path.abspath(self.filepath))
        speakers = batch.speakers_of(context)
        if path.suffix.lower() in (".srt", ".vtt", ".textgrid"):
            subtitles = batch.read_subtitles(path, obj, speakers)
            count = batch.give_subtitles(context, subtitles, context.scene.frame_start)
        else:
            count = batch.give_script(context, obj, batch.read_script(path, speakers))
        return f"{count} lines have the texts of {path.name}; Update All predicts them"


class GAUSSIANSPEECH_MT_lines(bpy.types.Menu):
    """What can be done with many lines at once."""

    bl_idname = "GAUSSIANSPEECH_MT_lines"
    bl_label = "Lines"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw an entry for each channel, and the others."""
        layout = self.layout
        strips = GAUSSIANSPEECH_OT_lines_from_strips.bl_idname
        channels = Counter(strip.channel for strip in batch.free_strips(context))
        for channel, count in sorted(channels.items()):
            text = f"Add Lines from Channel {channel} ({count})"
            layout.operator(strips, text=text, icon="SEQ_SEQUENCER").channel = channel
        folder = GAUSSIANSPEECH_OT_open_folder.bl_idname
        layout.operator(folder, text="Add Lines from Folder…", icon="FILE_FOLDER")
        script = GAUSSIANSPEECH_OT_texts_from_script.bl_idname
        layout.operator(script, text="Texts from Script…", icon="TEXT")
        layout.separator()
        everybody = GAUSSIANSPEECH_OT_update_lines.bl_idname
        text = "Update Lines of All Characters"
        layout.operator(everybody, text=text, icon="FILE_REFRESH").everybody = True


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_lines_from_strips,
    GAUSSIANSPEECH_OT_lines_from_folder,
    GAUSSIANSPEECH_OT_open_folder,
    GAUSSIANSPEECH_OT_texts_from_script,
    GAUSSIANSPEECH_MT_lines,
)
