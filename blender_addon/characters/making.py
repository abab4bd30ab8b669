# SPDX-License-Identifier: GPL-3.0-or-later
"""Making objects the parts of a character: what their shape keys and bones stand for."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import NamedTuple

import bpy

from ...engine.core.errors import BadInputError
from ...engine.motion.characters.blender_bones import propose_armature
from ...engine.motion.characters.bones import BoneRow
from ...engine.motion.characters.conventions import Convention, Proposal, Row, propose
from .driven import controls_that_drive, rows_of_drivers
from .driven_bones import left_to_controls, rows_of_properties, speaks
from .overrides import make_editable
from .properties import CONTROLS, can_speak, character_objects, is_character, is_rig, main_of

DRIVERS = "drivers"
"""Source of rows for what drives shape keys."""


class Table(NamedTuple):
    """What an object's shape keys or bones stand for.

    Attributes:
        source: whose names they follow, or where the table is from.
        rows: of the table.
        speaks: whether the mouth is among them.
    """

    source: str
    rows: Sequence[Row | BoneRow]
    speaks: bool


def key_names(obj: bpy.types.Object) -> list[str]:
    """The shape keys of a mesh, without the basis."""
    keys = obj.data.shape_keys if obj.type == "MESH" else None
    blocks = keys.key_blocks if keys is not None else ()
    return [block.name for block in blocks if block != keys.reference_key]


def names_of(obj: bpy.types.Object) -> list[str]:
    """What the rows of an object can be about: shape keys, or bones."""
    if is_rig(obj):
        return [bone.name for bone in obj.data.bones] if obj.type == "ARMATURE" else []
    return key_names(obj)


def selected_parts(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The selected objects that can speak, the active one first; linked ones are refused.

    Of other objects than meshes and armatures those that drive shape keys.

    Raises:
        BadInputError: one of them is linked from another file without an override.
    """
    chosen = dict.fromkeys((context.object, *context.selected_objects))
    controls = [obj for obj in chosen if obj is not None and obj.type in CONTROLS]
    driving = controls_that_drive() if controls else ()
    parts = [obj for obj in chosen if (obj in driving if obj in controls else can_speak(obj))]
    for obj in parts:
        check_own(obj)
    return parts


def check_own(obj: bpy.types.Object) -> None:
    """Check that an object may be changed in this file.

    Raises:
        BadInputError: it is linked from another.
    """
    if obj.library is not None:
        raise BadInputError(
            f"'{obj.name}' is linked from {bpy.path.basename(obj.library.filepath)}.",
            "Make a library override of it first: Object ▸ Library Override ▸ Make.",
        )


def proposals(objects: Sequence[bpy.types.Object]) -> dict[bpy.types.Object, Table]:
    """What is proposed for each object whose names are known, in their order.

    Meshes with few names, as lashes, follow the convention of the one that has most.
    """
    names = {obj: key_names(obj) for obj in objects if obj.type == "MESH"}
    own = [one for one in map(propose, names.values()) if one is not None]
    face = max(own, key=lambda one: len(one.rows), default=None)
    convention = face.convention if face is not None else None
    found: dict[bpy.types.Object, Table] = {}
    for obj in objects:
        if is_rig(obj):
            table = _table_of_rig(obj, convention)
            if table is not None:
                found[obj] = table
        elif convention is not None:
            proposal = _closest(names[obj], convention)
            if proposal is not None:
                found[obj] = Table(proposal.convention.name, proposal.rows, speaks=True)
    return found


def _closest(names: Sequence[str], convention: Convention) -> Proposal | None:
    """By a face's convention, or by one of their own that more of the names follow."""
    found = [one for one in (propose(names, convention), propose(names)) if one is not None]
    return max(found, key=lambda one: len(one.rows), default=None)


def _table_of_rig(rig: bpy.types.Object, convention: Convention | None) -> Table | None:
    """By the names of its bones, and by the shape keys that it drives."""
    named = propose_armature(rig) if rig.type == "ARMATURE" else None
    rows = named.rows if named is not None else ()
    driving = rows_of_drivers(rig, convention, rows)
    if rig.type == "ARMATURE":
        if not speaks(driving):
            driving = (*driving, *rows_of_properties(rig))
        rows, more = left_to_controls(rig, rows, driving)
        driving = (*driving, *more)
    if not rows and not driving:
        return None
    sources = [named.name] if rows and named is not None else []
    table = (*rows, *driving)
    speaking = bool(driving) or speaks(rows)
    return Table(", ".join([*sources, DRIVERS] if driving else sources), table, speaking)


def make_character(tables: dict[bpy.types.Object, Table]) -> bpy.types.Object:
    """Make objects one character, or add them to that of the first, which keeps its table.

    Returns:
        Its main object.
    """
    first = next(iter(tables))
    main = main_of(first) if is_character(first) else first
    known = main.gaussianspeech_character.id or uuid.uuid4().hex
    for obj, table in tables.items():
        make_editable(obj)
        fill(obj, known, table, main)
    return main


def fill(obj: bpy.types.Object, known: str, table: Table, main: bpy.types.Object) -> None:
    """Make an object a part of a character."""
    character = obj.gaussianspeech_character
    character.id, character.main, character.convention = known, obj == main, table.source
    character.owner = None if obj == main else main
    character.rows.clear()
    character.active_row = 0
    for row in table.rows:
        character.rows.add().write(row)


def forget(obj: bpy.types.Object) -> None:
    """Make the objects of a character ordinary ones again."""
    for part in character_objects(obj):
        part.property_unset("gaussianspeech_character")
