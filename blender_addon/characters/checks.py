# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps an object of a character from speaking, and what its artist should know of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import bpy

from ...engine.core.errors import BadInputError
from ...engine.motion.characters.blender_bones import AXIS_ANGLE, owner_of
from ...engine.motion.characters.bones import OBJECT, property_of
from ..heads.properties import head_of_rig
from .driven import rigs_that_drive
from .head_joints import check_joints
from .making import check_own, key_names
from .properties import bone_mapping_of, character_objects, is_character, is_rig, mapping_of
from .targets import AnimatedChannels, key_path

_CUT = 0.01
"""Values of a shape key beyond its range that are seen."""


def check_part(obj: bpy.types.Object) -> None:
    """Check that animation can be put on an object's shape keys or bones.

    Raises:
        BadInputError: it is linked, in Edit Mode, lacks what is mapped, its keys are absolute, or
            drivers control all that could speak.
    """
    check_own(obj)
    if obj.mode == "EDIT":
        raise BadInputError(f"'{obj.name}' is in Edit Mode.", "Leave Edit Mode first.")
    if head_of_rig(obj) is not None:
        check_joints(obj)
        return
    if is_rig(obj):
        _check_bones(obj)
        return
    keys = obj.data.shape_keys
    if keys is None:
        raise BadInputError(f"'{obj.name}' has no shape keys.", "Undo their removal.")
    if is_character(obj):
        check_keys(obj, mapping_of(obj).keys)
    if not keys.use_relative:
        raise BadInputError(
            f"The shape keys of '{obj.name}' are absolute.", "Switch Relative on in Shape Keys."
        )
    if not obj.data.is_editable and obj.override_library is None:
        raise BadInputError(
            f"The mesh of '{obj.name}' is linked from another file.",
            "Make it local, or a library override.",
        )


def check_speaks(obj: bpy.types.Object) -> None:
    """Check that something of a character moves: not all of it is driven.

    Raises:
        BadInputError: drivers control every mapped shape key of every object.
    """
    parts = character_objects(obj)
    meshes = [part for part in parts if part.type == "MESH"]
    if not is_character(obj) or len(meshes) < len(parts):
        return
    driven = [set(driven_keys(part)) for part in meshes]
    mapped = [set(mapping_of(part).keys) for part in meshes]
    if all(names <= known for names, known in zip(mapped, driven, strict=True)):
        driving = [rig for part in meshes for rig in rigs_that_drive(part.data.shape_keys)]
        rigs = list(dict.fromkeys(driving))
        raise BadInputError(
            f"Drivers control all mapped shape keys of '{parts[0].name}'.",
            f"Let {_named(rigs)} speak instead: select {'it' if len(rigs) == 1 else 'them'}, too, "
            "and press Use as Character; or remove the drivers."
            if rigs
            else "Remove the drivers, or let them read bones, transforms or custom properties of "
            "armatures, empties or curves, which can speak.",
        )


def check_keys(obj: bpy.types.Object, names: Sequence[str]) -> None:
    """Check that a mesh has shape keys.

    Raises:
        BadInputError: it lacks some.
    """
    missing = [name for name in names if name not in obj.data.shape_keys.key_blocks]
    if missing:
        raise BadInputError(
            f"'{obj.name}' lacks {len(missing)} of its shape keys: {_listed(missing)}.",
            "Undo their removal or renaming, add the head again, or change the character's table.",
        )


def driven_keys(obj: bpy.types.Object) -> list[str]:
    """The shape keys of a mesh whose values drivers control."""
    keys = obj.data.shape_keys
    animation = keys.animation_data if keys is not None else None
    paths = {driver.data_path for driver in (animation.drivers if animation is not None else ())}
    return [name for name in key_names(obj) if key_path(name) in paths]


def notes_of(obj: bpy.types.Object, channels: AnimatedChannels) -> Iterator[str]:
    """What an artist should know of an object that speaks, a sentence each.

    Args:
        obj: a head, or an object of a character.
        channels: what it animates.
    """
    if channels.driven:
        yield f"Drivers keep control of {_counted(channels.driven)}{_who_could_speak(obj)}."
    if obj.type != "MESH":
        return
    paths = {path for path, _, _ in channels.channels}
    if cut := list(_cut_off(obj, channels)):
        yield f"Cut off by their range, which Shape Keys shows: {_counted(cut)}."
    blocks = [block for block in obj.data.shape_keys.key_blocks if key_path(block.name) in paths]
    if muted := [block.name for block in blocks if block.mute]:
        yield f"Muted, so not seen: {_counted(muted)}."
    if locked := [block.name for block in blocks if block.lock_shape]:
        yield f"Locked, which keeps the shape but not the value: {_counted(locked)}."
    if obj.show_only_shape_key:
        yield f"'{obj.name}' shows its pinned shape key alone: switch Solo Active Shape Key off."
    others = [other for other in bpy.data.objects if other != obj and other.data == obj.data]
    if others:
        yield f"'{others[0].name}' has the same mesh and speaks along."


def _who_could_speak(obj: bpy.types.Object) -> str:
    """Which rig's controls would let driven keys speak."""
    if not is_character(obj) or obj.type != "MESH":
        return ""
    parts = character_objects(obj)
    rigs = [rig for rig in rigs_that_drive(obj.data.shape_keys) if rig not in parts]
    join = "joins" if len(rigs) == 1 else "join"
    return f"; {_named(rigs)} {join} by Add Selected Objects, to move them" if rigs else ""


def _named(rigs: Sequence[bpy.types.Object]) -> str:
    """The first of several objects by name, and how many more there are."""
    more = len(rigs) - 1
    return f"'{rigs[0].name}'" + (f" and {more} other{'s' * (more > 1)}" if more else "")


def _cut_off(obj: bpy.types.Object, channels: AnimatedChannels) -> Iterator[str]:
    """The shape keys that cannot have all their values."""
    blocks = {key_path(block.name): block for block in obj.data.shape_keys.key_blocks}
    for path, _, values in channels.channels:
        block = blocks.get(path)
        if block is not None and (
            values.max(initial=0.0) > block.slider_max + _CUT
            or values.min(initial=0.0) < block.slider_min - _CUT
        ):
            yield block.name


def _check_bones(obj: bpy.types.Object) -> None:
    mapping = bone_mapping_of(obj)
    bones = list(dict.fromkeys([row.bone for row in mapping.rows] + list(mapping.head_shares)))
    missing = [name for name in bones if owner_of(obj, name) is None]
    if missing:
        raise BadInputError(
            f"'{obj.name}' lacks {len(missing)} of its bones: {_listed(missing)}.",
            "Undo their removal or renaming, or change the character's table.",
        )
    turning = {row.bone for row in mapping.rows if row.channel.startswith("rotation")}
    for name in bones:
        if name not in turning | set(mapping.head_shares):
            continue
        if owner_of(obj, name).rotation_mode == AXIS_ANGLE:
            bone = "" if name == OBJECT else f"The bone '{name}' of "
            raise BadInputError(
                f"{bone}'{obj.name}' turns by axis and angle.",
                "Choose Quaternion or an Euler order as its rotation mode.",
            )
    for row in mapping.rows:
        known = property_of(row.channel)
        owner = owner_of(obj, row.bone, known)
        if known and not isinstance(owner.get(known), bool | int | float):
            bone = "" if row.bone == OBJECT else f"The bone '{row.bone}' of "
            raise BadInputError(
                f"{bone}'{obj.name}' has no custom property '{known}' that is a number.",
                "Undo its removal or renaming, or change the character's table.",
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _counted(paths: Sequence[str]) -> str:
    """So many of them, and the first one's name; of a path, what it quotes first."""
    quoted = re.match(r'[\w.]+\["((?:[^"\\]|\\.)*)"\]', paths[0])
    name = bpy.utils.unescape_identifier(quoted[1]) if quoted else paths[0]
    what = "channel" if paths[0].startswith("pose.") else "key"
    plural = "" if len(paths) == 1 else "s"
    return f"{len(paths)} {what}{plural}, such as {name}"
