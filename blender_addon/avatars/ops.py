# SPDX-License-Identifier: GPL-3.0-or-later
"""Binding an avatar to a head, and taking it off."""

from __future__ import annotations

from typing import ClassVar

import bpy
from bpy_extras.io_utils import ImportHelper

from ...engine.core.protocol import Message
from ..engine_link.future import Future
from ..engine_link.session import get_engine
from ..engine_link.tasks import EngineTask
from ..heads.properties import active_head, engine_name, require_head
from ..status import report
from .properties import DEFAULT_AVATAR, avatar_path


class GAUSSIANSPEECH_OT_bind_avatar(EngineTask, bpy.types.Operator):
    """Let the head wear an avatar; the engine checks that they fit."""

    bl_idname = "gaussianspeech.bind_avatar"
    bl_label = "Bind Avatar"
    bl_description = "Let the head wear an avatar; the engine checks that they fit"
    bl_options = {"UNDO"}
    task_label: ClassVar[str] = "Loading the avatar"

    avatar: bpy.props.StringProperty(
        name="Avatar",
        description="'default' for the avatar that ships with the add-on, or an avatar file",
        default=DEFAULT_AVATAR,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There is a head to wear it."""
        return active_head(context) is not None

    def begin(self, context: bpy.types.Context) -> Future:
        """Have the engine load the avatar for this head."""
        head = require_head(context)
        self._head_name = head.name
        params = {"avatar": avatar_path(self.avatar), "head": engine_name(head)}
        return get_engine(context).request("avatar.load", params)

    def finish(self, context: bpy.types.Context, reply: Message) -> None:
        """Note the avatar on the head."""
        avatar = bpy.data.objects[self._head_name].gaussianspeech_avatar
        avatar.source, avatar.enabled = self.avatar, True
        avatar.gaussians = reply.body["gaussians"]
        report(self, context, f"'{self._head_name}' wears {avatar.gaussians:,} Gaussians")


class GAUSSIANSPEECH_OT_open_avatar(bpy.types.Operator, ImportHelper):
    """Bind an avatar file to the head."""

    bl_idname = "gaussianspeech.open_avatar"
    bl_label = "Bind Avatar File"
    bl_description = "Bind a trained avatar, or one in GaussianAvatars' format, to the head"
    bl_options = {"INTERNAL"}

    filename_ext = ".safetensors"
    filter_glob: bpy.props.StringProperty(default="*.safetensors;*.ply", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There is a head to wear it."""
        return active_head(context) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Bind the chosen file."""
        mode = "EXEC_DEFAULT" if bpy.app.background else "INVOKE_DEFAULT"
        try:
            result = bpy.ops.gaussianspeech.bind_avatar(mode, avatar=self.filepath)
        except RuntimeError as error:  # What the operator reported; it is in the panel too.
            self.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
            return {"CANCELLED"}
        return {"CANCELLED"} if "CANCELLED" in result else {"FINISHED"}


class GAUSSIANSPEECH_OT_unbind_avatar(bpy.types.Operator):
    """Take the avatar off the head."""

    bl_idname = "gaussianspeech.unbind_avatar"
    bl_label = "Remove Avatar"
    bl_description = "Take the avatar off the head; its file stays"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """The head wears one."""
        head = active_head(context)
        return head is not None and bool(head.gaussianspeech_avatar.source)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Forget the avatar."""
        head = active_head(context)
        avatar = head.gaussianspeech_avatar
        avatar.source, avatar.gaussians = "", 0
        report(self, context, f"'{head.name}' wears no avatar")
        return {"FINISHED"}


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_bind_avatar,
    GAUSSIANSPEECH_OT_open_avatar,
    GAUSSIANSPEECH_OT_unbind_avatar,
)
