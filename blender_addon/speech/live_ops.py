# SPDX-License-Identifier: GPL-3.0-or-later
"""Live: starting, recording and stopping."""

from __future__ import annotations

import bpy

from ..characters.polls import OfSpeaker
from ..characters.properties import require_speaker
from ..settings import get_preferences
from ..status import ReportMixin
from . import live


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


class GAUSSIANSPEECH_OT_live_stop(ReportMixin, bpy.types.Operator):
    """End live speech, and bake what was recorded."""

    bl_idname = "gaussianspeech.live_stop"
    bl_label = "Stop Live Speech"
    bl_description = "End live speech; what was recorded becomes an Action"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """While a head is live."""
        cls.poll_message_set("Nobody is live")
        return live.session() is not None

    def run(self, context: bpy.types.Context) -> str:
        """Stop."""
        done = live.stop(context)
        if done is None:
            return "Stopped; the head is as it was"
        text = f"Recorded {done.frames} frames of {done.animated} shape keys to"
        return " ".join([f"{text} '{done.action.name}'.", *done.notes])


def draw_live(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draw the button, or what a live session offers."""
    running = live.session()
    if running is None:
        if get_preferences(context).engine_command.strip():
            layout.label(text="Live: the engine's machine has the microphone", icon="INFO")
        layout.operator(GAUSSIANSPEECH_OT_live.bl_idname, text="Live", icon="REC")
        return
    if running.latest is None:
        text, icon = f"{running.speaker}: {running.future.poll()[1]}", "TIME"
    else:
        what = "recording" if running.recording else "live"
        text, icon = f"{running.speaker}: {what}, {running.time:.0f} s", "REC"
    layout.label(text=text, icon=icon)
    row = layout.row(align=True)
    row.operator(GAUSSIANSPEECH_OT_live_record.bl_idname, text="Record", icon="REC")
    row.operator(GAUSSIANSPEECH_OT_live_stop.bl_idname, text="Stop", icon="SNAP_FACE")


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_live,
    GAUSSIANSPEECH_OT_live_record,
    GAUSSIANSPEECH_OT_live_stop,
)
