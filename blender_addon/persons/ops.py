# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding a person: the head, the avatar on it, and how they speak."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import bpy
from bpy_extras.io_utils import ImportHelper

from ...engine.core.protocol import Message
from ..engine_link.future import Future
from ..engine_link.session import get_engine
from ..engine_link.tasks import EngineTask
from ..heads.ops import (
    DEFAULT_AVATAR,
    bind_avatar_async,
    frame_first,
    place_head,
    uv_params,
    uv_template_property,
)
from ..heads.panel import GAUSSIANSPEECH_PT_head
from ..jobs.video_ops import GAUSSIANSPEECH_OT_person_from_video
from ..polls import InObjectMode
from ..speech.line_list import use_model
from ..status import invoke_operator, report


class GAUSSIANSPEECH_OT_add_person(InObjectMode, EngineTask, bpy.types.Operator):
    """Add a person: head, avatar and speech model."""

    bl_idname = "gaussianspeech.add_person"
    bl_label = "Add Person"
    bl_description = "Add a person: the head with its expressions, the avatar, the speech model"
    bl_options = {"REGISTER", "UNDO"}
    task_label: ClassVar[str] = "Loading the person"

    person: bpy.props.StringProperty(
        name="Person",
        description=(
            "'default' for the person that ships, a person's folder, or an avatar file that "
            "carries its head"
        ),
        default=DEFAULT_AVATAR,
        options={"SKIP_SAVE", "HIDDEN"},
    )
    uv_template: uv_template_property()
    frame: bpy.props.BoolProperty(
        name="Frame First Head",
        description="Move the view to a scene's first head, which is as small as a real one",
        default=True,
    )

    def begin(self, context: bpy.types.Context) -> Future:
        """Ask who it is."""
        name = self.person
        if name != DEFAULT_AVATAR:
            name = str(Path(bpy.path.abspath(name)).resolve())
        return get_engine(context).request(
            "person.load", {"person": name} | uv_params(self.uv_template)
        )

    def finish(self, context: bpy.types.Context, reply: Message) -> None:
        """Make the head, bind the avatar, choose the speech model."""
        about = reply.body
        avatar, model = str(about["avatar"]), str(about["speech_model"])
        obj = place_head(context, str(about["name"]) or "Person", avatar, reply)
        bind_avatar_async(context, obj, avatar)
        if model:
            use_model(obj, model)
        if self.frame:
            frame_first(context)
        parts = ["avatar", *(["own speech model"] if model else [])]
        report(self, context, f"Added '{obj.name}' with {' and '.join(parts)}")


class GAUSSIANSPEECH_OT_open_person(InObjectMode, bpy.types.Operator, ImportHelper):
    """Add a person from a folder or an avatar file."""

    bl_idname = "gaussianspeech.open_person"
    bl_label = "Add Person From File"
    bl_description = (
        "Add a person from their folder, or from an avatar that carries its head: of a training, "
        "or of GaussianAvatars"
    )
    bl_options = {"INTERNAL"}

    filename_ext = ".json"
    filter_glob: bpy.props.StringProperty(
        default="person.json;*.safetensors;*.ply;flame_param.npz", options={"HIDDEN"}
    )
    uv_template: uv_template_property()

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add the person of the chosen file or folder."""
        add = bpy.ops.gaussianspeech.add_person
        return invoke_operator(self, add, person=self.filepath, uv_template=self.uv_template)


def _draw_in_panel(self: bpy.types.Panel, _context: bpy.types.Context) -> None:
    self.layout.operator(
        GAUSSIANSPEECH_OT_open_person.bl_idname, text="Add Person…", icon="COMMUNITY"
    )
    row = self.layout.row()
    row.operator_context = "INVOKE_DEFAULT"
    row.operator(
        GAUSSIANSPEECH_OT_person_from_video.bl_idname,
        text="Person from Video…",
        icon="FILE_MOVIE",
    )


def _draw_add_menu(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.operator(
        GAUSSIANSPEECH_OT_open_person.bl_idname, text="Talking Person…", icon="COMMUNITY"
    )


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_OT_add_person, GAUSSIANSPEECH_OT_open_person)


def register() -> None:
    """Add the entries to the Head section and to Add > Mesh."""
    GAUSSIANSPEECH_PT_head.append(_draw_in_panel)
    bpy.types.VIEW3D_MT_mesh_add.append(_draw_add_menu)


def unregister() -> None:
    """Remove them."""
    bpy.types.VIEW3D_MT_mesh_add.remove(_draw_add_menu)
    GAUSSIANSPEECH_PT_head.remove(_draw_in_panel)
