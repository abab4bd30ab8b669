# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding a head."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import bpy
from bpy_extras.io_utils import ImportHelper
from mathutils import Euler

from ...engine.core.protocol import Message
from .. import compat
from ..engine_link import background
from ..engine_link.client import EngineClient
from ..engine_link.future import CompletedFuture, Future
from ..engine_link.session import get_engine
from ..engine_link.tasks import EngineTask
from ..polls import InObjectMode
from ..status import invoke_operator, report
from .mesh import build_head
from .properties import DEFAULT_AVATAR, DEFAULT_HEAD, bind_avatar, engine_name, is_head
from .rig import add_rig, joints_of_reply

_THREE_QUARTER = (math.radians(80), 0.0, math.radians(25))
"""Rotation of a three-quarter view, from a little above and from the face's left."""

_default_heads: WeakKeyDictionary[EngineClient, Message] = WeakKeyDictionary()
"""The default head as each engine gave it."""


def uv_template_property() -> Any:
    """The property of operators that add FLAME heads."""
    return bpy.props.StringProperty(
        name="UV Template",
        description=(
            "FLAME's head_template.obj, whose UV layout the head gets; without it that of the OBJ "
            "beside the FLAME model, where one lies there"
        ),
        subtype="FILE_PATH",
        options={"SKIP_SAVE", *compat.blend_relative()},
    )


def uv_params(template: str) -> dict[str, str]:
    """What to ask the engine for a template; nothing without one."""
    return {"uv": _absolute(template.strip())} if template.strip() else {}


class GAUSSIANSPEECH_OT_add_head(InObjectMode, EngineTask, bpy.types.Operator):
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
        description="Bind the avatar that ships with the head",
        default=True,
    )
    avatar: bpy.props.StringProperty(
        name="Avatar",
        description="'default' for the avatar that ships with the default head, or an avatar file",
        default=DEFAULT_AVATAR,
        options={"SKIP_SAVE", "HIDDEN"},
    )

    uv_template: uv_template_property()

    identity: bpy.props.IntProperty(
        name="Identity",
        description=(
            "Whose head: 0 is the default head, which has an avatar; every other number is another "
            "person with the same expressions"
        ),
        min=0,
        max=999_999_999,
        options={"SKIP_SAVE"},
    )

    frame: bpy.props.BoolProperty(
        name="Frame First Head",
        description=(
            "Move the view to a scene's first head: it is as small as a real one, and hidden "
            "inside the cube that Blender starts with"
        ),
        default=True,
    )

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw the options of the kind of head."""
        if self.head == DEFAULT_HEAD:
            self.layout.prop(self, "identity")
            avatar = self.layout.row()
            avatar.enabled = not self.identity
            avatar.prop(self, "with_avatar")
        self.layout.prop(self, "frame")

    def begin(self, context: bpy.types.Context) -> Future:
        """Ask for the head's geometry."""
        engine = get_engine(context)
        if self._source == DEFAULT_HEAD and engine in _default_heads and engine.hello:
            # The redo panel adds the head anew, and must not wait for a busy engine.
            return CompletedFuture(_default_heads[engine])
        params = {"head": _absolute(self._source)} | uv_params(self.uv_template)
        return engine.request("head.load", params)

    @property
    def _source(self) -> str:
        """What the engine calls the head."""
        named = self.head == DEFAULT_HEAD and self.identity
        return f"{DEFAULT_HEAD}#{self.identity}" if named else self.head

    def finish(self, context: bpy.types.Context, reply: Message) -> None:
        """Make the mesh at the 3D cursor, selected and active."""
        name = "Head" if self.head == DEFAULT_HEAD else Path(_absolute(self.head)).stem
        obj = place_head(context, name, self._source, reply)
        if self._source == DEFAULT_HEAD:
            _default_heads[get_engine(context)] = reply
        keys = len(reply.body["expression_names"])
        report(self, context, f"Added '{obj.name}' with {keys} expressions")
        if self.frame:
            frame_first(context)
        if self.with_avatar and (self._source == DEFAULT_HEAD or self.avatar != DEFAULT_AVATAR):
            bind_avatar_async(context, obj, self.avatar)


def place_head(
    context: bpy.types.Context, name: str, source: str, reply: Message
) -> bpy.types.Object:
    """Make a head's object at the 3D cursor, selected and active; FLAME's with its rig.

    Args:
        context: where.
        name: of the object.
        source: what the engine calls the head: ``default`` or a path.
        reply: with a body and arrays as ``head.load`` gives them.
    """
    obj = build_head(name, reply.body, reply.arrays)
    obj.location = context.scene.cursor.location
    head = obj.gaussianspeech_head
    head.id, head.source = reply.body["id"], source
    head.camera_visibility = "ARTIST"
    head.version = get_engine(context).hello["package"]
    head.expressions = "\n".join(reply.body["expression_names"])
    head.vertex_count = len(obj.data.vertices)
    context.collection.objects.link(obj)
    for other in context.selected_objects:
        other.select_set(False)
    if (joints := joints_of_reply(reply.body, reply.arrays)) is not None:
        add_rig(context, obj, joints).select_set(True)
    obj.select_set(True)
    context.view_layer.objects.active = obj
    return obj


def frame_first(context: bpy.types.Context) -> None:
    """Show the face of a scene's only head in the 3D view that the operator was called from."""
    if sum(map(is_head, context.scene.objects)) != 1:
        return
    area = context.area
    if area is None or area.type != "VIEW_3D" or bpy.app.background:
        return
    region = next((region for region in area.regions if region.type == "WINDOW"), None)
    if region is None or area.spaces.active.region_3d.view_perspective == "CAMERA":
        return  # The view through a camera is framed already.
    area.spaces.active.region_3d.view_rotation = Euler(_THREE_QUARTER).to_quaternion()
    with context.temp_override(area=area, region=region):
        bpy.ops.view3d.view_selected()


def bind_avatar_async(context: bpy.types.Context, obj: bpy.types.Object, avatar: str) -> None:
    """Bind an avatar to a new head while the engine loads it.

    The first time on a machine the engine compiles its kernels for it: that is no reason to wait
    for a head. The default avatar ships with its head and fits, so it is bound at once; another
    when the engine has found that it fits.
    """
    name, bound = obj.name, obj.gaussianspeech_avatar
    if avatar == DEFAULT_AVATAR:
        bind_avatar(obj, avatar, 0)
    before = bound.source
    params = {"avatar": _absolute(avatar), "head": engine_name(obj)}
    future = get_engine(context).request("avatar.load", params)

    def on_loaded(reply: Message) -> str:
        head = bpy.data.objects.get(name)
        if head is None or head.gaussianspeech_avatar.source != before:
            return ""  # It has been removed, or another avatar bound.
        size = reply.body["gaussians"]
        bind_avatar(head, avatar, size)
        return f"Avatar bound to '{name}' ({size:,} Gaussians)"

    background.run("Preparing the avatar", future, on_loaded)


class GAUSSIANSPEECH_OT_open_head(InObjectMode, bpy.types.Operator, ImportHelper):
    """Add a head from a FLAME model file."""

    bl_idname = "gaussianspeech.open_head"
    bl_label = "Add FLAME Head"
    bl_description = "Add a head from a FLAME model file (2020, 2023 or 2023 Open) of yours"
    bl_options = {"INTERNAL"}

    filename_ext = ".pkl"
    filter_glob: bpy.props.StringProperty(default="*.pkl;*.npz", options={"HIDDEN"})
    uv_template: uv_template_property()

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add the chosen head."""
        add = bpy.ops.gaussianspeech.add_head
        return invoke_operator(self, add, head=self.filepath, uv_template=self.uv_template)


def is_default(name: str) -> bool:
    """Whether a head is the default one, whoever's identity it has."""
    return name.partition("#")[0] == DEFAULT_HEAD


def _absolute(name: str) -> str:
    """What the engine calls a head or an avatar: ``default…``, or an absolute path."""
    return name if is_default(name) else str(Path(bpy.path.abspath(name)).resolve())


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
