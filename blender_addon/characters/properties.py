# SPDX-License-Identifier: GPL-3.0-or-later
"""What an object knows of the character it belongs to, and who speaks: a head or a character."""

from __future__ import annotations

import bpy

from ...engine.core.errors import BadInputError
from ...engine.motion.characters.conventions import Row
from ...engine.motion.characters.mapping import CharacterMapping, mapping_of_rows
from ...engine.motion.characters.poses import pose_names
from ..heads.properties import check_vertex_count, is_head


def _poses(_self: object, _context: bpy.types.Context, text: str) -> list[str]:
    return [name for name in pose_names() if text.lower() in name.lower()]


class GAUSSIANSPEECH_PG_mapping_row(bpy.types.PropertyGroup):
    """One shape key and what it stands for; ``name`` is the shape key's."""

    pose: bpy.props.StringProperty(
        name="Shows",
        description="The ARKit expression or the viseme that this shape key shows",
        search=_poses,
    )
    amount: bpy.props.FloatProperty(
        name="At",
        description="Value of the shape key at which it shows that",
        default=1.0,
        min=0.05,
        max=10.0,
    )


class GAUSSIANSPEECH_PG_character(bpy.types.PropertyGroup):
    """The character that a mesh object is a part of; empty on other objects."""

    id: bpy.props.StringProperty(name="Character", description="Shared by all its objects")
    main: bpy.props.BoolProperty(
        name="Main", description="The object that holds the settings of the character's speech"
    )
    convention: bpy.props.StringProperty(
        name="Shapes", description="Whose names its shape keys follow"
    )
    rows: bpy.props.CollectionProperty(type=GAUSSIANSPEECH_PG_mapping_row)
    active_row: bpy.props.IntProperty(name="Row", options={"SKIP_SAVE"})


def is_character(obj: bpy.types.Object | None) -> bool:
    """Whether an object is part of a character."""
    return obj is not None and obj.type == "MESH" and bool(obj.gaussianspeech_character.id)


def has_shape_keys(obj: bpy.types.Object | None) -> bool:
    """Whether an object is a mesh with shape keys beside its basis."""
    keys = obj.data.shape_keys if obj is not None and obj.type == "MESH" else None
    return keys is not None and len(keys.key_blocks) > 1


def character_objects(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """All objects of a character, the main one first; of a head, the head."""
    if not is_character(obj):
        return [obj]
    known = obj.gaussianspeech_character.id
    found = [other for other in bpy.data.objects if is_character(other)]
    found = [other for other in found if other.gaussianspeech_character.id == known]
    return sorted(found, key=lambda other: (not other.gaussianspeech_character.main, other.name))


def mapping_of(obj: bpy.types.Object) -> CharacterMapping | None:
    """What an object's shape keys stand for; ``None`` for heads, whose keys are the engine's own.

    Raises:
        BadInputError: the table cannot be used.
    """
    if not is_character(obj):
        return None
    rows = [Row(row.name, row.pose, row.amount) for row in obj.gaussianspeech_character.rows]
    return mapping_of_rows(rows)


def active_speaker(context: bpy.types.Context) -> bpy.types.Object | None:
    """Who the panel is about: the active head or character, or else the scene's only one.

    ``None`` where something else with shape keys is active: speech must not land on another.
    """
    obj = context.object
    if is_head(obj):
        return obj
    if is_character(obj):
        return character_objects(obj)[0]
    if has_shape_keys(obj):
        return None
    speakers = [
        other
        for other in context.scene.objects
        if is_head(other) or (is_character(other) and other.gaussianspeech_character.main)
    ]
    return speakers[0] if len(speakers) == 1 else None


def require_speaker(context: bpy.types.Context) -> bpy.types.Object:
    """Who the panel is about; a head is checked to be as it was made.

    Raises:
        BadInputError: there is none, or a head's vertices are not its own.
    """
    obj = active_speaker(context)
    if obj is None:
        if has_shape_keys(context.object):
            raise BadInputError(
                f"'{context.object.name}' is no character yet.", "Press Use as Character first."
            )
        raise BadInputError(
            "No head or character is selected.", "Select one, or add a head with Add Head."
        )
    if is_head(obj):
        check_vertex_count(obj)
    return obj


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_mapping_row, GAUSSIANSPEECH_PG_character)


def register() -> None:
    """Attach the character to objects."""
    bpy.types.Object.gaussianspeech_character = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_character
    )


def unregister() -> None:
    """Detach it."""
    del bpy.types.Object.gaussianspeech_character
