# SPDX-License-Identifier: GPL-3.0-or-later
"""Live: starting, recording and stopping."""

from __future__ import annotations

from typing import ClassVar

import bpy

from ..characters.polls import OfSpeaker
from ..characters.properties import require_speaker
from ..engine_link.future import Future
from ..settings import get_preferences
from ..status import ReportMixin, get_status, report
from ..text import draw_wrapped
from . import live
from .bake import put
from .bake_queue import BakeFuture, drafting_of
from .line_draft import LineDraft
from .new_line import NewLineTask


class GAUSSIANSPEECH_OT_live(OfSpeaker, ReportMixin, bpy.types.Operator):
    """Move the head or character while somebody speaks into the microphone."""

    bl_idname = "gaussianspeech.live"
    bl_label = "Start Live Speech"
    bl_description = (
        "Move the head or character while somebody speaks into the microphone of the machine "
        "that the engine runs on"
    )

    sound: bpy.props.StringProperty(
        name="Sound File",
        description="Speak this file instead of the microphone",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )

    def run(self, context: bpy.types.Context) -> str:
        """Start."""
        obj = require_speaker(context)
        live.start(context, obj, bpy.path.abspath(self.sound))
        return f"'{obj.name}' is live"


class GAUSSIANSPEECH_OT_live_record(ReportMixin, bpy.types.Operator):
    """Record what is spoken from here on, beginning at the current frame."""

    bl_idname = "gaussianspeech.live_record"
    bl_label = "Record Live Speech"
    bl_description = "Record what is spoken from here on, beginning at the current frame"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """While a head is live, and nothing is recorded."""
        running = live.session()
        if running is None:
            cls.poll_message_set("Start live speech first")
        elif running.latest is None:
            cls.poll_message_set("Live speech is starting")
        else:
            cls.poll_message_set("It is being recorded")
        return running is not None and running.latest is not None and not running.recording

    def run(self, context: bpy.types.Context) -> str:
        """Begin."""
        live.record(context)
        return "Recording; Stop makes an Action of it"


class GAUSSIANSPEECH_OT_live_stop(NewLineTask, bpy.types.Operator):
    """End live speech, and bake what was recorded."""

    bl_idname = "gaussianspeech.live_stop"
    bl_label = "Stop Live Speech"
    bl_description = "End live speech; what was recorded becomes an Action"
    bl_options = {"UNDO"}
    task_label: ClassVar[str] = "Baking"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """While a head is live."""
        cls.poll_message_set("Nobody is live")
        return live.session() is not None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Stop at once, also while something else is under way."""
        return self.execute(context) if get_status(context).busy else super().invoke(context, event)

    def begin(self, context: bpy.types.Context) -> Future | None:
        """Stop, and begin to bake what was recorded; without, the file is as before."""
        recorded = live.stop(context)
        if recorded is None:
            report(self, context, "Stopped; the head is as it was")
            return None
        self._line, self._active, source = recorded
        return BakeFuture(self._line, drafting_of(self._line, source))

    def finish(self, context: bpy.types.Context, reply: LineDraft) -> None:
        """Put it into the file."""
        done, self._line = put(context, reply), ""
        text = f"Recorded {done.frames} frames of {done.animated} shape keys to"
        report(self, context, " ".join([f"{text} '{done.action.name}'.", *done.notes]))


def draw_live(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draw the button, or what a live session offers."""
    running = live.session()
    if running is None:
        if get_preferences(context).engine_command.strip():
            text = "Live: the engine's machine has the microphone"
            draw_wrapped(layout, context, text, icon="INFO")
        layout.operator(GAUSSIANSPEECH_OT_live.bl_idname, text="Live", icon="REC")
        return
    if running.latest is None:
        text, icon = f"{running.speaker}: {running.future.poll()[1]}", "TIME"
    else:
        what = "recording" if running.recording else "live"
        text, icon = f"{running.speaker}: {what}, {running.time:.0f} s", "REC"
    draw_wrapped(layout, context, text, icon=icon)
    row = layout.row(align=True)
    row.operator(GAUSSIANSPEECH_OT_live_record.bl_idname, text="Record", icon="REC")
    row.operator(GAUSSIANSPEECH_OT_live_stop.bl_idname, text="Stop", icon="SNAP_FACE")


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_live,
    GAUSSIANSPEECH_OT_live_record,
    GAUSSIANSPEECH_OT_live_stop,
)
