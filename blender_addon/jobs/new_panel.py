# SPDX-License-Identifier: GPL-3.0-or-later
"""The New Training section of the add-on's tab: what is to be trained, and the button."""

from __future__ import annotations

from typing import Any

import bpy

from ...engine.motion.model.ids import BY_RULE, STARTER
from ..avatars.properties import shown_name
from ..heads.properties import active_head
from ..panels.section import Section
from ..speech.lines import model_settings
from .joint_ops import OF_THE_HEAD, GAUSSIANSPEECH_OT_train_joint
from .start_ops import (
    GAUSSIANSPEECH_OT_make_capture,
    GAUSSIANSPEECH_OT_train_avatar,
    GAUSSIANSPEECH_OT_train_person,
    GAUSSIANSPEECH_OT_train_speech,
)
from .video_ops import GAUSSIANSPEECH_OT_person_from_video

_LABELS = 0.4
"""Part of a row that a property's name takes."""
_SOURCES = {
    "data": "Choose a capture",
    "recordings": "Choose recordings",
    "video": "Choose a video",
}
"""What trainings learn from, by property: what is asked for where none is chosen."""


class GAUSSIANSPEECH_PT_new_training(Section, bpy.types.Panel):
    """Starting a training."""

    bl_idname = "GAUSSIANSPEECH_PT_new_training"
    bl_parent_id = "GAUSSIANSPEECH_PT_training"
    bl_label = "New Training"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the settings of the kind and its button."""
        layout, settings = self.layout, context.scene.gaussianspeech_training
        layout.prop(settings, "kind", text="")
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column()
        button = layout.row()
        button.scale_y = 1.4
        drawn = {
            "PERSON": _draw_person,
            "VIDEO": _draw_video,
            "AVATAR": _draw_avatar,
            "SPEECH": _draw_speech,
            "JOINT": _draw_joint,
            "CAPTURE": _draw_capture,
        }
        operator = drawn[settings.kind](column, button, context, settings)
        operator.title = settings.title


def _draw_avatar(
    column: bpy.types.UILayout,
    button: bpy.types.UILayout,
    _context: bpy.types.Context,
    settings: bpy.types.PropertyGroup,
) -> Any:
    _draw_data(column, button, settings, "data")
    column.prop(settings, "preset")
    steps = _draw_number(column, settings, "steps")
    operator = button.operator(GAUSSIANSPEECH_OT_train_avatar.bl_idname, icon="PLAY")
    operator.data, operator.preset, operator.steps = settings.data, settings.preset, steps
    return operator


def _draw_person(
    column: bpy.types.UILayout,
    button: bpy.types.UILayout,
    _context: bpy.types.Context,
    settings: bpy.types.PropertyGroup,
) -> Any:
    _draw_data(column, button, settings, "data")
    column.prop(settings, "licence")
    column.prop(settings, "preset")
    steps = _draw_number(column, settings, "steps")
    rounds = _draw_number(column, settings, "rounds")
    operator = button.operator(GAUSSIANSPEECH_OT_train_person.bl_idname, icon="PLAY")
    operator.data, operator.preset, operator.licence = (
        settings.data,
        settings.preset,
        settings.licence,
    )
    operator.steps, operator.rounds = steps, rounds
    return operator


def _draw_video(
    column: bpy.types.UILayout,
    button: bpy.types.UILayout,
    _context: bpy.types.Context,
    settings: bpy.types.PropertyGroup,
) -> Any:
    _draw_data(column, button, settings, "video")
    for name in ("said", "spoken", "licence", "video_preset"):
        column.prop(settings, name)
    steps = _draw_number(column, settings, "steps")
    operator = button.operator(
        GAUSSIANSPEECH_OT_person_from_video.bl_idname, text="Train Person", icon="PLAY"
    )
    operator.filepath, operator.said = settings.video, settings.said
    operator.licence, operator.preset = settings.licence, settings.video_preset
    operator.language = settings.spoken
    operator.steps = steps
    return operator


def _draw_speech(
    column: bpy.types.UILayout,
    button: bpy.types.UILayout,
    context: bpy.types.Context,
    settings: bpy.types.PropertyGroup,
) -> Any:
    _draw_data(column, button, settings, "recordings")
    preset = source = ""
    column.prop(settings, "encoder")
    if settings.encoder == "WAV2VEC2":
        column.prop(settings, "encoder_source")
        column.prop(settings, "speech_preset")
        preset, source = settings.speech_preset, settings.encoder_source
    else:
        column.prop(settings, "new_model")
        preset = "starter" if settings.new_model else ""
    steps = _draw_number(column, settings, "steps")
    if active_head(context) is None:
        _ask_for(column, button, "Select its head")
    operator = button.operator(GAUSSIANSPEECH_OT_train_speech.bl_idname, icon="PLAY")
    operator.data, operator.steps = settings.recordings, steps
    operator.preset, operator.encoder_source = preset, source
    return operator


def _draw_joint(
    column: bpy.types.UILayout,
    button: bpy.types.UILayout,
    context: bpy.types.Context,
    settings: bpy.types.PropertyGroup,
) -> Any:
    head = active_head(context)
    _draw_data(column, button, settings, "data")
    column.prop(settings, "avatar")
    if settings.avatar == "FILE":
        column.prop(settings, "avatar_file", text="File")
    elif settings.avatar == "HEAD" and head is not None:
        bound = head.gaussianspeech_avatar.source
        _draw_detail(column, shown_name(bound) if bound else "No avatar bound", "USER")
    column.prop(settings, "speech_model")
    if settings.speech_model == "FILE":
        column.prop(settings, "speech_file", text="File")
    elif settings.speech_model == "HEAD" and head is not None:
        _draw_detail(column, _model_of(head), "SPEAKER")
    rounds = _draw_number(column, settings, "rounds")
    if head is None and "HEAD" in (settings.avatar, settings.speech_model):
        _ask_for(column, button, "Select its head")
    operator = button.operator(GAUSSIANSPEECH_OT_train_joint.bl_idname, icon="PLAY")
    operator.data, operator.rounds = settings.data, rounds
    avatars = {"HEAD": OF_THE_HEAD, "DEFAULT": "default", "FILE": settings.avatar_file}
    models = {"HEAD": OF_THE_HEAD, "STARTER": STARTER, "FILE": settings.speech_file}
    operator.avatar = avatars[settings.avatar]
    operator.speech_model = models[settings.speech_model]
    return operator


def _draw_capture(
    column: bpy.types.UILayout,
    button: bpy.types.UILayout,
    _context: bpy.types.Context,
    settings: bpy.types.PropertyGroup,
) -> Any:
    column.prop(settings, "title", placeholder="capture")
    for name in ("scale", "cameras", "timesteps"):
        column.prop(settings, name)
    operator = button.operator(GAUSSIANSPEECH_OT_make_capture.bl_idname, icon="PLAY")
    operator.scale, operator.cameras = settings.scale, settings.cameras
    operator.timesteps = settings.timesteps
    return operator


def _draw_data(
    column: bpy.types.UILayout,
    button: bpy.types.UILayout,
    settings: bpy.types.PropertyGroup,
    source: str,
) -> None:
    """Draw what it learns from and its name, which is that of the source where none is given."""
    column.prop(settings, source)
    if not getattr(settings, source).strip():
        _ask_for(column, button, _SOURCES[source])
    data = getattr(settings, source).rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    name = data.rpartition(".")[0] if source == "video" else ""
    column.prop(settings, "title", placeholder=name or data)


def _draw_number(column: bpy.types.UILayout, settings: bpy.types.PropertyGroup, name: str) -> int:
    """Draw the number of steps or rounds; returns it, or 0 for as many as are usual."""
    row = column.row(heading=name.title())
    limited = f"limit_{name}"
    row.prop(settings, limited, text="")
    number = row.row()
    number.enabled = getattr(settings, limited)
    number.prop(settings, name, text="")
    return getattr(settings, name) if getattr(settings, limited) else 0


def _draw_detail(column: bpy.types.UILayout, text: str, icon: str) -> None:
    """Draw what a choice stands for, below it."""
    row = column.split(factor=_LABELS)
    row.label(text="")
    row.label(text=text, icon=icon)


def _ask_for(column: bpy.types.UILayout, button: bpy.types.UILayout, text: str) -> None:
    """Draw what is to be done before the button can be pressed."""
    column.label(text=text, icon="INFO")
    button.enabled = False


def _model_of(head: bpy.types.Object) -> str:
    settings = model_settings(head)
    if settings.model == "FILE":
        # Trainings call their models alike, and their folders by their person.
        parts = settings.model_file.replace("\\", "/").split("/")
        return parts[-2] if len(parts) > 1 and parts[-2] else parts[-1]
    return "Learned, for rules learn nothing" if settings.model in BY_RULE else "Learned"


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PT_new_training,)
