# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding a head."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy_extras.io_utils import ImportHelper

from ...engine.errors import BadInputError, GaussianSpeechError, one_line
from ..engine_client import Work
from ..engine_session import get_engine
from ..engine_work import InTurn
from ..status import show_error, tell
from ..tasks import EngineTask
from .mesh import build_head

DEFAULT_HEAD = "default"
"""The head that ships with the engine."""

DEFAULT_AVATAR = "default"
"""The avatar that ships with the engine, for that head."""


class GAUSSIANSPEECH_OT_add_head(EngineTask, bpy.types.Operator):
    """Add a head with its expressions as shape keys."""

    bl_idname = "gaussianspeech.add_head"
    bl_label = "Add Head"
    bl_description = "Add a head with its expressions as shape keys"
    bl_options = {"REGISTER", "UNDO"}
    task_label: ClassVar[str] = "Loading the head"

    head: bpy.props.StringProperty(
        name="Head",
        description="'default' for the head that ships with the add-on, or a FLAME file",
        default=DEFAULT_HEAD,
        options={"SKIP_SAVE", "HIDDEN"},
    )
    with_avatar: bpy.props.BoolProperty(
        name="With Avatar",
        description="Let the head wear an avatar at once: the default head its own",
        default=True,
    )
    avatar: bpy.props.StringProperty(
        name="Avatar",
        description="'default' for the avatar of the default head, or an avatar file",
        default=DEFAULT_AVATAR,
        options={"SKIP_SAVE", "HIDDEN"},
    )

    @property
    def _brings_avatar(self) -> bool:
        fits = self.head == DEFAULT_HEAD or self.avatar != DEFAULT_AVATAR
        return self.with_avatar and fits

    def draw(self, _context: bpy.types.Context) -> None:
        """Offer to leave the avatar away."""
        if self.head == DEFAULT_HEAD:
            self.layout.prop(self, "with_avatar")

    def begin(self, context: bpy.types.Context) -> Work:
        """Ask for the head's geometry, and have the avatar loaded for it."""
        if context.mode != "OBJECT":
            raise BadInputError(
                "A head can only be added in Object Mode.", "Leave the current mode first."
            )
        engine, head = get_engine(context), _absolute(self.head)
        asked = engine.request("head.load", {"head": head})
        if not self._brings_avatar:
            return InTurn(asked)
        params = {"avatar": _absolute(self.avatar), "head": head}
        return InTurn(asked, engine.request("avatar.load", params))

    def finish(self, context: bpy.types.Context, replies: list[Any]) -> None:
        """Make the mesh at the 3D cursor, selected and active."""
        reply, *avatar = replies
        name = "Head" if self.head == DEFAULT_HEAD else Path(_absolute(self.head)).stem
        obj = build_head(name, reply.body, reply.arrays)
        obj.location = context.scene.cursor.location
        head = obj.gaussianspeech_head
        head.id, head.source = reply.body["id"], self.head
        head.version = get_engine(context).hello["package"]
        head.vertex_count = len(obj.data.vertices)
        context.collection.objects.link(obj)
        for other in context.selected_objects:
            other.select_set(False)
        obj.select_set(True)
        context.view_layer.objects.active = obj
        text = f"Added '{obj.name}' with {len(reply.body['expression_names'])} expressions"
        for answer in avatar:
            if isinstance(answer, GaussianSpeechError):
                tell(self, context, text)
                # The head is of use without; Avatar in the panel offers it again.
                show_error(context, answer)
                self.report({"WARNING"}, f"The head wears no avatar: {one_line(answer)}")
                return
            worn = obj.gaussianspeech_avatar
            worn.source, worn.enabled = self.avatar, True
            worn.gaussians = answer.body["gaussians"]
            text += f" and an avatar of {worn.gaussians:,} Gaussians"
        tell(self, context, text)


class GAUSSIANSPEECH_OT_open_head(bpy.types.Operator, ImportHelper):
    """Add a head from a FLAME model file."""

    bl_idname = "gaussianspeech.open_head"
    bl_label = "Add FLAME Head"
    bl_description = "Add a head from a FLAME model file (2020, 2023 or 2023 Open) of yours"
    bl_options = {"INTERNAL"}

    filename_ext = ".pkl"
    filter_glob: bpy.props.StringProperty(default="*.pkl;*.npz", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add the chosen head."""
        mode = "EXEC_DEFAULT" if bpy.app.background else "INVOKE_DEFAULT"
        try:
            result = bpy.ops.gaussianspeech.add_head(mode, head=self.filepath)
        except RuntimeError as error:  # What the operator reported; it is in the panel too.
            self.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
            return {"CANCELLED"}
        return {"CANCELLED"} if "CANCELLED" in result else {"FINISHED"}


def _absolute(name: str) -> str:
    """What the engine calls a head or an avatar: ``default``, or an absolute path."""
    return name if name == DEFAULT_HEAD else str(Path(bpy.path.abspath(name)).resolve())


def _draw_add_menu(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.operator(
        GAUSSIANSPEECH_OT_add_head.bl_idname, text="Talking Head", icon="USER"
    ).head = DEFAULT_HEAD


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_OT_add_head, GAUSSIANSPEECH_OT_open_head)


def register() -> None:
    """Add the entry to Add > Mesh."""
    bpy.types.VIEW3D_MT_mesh_add.append(_draw_add_menu)


def unregister() -> None:
    """Remove it."""
    bpy.types.VIEW3D_MT_mesh_add.remove(_draw_add_menu)
