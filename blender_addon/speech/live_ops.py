# SPDX-License-Identifier: GPL-3.0-or-later
"""Live: starting, recording and stopping."""

from __future__ import annotations

import bpy

from ..characters.properties import active_speaker, require_speaker
from ..panels import CATEGORY
from ..settings import get_preferences
from ..status import ReportMixin
from . import live


class GAUSSIANSPEECH_OT_live(ReportMixin, bpy.types.Operator):
    """Move the head or character while somebody speaks into the microphone."""

    bl_idname = "gaussianspeech.live"
    bl_label = "Live"
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
    bl_label = "Record"
    bl_description = "Record what is spoken from here on, beginning at the current frame"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """While a head is live."""
        return live.session() is not None

    def run(self, context: bpy.types.Context) -> str:
        """Begin."""
        live.record(context)
        return "Recording; Stop makes an Action of it"


class GAUSSIANSPEECH_OT_live_stop(ReportMixin, bpy.types.Operator):
    """End live speech, and bake what was recorded."""

    bl_idname = "gaussianspeech.live_stop"
    bl_label = "Stop"
    bl_description = "End live speech; what was recorded becomes an Action"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """While a head is live."""
        return live.session() is not None

    def run(self, context: bpy.types.Context) -> str:
        """Stop."""
        done = live.stop(context)
        if done is None:
            return "Stopped; the head is as it was"
        text = f"Recorded {done.frames} frames of {done.animated} shape keys to"
        return " ".join([f"{text} '{done.action.name}'.", *done.notes])


class GAUSSIANSPEECH_PT_live(bpy.types.Panel):
    """Live speech."""

    bl_idname = "GAUSSIANSPEECH_PT_live"
    bl_parent_id = "GAUSSIANSPEECH_PT_speech"
    bl_label = "Live"
    bl_category = CATEGORY
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown for a head or character."""
        return active_speaker(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the buttons."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        running = live.session()
        if running is None:
            settings = active_speaker(context).gaussianspeech_speech
            layout.prop(settings, "microphone", placeholder="The system's choice")
            if get_preferences(context).engine_command.strip():
                layout.label(text="The engine's machine has the microphone", icon="INFO")
            layout.operator(GAUSSIANSPEECH_OT_live.bl_idname, icon="REC")
            return
        if running.latest is None:
            layout.label(text=f"{running.speaker}: {running.future.poll()[1]}", icon="TIME")
        else:
            what = "recording" if running.recording else "live"
            layout.label(text=f"{running.speaker}: {what}, {running.time:.0f} s", icon="REC")
        row = layout.row(align=True)
        record = row.row(align=True)
        record.enabled = running.latest is not None and not running.recording
        record.operator(GAUSSIANSPEECH_OT_live_record.bl_idname, icon="REC")
        row.operator(GAUSSIANSPEECH_OT_live_stop.bl_idname, icon="SNAP_FACE")


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_live,
    GAUSSIANSPEECH_OT_live_record,
    GAUSSIANSPEECH_OT_live_stop,
    GAUSSIANSPEECH_PT_live,
)
