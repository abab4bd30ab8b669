# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel's second section: sound, transcript and animation."""

from __future__ import annotations

import bpy

from ...engine.motion.face.emotion import EMOTIONS
from .. import compat
from ..characters.properties import active_speaker
from ..heads.properties import is_head
from ..panels import CATEGORY, PARENT_ID
from ..status import get_status
from .bake import active_bake
from .emotion import keyed_emotions
from .live_ops import draw_live
from .ops import (
    GAUSSIANSPEECH_OT_import_sound,
    GAUSSIANSPEECH_OT_predict,
    GAUSSIANSPEECH_OT_rebake,
)
from .transcript import FOLDER


class GAUSSIANSPEECH_PT_speech(bpy.types.Panel):
    """Sound, transcript and prediction."""

    bl_idname = "GAUSSIANSPEECH_PT_speech"
    bl_parent_id = PARENT_ID
    bl_label = "Speech"
    bl_category = CATEGORY
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the sound and the button."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        obj = active_speaker(context)
        if obj is None:
            layout.label(text="Select a head or character", icon="INFO")
            return
        settings = obj.gaussianspeech_speech
        layout.operator(GAUSSIANSPEECH_OT_import_sound.bl_idname, icon="FILE_SOUND")
        column = layout.column()
        if compat.has_audio():
            column.row().prop(settings, "source", expand=True)
        if settings.source == "STRIP":
            column.prop(settings, "strip", icon="SEQ_STRIP_DUPLICATE")
        else:
            column.prop(settings, "filepath")
            column.prop(settings, "start_frame")
        column.prop(settings, "text", text="", placeholder="Transcript: recognised where empty")
        row = layout.row()
        row.scale_y = 1.4
        row.enabled = not get_status(context).busy
        row.operator(GAUSSIANSPEECH_OT_predict.bl_idname, icon="PLAY")
        draw_live(layout, context)


class GAUSSIANSPEECH_PT_words(bpy.types.Panel):
    """Where the words come from."""

    bl_idname = "GAUSSIANSPEECH_PT_words"
    bl_parent_id = "GAUSSIANSPEECH_PT_speech"
    bl_label = "Words"
    bl_category = CATEGORY
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown for a head."""
        return active_speaker(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Draw text file, language and recogniser."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = active_speaker(context).gaussianspeech_speech
        layout.prop(settings, "text_file")
        layout.prop(settings, "language")
        layout.prop(settings, "recognizer")
        if settings.recognizer == FOLDER:
            layout.prop(settings, "recognizer_folder", text="Folder")


class GAUSSIANSPEECH_PT_adjust(bpy.types.Panel):
    """The settings that bake again."""

    bl_idname = "GAUSSIANSPEECH_PT_adjust"
    bl_parent_id = "GAUSSIANSPEECH_PT_speech"
    bl_label = "Adjust"
    bl_category = CATEGORY
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown for a head or character."""
        return active_speaker(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the sliders."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        obj = active_speaker(context)
        settings = obj.gaussianspeech_speech
        action = active_bake(obj)
        column = layout.column()
        column.prop(settings, "articulation")
        column.prop(settings, "smile")
        column.prop(settings, "rest")
        column.prop(settings, "strength")
        column.prop(settings, "lip_closure")
        column.prop(settings, "upper_face")
        column.prop(settings, "gaze")
        row = column.row()
        # Where a character's eyes are, only its rig knows.
        row.enabled = settings.gaze > 0 and is_head(obj)
        row.prop(settings, "look_at")
        column.prop(settings, "head_motion")
        row = column.row()
        row.enabled = settings.gaze > 0 or settings.head_motion > 0
        row.prop(settings, "seed")
        column.prop(settings, "smoothing", text="Smoothing (ms)")
        column.prop(settings, "offset")
        if action is not None:
            layout.label(text=f"Action {action.name}", icon="ACTION")
        row = layout.row()
        row.enabled = action is not None
        row.operator(GAUSSIANSPEECH_OT_rebake.bl_idname, icon="FILE_REFRESH")


class GAUSSIANSPEECH_PT_emotion(bpy.types.Panel):
    """Emotions, which can be keyed."""

    bl_idname = "GAUSSIANSPEECH_PT_emotion"
    bl_parent_id = "GAUSSIANSPEECH_PT_speech"
    bl_label = "Emotion"
    bl_category = CATEGORY
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown for a head."""
        return active_speaker(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Draw an amount for each emotion."""
        layout = self.layout
        layout.use_property_split = True
        settings = active_speaker(context).gaussianspeech_speech
        column = layout.column()
        for name in EMOTIONS:
            column.prop(settings, name)
        column.separator()
        column.prop(settings, "emotion_from_voice")
        if keyed_emotions(settings.id_data):
            row = layout.row()
            row.enabled = active_bake(settings.id_data) is not None
            row.operator(GAUSSIANSPEECH_OT_rebake.bl_idname, icon="FILE_REFRESH")


class GAUSSIANSPEECH_PT_model(bpy.types.Panel):
    """The settings of the prediction that are seldom changed."""

    bl_idname = "GAUSSIANSPEECH_PT_model"
    bl_parent_id = "GAUSSIANSPEECH_PT_speech"
    bl_label = "Model"
    bl_category = CATEGORY
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
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
        settings = active_speaker(context).gaussianspeech_speech
        layout.prop(settings, "model")
        if settings.model == "FILE":
            layout.prop(settings, "model_file")
        layout.prop(settings, "tolerance", text="Tolerance (mm)")
        layout.prop(settings, "microphone", placeholder="The system's choice")


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_PT_speech,
    GAUSSIANSPEECH_PT_words,
    GAUSSIANSPEECH_PT_adjust,
    GAUSSIANSPEECH_PT_emotion,
    GAUSSIANSPEECH_PT_model,
)
