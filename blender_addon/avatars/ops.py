# SPDX-License-Identifier: GPL-3.0-or-later
"""Binding an avatar to a head, and removing it."""

from __future__ import annotations

from typing import ClassVar

import bpy
from bpy_extras.io_utils import ImportHelper

from ...engine.core.errors import BadInputError
from ...engine.core.protocol import Message
from ..engine_link.future import Future
from ..engine_link.session import get_engine
from ..engine_link.tasks import EngineTask
from ..heads.properties import active_head, bind_avatar, engine_name, is_head, require_head
from ..status import ReportMixin, invoke_operator, report
from .properties import DEFAULT_AVATAR, avatar_path


class GAUSSIANSPEECH_OT_bind_avatar(EngineTask, bpy.types.Operator):
    """Bind an avatar to the head; the engine checks that they fit."""

    bl_idname = "gaussianspeech.bind_avatar"
    bl_label = "Bind Avatar"
    bl_description = "Bind an avatar to the head; the engine checks that they fit"
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
        """There is a head to bind it to."""
        cls.poll_message_set("Select a head")
        return active_head(context) is not None

    def begin(self, context: bpy.types.Context) -> Future:
        """Have the engine load the avatar for this head."""
        head = require_head(context)
        self._head_name = head.name
        params = {"avatar": avatar_path(self.avatar), "head": engine_name(head)}
        return get_engine(context).request("avatar.load", params)

    def finish(self, context: bpy.types.Context, reply: Message) -> None:
        """Bind it."""
        head = bpy.data.objects.get(self._head_name)
        if not is_head(head):
            raise BadInputError(
                f"'{self._head_name}' is gone.", "Undo its removal and bind the avatar again."
            )
        size = reply.body["gaussians"]
        bind_avatar(head, self.avatar, size)
        report(self, context, f"Avatar bound to '{self._head_name}' ({size:,} Gaussians)")


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
        """There is a head to bind it to."""
        cls.poll_message_set("Select a head")
        return active_head(context) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Bind the chosen file."""
        return invoke_operator(self, bpy.ops.gaussianspeech.bind_avatar, avatar=self.filepath)


class GAUSSIANSPEECH_OT_unbind_avatar(ReportMixin, bpy.types.Operator):
    """Remove the avatar from the head."""

    bl_idname = "gaussianspeech.unbind_avatar"
    bl_label = "Remove Avatar"
    bl_description = "Remove the avatar from the head; its file stays"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """The head has one."""
        cls.poll_message_set("Select a head with an avatar")
        head = active_head(context)
        return head is not None and bool(head.gaussianspeech_avatar.source)

    def run(self, context: bpy.types.Context) -> str:
        """Unbind the avatar."""
        head = active_head(context)
        avatar = head.gaussianspeech_avatar
        avatar.source, avatar.gaussians = "", 0
        return f"Avatar removed from '{head.name}'"


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_bind_avatar,
    GAUSSIANSPEECH_OT_open_avatar,
    GAUSSIANSPEECH_OT_unbind_avatar,
)
