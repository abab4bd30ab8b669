# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel's second section: sound, transcript and animation."""

from __future__ import annotations

import bpy

from ...engine.motion.face.emotion import EMOTIONS
from .. import compat
from ..characters.eyes import NO_EYES, NO_KEYS, has_eyes
from ..characters.properties import active_speaker
from ..heads.properties import is_head
from ..panels.section import Section
from ..text import draw_wrapped
from . import line_ops as buttons
from .batch_ops import GAUSSIANSPEECH_MT_lines
from .keyed import keyed
from .keying import FITTED
from .lines import (
    active_bake,
    active_line,
    controls_of,
    line_action,
    lines_of,
    model_settings,
    out_of_date,
    warnings_of,
)
from .live_ops import draw_live
from .ops import (
    GAUSSIANSPEECH_OT_import_sound,
    GAUSSIANSPEECH_OT_predict,
    GAUSSIANSPEECH_OT_rebake,
    GAUSSIANSPEECH_OT_update_line,
    GAUSSIANSPEECH_OT_update_lines,
)
from .presets import GAUSSIANSPEECH_PT_controls_presets
from .transcript import FOLDER


class GAUSSIANSPEECH_UL_lines(bpy.types.UIList):
    """The list of lines."""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: bpy.types.Object,
        item: bpy.types.PropertyGroup,
        _icon: int,
        _active_data: bpy.types.Object,
        _active_property: str,
        _index: int,
    ) -> None:
        """Draw a line: whether it is in date, has warnings, its name, and whether it plays."""
        spoken = line_action(item.id_data, item) is not None
        stale = "FILE_REFRESH" if spoken else "BLANK1"
        row = layout.row(align=True)
        row.label(text="", icon=stale if out_of_date(context, item) else "CHECKMARK")
        if spoken and warnings_of(item):
            row.label(text="", icon="INFO")
        row.prop(item, "name", text="", emboss=False)
        if spoken:
            row.prop(item, "muted", text="", icon="HIDE_ON" if item.muted else "HIDE_OFF")


class GAUSSIANSPEECH_PT_speech(Section, bpy.types.Panel):
    """Sound, transcript and prediction."""

    bl_idname = "GAUSSIANSPEECH_PT_speech"
    bl_label = "Speech"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the sound and the button."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        obj = active_speaker(context)
        if obj is None:
            draw_wrapped(layout, context, "Select a head or character", icon="INFO")
            return
        _draw_lines(layout, obj)
        line = active_line(obj)
        if line is not None:
            _draw_sound(layout.column(), line)
            draw_buttons(layout.column(align=True), context, line)
        draw_live(layout, context)


def _draw_lines(layout: bpy.types.UILayout, obj: bpy.types.Object) -> None:
    """Draw the list with its buttons, and the way to a first line."""
    layout.operator(GAUSSIANSPEECH_OT_import_sound.bl_idname, icon="FILE_SOUND")
    row = layout.row()
    row.template_list(
        "GAUSSIANSPEECH_UL_lines",
        "",
        obj,
        "gaussianspeech_lines",
        obj,
        "gaussianspeech_active_line",
        rows=5,  # As high as the buttons beside it.
    )
    column = row.column(align=True)
    column.operator(buttons.GAUSSIANSPEECH_OT_add_line.bl_idname, text="", icon="ADD")
    column.operator(buttons.GAUSSIANSPEECH_OT_remove_line.bl_idname, text="", icon="REMOVE")
    column.menu(GAUSSIANSPEECH_MT_lines.bl_idname, text="", icon="DOWNARROW_HLT")
    column.separator()
    column.operator(buttons.GAUSSIANSPEECH_OT_duplicate_line.bl_idname, text="", icon="DUPLICATE")
    move = buttons.GAUSSIANSPEECH_OT_move_line.bl_idname
    column.operator(move, text="", icon="TRIA_UP").up = True
    column.operator(move, text="", icon="TRIA_DOWN").up = False


def _draw_sound(column: bpy.types.UILayout, line: bpy.types.PropertyGroup) -> None:
    """Draw what a line says."""
    if line.source == "MOTION":
        column.label(text="Motion without a sound", icon="ANIM_DATA")
        column.prop(line, "start_frame")
        return
    if compat.has_audio():
        row = column.row(align=True)
        row.use_property_split = False  # Or the first choice would be a label beside its button.
        for source in ("STRIP", "FILE"):
            row.prop_enum(line, "source", source)
    if line.source == "STRIP":
        column.prop(line, "strip", icon="SEQ_STRIP_DUPLICATE")
    else:
        column.prop(line, "filepath")
        column.prop(line, "start_frame")
    column.prop(line, "text", text="", placeholder="Transcript: recognised where empty")


def draw_buttons(
    column: bpy.types.UILayout, context: bpy.types.Context, line: bpy.types.PropertyGroup
) -> None:
    """Draw what brings a line up to date."""
    row = column.row(align=True)
    row.scale_y = 1.4
    row.operator(GAUSSIANSPEECH_OT_predict.bl_idname, text="Predict and Bake", icon="PLAY")
    if not line.predicted and active_bake(line.id_data) is None:
        return
    reason = out_of_date(context, line)
    if reason:
        draw_wrapped(column, context, reason, icon="FILE_REFRESH")
    for warning in warnings_of(line):
        draw_wrapped(column, context, warning, icon="INFO")
    row = column.row(align=True)
    row.operator(GAUSSIANSPEECH_OT_update_line.bl_idname, text="Update")
    if len(lines_of(line.id_data)) > 1:
        row.operator(GAUSSIANSPEECH_OT_update_lines.bl_idname, text="Update All")
    open_now = buttons.is_edited_now(line.id_data)
    edit = buttons.GAUSSIANSPEECH_OT_edit_line.bl_idname
    column.operator(edit, icon="ACTION_TWEAK", depress=open_now)


class GAUSSIANSPEECH_PT_words(Section, bpy.types.Panel):
    """Where the words come from."""

    bl_idname = "GAUSSIANSPEECH_PT_words"
    bl_parent_id = "GAUSSIANSPEECH_PT_speech"
    bl_label = "Words"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown for a line that has a sound."""
        obj = active_speaker(context)
        line = None if obj is None else active_line(obj)
        return line is not None and line.source != "MOTION"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw text file, language and recogniser."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = active_line(active_speaker(context))
        layout.prop(settings, "text_file")
        layout.prop(settings, "language")
        layout.prop(settings, "recognizer")
        if settings.recognizer == FOLDER:
            layout.prop(settings, "recognizer_folder", text="Folder")


class GAUSSIANSPEECH_PT_adjust(Section, bpy.types.Panel):
    """The settings that bake again."""

    bl_idname = "GAUSSIANSPEECH_PT_adjust"
    bl_parent_id = "GAUSSIANSPEECH_PT_speech"
    bl_label = "Adjust"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown for a head or character."""
        return active_speaker(context) is not None

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        """Draw the presets."""
        GAUSSIANSPEECH_PT_controls_presets.draw_panel_header(self.layout)

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the sliders."""
        layout = self.layout
        layout.use_property_split = True
        obj = active_speaker(context)
        action, line = active_bake(obj), active_line(obj)
        settings = controls_of(obj, line) if line else obj.gaussianspeech_speech
        if line is not None:
            column = layout.column(align=True)
            column.prop(line, "strength")
            column.prop(line, "offset")
            column.prop(line, "ease", text="Ease (ms)")
            layout.prop(line, "use_own_controls")
        column = layout.column()
        for name in ("articulation", "jaw", "lips", "lip_closure", "smile", "rest"):
            column.prop(settings, name)
        column.separator()
        column.prop(settings, "upper_face")
        column.prop(settings, "blinks")
        _draw_gaze(column, context, obj, settings)
        column.prop(settings, "head_motion")
        column.prop(settings, "seed")
        column.separator()
        column.prop(settings, "strength")
        column.prop(settings, "smoothing", text="Smooth (ms)")
        column.prop(settings, "offset")
        column = layout.column()
        column.use_property_decorate = False
        column.prop(obj.gaussianspeech_speech, "keying")
        if obj.gaussianspeech_speech.keying == FITTED:
            column.prop(obj.gaussianspeech_speech, "key_tolerance", text="Tolerance (mm)")
        if action is not None:
            draw_wrapped(layout, context, f"Action {action.name}", icon="ACTION")
        layout.operator(GAUSSIANSPEECH_OT_rebake.bl_idname, text="Bake Again", icon="FILE_REFRESH")


def _draw_gaze(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    obj: bpy.types.Object,
    settings: bpy.types.PropertyGroup,
) -> None:
    """Draw where the eyes look, or why they cannot."""
    seeing = has_eyes(obj)
    row = layout.row()
    row.enabled = seeing
    row.prop(settings, "gaze")
    row = layout.row()
    row.enabled = seeing and ("gaze" in keyed(settings) or settings.gaze > 0)
    row.prop(settings, "look_at")
    if not seeing:
        draw_wrapped(layout, context, NO_KEYS if is_head(obj) else NO_EYES, icon="INFO")


class GAUSSIANSPEECH_PT_emotion(Section, bpy.types.Panel):
    """Emotions, which can be keyed."""

    bl_idname = "GAUSSIANSPEECH_PT_emotion"
    bl_parent_id = "GAUSSIANSPEECH_PT_speech"
    bl_label = "Emotion"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown for a head."""
        return active_speaker(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Draw an amount for each emotion."""
        layout = self.layout
        layout.use_property_split = True
        obj = active_speaker(context)
        line = active_line(obj)
        settings = controls_of(obj, line) if line else obj.gaussianspeech_speech
        column = layout.column()
        for name in EMOTIONS:
            column.prop(settings, name)
        column.separator()
        column.prop(settings, "emotion_from_voice")
        if keyed(settings):
            rebake = GAUSSIANSPEECH_OT_rebake.bl_idname
            layout.operator(rebake, text="Bake Again", icon="FILE_REFRESH")


class GAUSSIANSPEECH_PT_model(Section, bpy.types.Panel):
    """The settings of the prediction that are seldom changed."""

    bl_idname = "GAUSSIANSPEECH_PT_model"
    bl_parent_id = "GAUSSIANSPEECH_PT_speech"
    bl_label = "Model"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown for a head or character."""
        return active_speaker(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Draw model and tolerance."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        obj = active_speaker(context)
        settings = model_settings(obj)
        layout.prop(settings, "model")
        if settings.model == "FILE":
            layout.prop(settings, "model_file")
        layout.prop(settings, "tolerance", text="Tolerance (mm)")
        layout.prop(obj.gaussianspeech_speech, "microphone", placeholder="The system's choice")


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_UL_lines,
    GAUSSIANSPEECH_PT_speech,
    GAUSSIANSPEECH_PT_words,
    GAUSSIANSPEECH_PT_adjust,
    GAUSSIANSPEECH_PT_emotion,
    GAUSSIANSPEECH_PT_model,
)
