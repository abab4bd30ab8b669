# SPDX-License-Identifier: GPL-3.0-or-later
"""What an object knows of the head it is."""

from __future__ import annotations

from typing import Any

import bpy

from ...engine.core.errors import BadInputError
from .. import compat

DEFAULT_HEAD = "default"
"""The head that ships with the engine."""
DEFAULT_AVATAR = "default"
"""The avatar that ships with the engine, for that head."""
JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
"""FLAME's, which are the names of a rig's bones."""


@compat.overridable
class GAUSSIANSPEECH_PG_head(bpy.types.PropertyGroup):
    """The head that a mesh object was made from; empty on other objects."""

    id: bpy.props.StringProperty(name="Head", description="Identifier of the head")
    source: bpy.props.StringProperty(
        name="Source", description="'default', or the file the head was read from"
    )
    version: bpy.props.StringProperty(
        name="Version", description="Version of the engine that made the head"
    )
    vertex_count: bpy.props.IntProperty(
        name="Vertices", description="Number of vertices that performances and avatars expect"
    )
    expressions: bpy.props.StringProperty(
        name="Expressions", description="Names of the head's expressions, a line each"
    )
    rig: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Rig",
        description="The armature with FLAME's joints that moves the head's mesh",
    )
    camera_visibility: bpy.props.EnumProperty(
        name="Camera Visibility",
        description="Who chose Ray Visibility > Camera of the head",
        items=(
            ("UNKNOWN", "Unknown", "A file of 0.1.0, whose composites hid heads without a note"),
            ("ARTIST", "Artist", "The artist"),
            ("RENDER", "Render", "A render of a composite, which hides the head until it ends"),
        ),
    )


def is_head(obj: bpy.types.Object | None) -> bool:
    """Whether an object was made by Add Head."""
    return obj is not None and obj.type == "MESH" and bool(obj.gaussianspeech_head.id)


def rig_of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The armature with a head's joints; ``None`` without, and where it moves the head no more."""
    rig = obj.gaussianspeech_head.rig
    if rig is None or rig.type != "ARMATURE" or not rig.users_scene:
        return None
    if any(name not in rig.data.bones for name in JOINTS):
        return None
    moves = any(known.type == "ARMATURE" and known.object == rig for known in obj.modifiers)
    return rig if moves else None


def head_of_rig(rig: bpy.types.Object | None) -> bpy.types.Object | None:
    """The head that an armature is the rig of, if any."""
    if rig is None or rig.type != "ARMATURE":
        return None
    return next((obj for obj in bpy.data.objects if is_head(obj) and rig_of(obj) == rig), None)


def active_head(context: bpy.types.Context) -> bpy.types.Object | None:
    """The head the panel is about: the active one or that of the active rig, or the only one."""
    if is_head(context.object):
        return context.object
    if (head := head_of_rig(context.object)) is not None:
        return head
    heads = [obj for obj in context.scene.objects if is_head(obj)]
    return heads[0] if len(heads) == 1 else None


def require_head(context: bpy.types.Context) -> bpy.types.Object:
    """The head the panel is about, checked to be as it was made.

    Raises:
        BadInputError: there is none, or its vertices are not those of the head.
    """
    obj = active_head(context)
    if obj is None:
        raise BadInputError("No head is selected.", "Select a head, or add one with Add Head.")
    check_vertex_count(obj)
    return obj


def bind_avatar(obj: bpy.types.Object, source: str, gaussians: int) -> None:
    """Bind an avatar to a head, and show it.

    Args:
        obj: the head.
        source: ``"default"`` or a file.
        gaussians: its size; 0 where it is not known yet.
    """
    avatar = obj.gaussianspeech_avatar
    if not avatar.source:
        # Avatars in PLY files are drawn by the engine alone: their mesh stays to be seen.
        avatar.in_viewport = not source.lower().endswith(".ply")
    avatar.source, avatar.enabled, avatar.gaussians = source, True, gaussians


def check_vertex_count(obj: bpy.types.Object) -> None:
    """Check that the mesh still has the head's vertices.

    Raises:
        BadInputError: it has not.
    """
    expected, found = obj.gaussianspeech_head.vertex_count, len(obj.data.vertices)
    if found != expected:
        raise BadInputError(
            f"'{obj.name}' has {found} vertices, its head {obj.gaussianspeech_head.id!r} has "
            f"{expected}.",
            "Undo the change to the mesh, or add the head again; move vertices instead of adding "
            "or deleting them.",
        )


def engine_name(obj: bpy.types.Object) -> str:
    """What the engine calls the object's head: ``default`` or an absolute path."""
    source: Any = obj.gaussianspeech_head.source
    return source if not source.startswith("//") else bpy.path.abspath(source)


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_head,)


def register() -> None:
    """Attach the head to objects."""
    bpy.types.Object.gaussianspeech_head = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_head, override=compat.OVERRIDABLE
    )


def unregister() -> None:
    """Detach it."""
    del bpy.types.Object.gaussianspeech_head
