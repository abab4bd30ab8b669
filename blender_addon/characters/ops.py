# SPDX-License-Identifier: GPL-3.0-or-later
"""Making the artist's own meshes and rigs a character, and editing what they stand for."""

from __future__ import annotations

import bpy

from ...engine.core.errors import BadInputError
from ...engine.motion.characters.bones import OBJECT, REST, BoneRow
from ...engine.motion.characters.conventions import CONVENTIONS, Row
from ..status import ReportMixin
from .making import (
    Table,
    forget,
    make_character,
    names_of,
    proposals,
    selected_parts,
)
from .polls import OfPart
from .properties import CONTROLS, can_speak, character_objects, is_character, is_rig, main_of


def why_not(obj: bpy.types.Object | None) -> str:
    """What to select instead of an object that cannot speak."""
    if obj is not None and obj.instance_collection is not None:
        return (
            f"'{obj.name}' is an instance: make a library override of it (Object > Library "
            "Override > Make), or make it real"
        )
    return "Select an armature, or a mesh with shape keys that is no head of this add-on"


class GAUSSIANSPEECH_OT_use_character(ReportMixin, bpy.types.Operator):
    """Let the selected meshes and rigs speak by the shape keys and bones that they have."""

    bl_idname = "gaussianspeech.use_character"
    bl_label = "Use as Character"
    bl_description = (
        "Let the selected meshes and armatures speak together, by the shape keys and bones that "
        "they have: face, teeth, tongue, lashes and rig of one character. What each shows is "
        "proposed by its name. With a character active, the other selected objects join it"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With an object that can speak and is no head of this add-on."""
        cls.poll_message_set(why_not(context.object))
        return can_speak(context.object)

    by_hand: bpy.props.BoolProperty(
        name="By Hand",
        description="Begin with empty tables, whatever the names are",
        options={"SKIP_SAVE"},
    )

    def run(self, context: bpy.types.Context) -> str:
        """Propose a mapping for each object, and bind them together."""
        objects = selected_parts(context)
        active = objects[0]
        if self.by_hand:
            found = {obj: Table("own table", (), speaks=True) for obj in objects}
        else:
            found = proposals(objects)
        if is_character(active):
            return _join(active, found)
        if not any(table.speaks for table in found.values()):
            raise _unknown(active)
        speaking = [obj for obj in found if found[obj].speaks]
        main = active if active in speaking else speaking[0]
        made = make_character({main: found.pop(main), **found})
        more = len(character_objects(made))
        of = f" of {more} objects" if more > 1 else ""
        left_out = [obj.name for obj in objects if not is_character(obj)]
        note = f"; the names of '{left_out[0]}' are not known" if left_out else ""
        return f"'{made.name}' is a character{of}: {_counted(made)}{note}"


class GAUSSIANSPEECH_OT_forget_character(OfPart, ReportMixin, bpy.types.Operator):
    """Make the character's objects ordinary ones again; their animation stays."""

    bl_idname = "gaussianspeech.forget_character"
    bl_label = "Forget Character"
    bl_description = "Make the character's objects ordinary ones again; their animation stays"
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: bpy.types.Context) -> str:
        """Forget it."""
        name = main_of(context.object).name
        forget(context.object)
        return f"'{name}' is no character any more"


class GAUSSIANSPEECH_OT_add_mapping_row(OfPart, ReportMixin, bpy.types.Operator):
    """Map another shape key or bone."""

    bl_idname = "gaussianspeech.add_mapping_row"
    bl_label = "Add Mapping Row"
    bl_description = "Map the first shape key that is not in the table, or the active bone"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    def run(self, context: bpy.types.Context) -> str:
        """Add a row."""
        obj = require_part(context)
        character = obj.gaussianspeech_character
        if obj.type in CONTROLS:
            name, row = obj.name, BoneRow(OBJECT, "location x", "jawOpen", obj.location.x + 0.1)
            character.rows.add().write(row._replace(pose=REST, value=obj.location.x))
        elif obj.type == "ARMATURE":
            active = obj.data.bones.active
            name = active.name if active is not None else names_of(obj)[0]
            row = BoneRow(name, "rotation x", "jawOpen", 0.35)
        else:
            mapped = {row.name for row in character.rows}
            free = [name for name in names_of(obj) if name not in mapped]
            if not free:
                raise BadInputError("All shape keys are in the table.", "Change their rows.")
            name, row = free[0], Row(free[0], "jawOpen")
        character.rows.add().write(row)
        character.active_row = len(character.rows) - 1
        return f"Mapped '{name}'"


class GAUSSIANSPEECH_OT_remove_mapping_row(OfPart, ReportMixin, bpy.types.Operator):
    """Leave a shape key or a channel of a bone to the artist."""

    bl_idname = "gaussianspeech.remove_mapping_row"
    bl_label = "Remove Mapping Row"
    bl_description = "Take the row out of the table: speech leaves the key or the bone alone"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    def run(self, context: bpy.types.Context) -> str:
        """Remove the active row."""
        character = require_part(context).gaussianspeech_character
        if not 0 <= character.active_row < len(character.rows):
            raise BadInputError("No row is selected.", "Click one in the table.")
        name = character.rows[character.active_row].name
        character.rows.remove(character.active_row)
        character.active_row = max(0, character.active_row - 1)
        return f"'{name}' is not mapped"


class GAUSSIANSPEECH_OT_propose_mapping(OfPart, ReportMixin, bpy.types.Operator):
    """Make the table of the active object anew from its names."""

    bl_idname = "gaussianspeech.propose_mapping"
    bl_label = "Propose Mapping Again"
    bl_description = "Make the table of the active object anew from the names of its keys or bones"
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: bpy.types.Context) -> str:
        """Propose."""
        obj = context.object
        found = proposals([obj])
        if obj not in found:
            raise _unknown(obj)
        make_character(found)
        return f"'{obj.name}': {_counted(obj)} are mapped"


def require_part(context: bpy.types.Context) -> bpy.types.Object:
    """The active object of a character.

    Raises:
        BadInputError: there is none.
    """
    if not is_character(context.object):
        raise BadInputError("No character is selected.", "Select an object of one.")
    return context.object


def _join(active: bpy.types.Object, found: dict[bpy.types.Object, Table]) -> str:
    """Add to the active object's character what is not a part of it yet."""
    main, parts = main_of(active), character_objects(active)
    new = {obj: table for obj, table in found.items() if obj not in parts}
    if not new:
        raise BadInputError(
            f"'{active.name}' is a character already, and nothing that could join it is selected.",
            "Select its other objects, too; or press Propose Again to make its table anew.",
        )
    own = Table(main.gaussianspeech_character.convention, _rows(main), speaks=True)
    make_character({main: own, **new})
    names = ", ".join(f"'{obj.name}'" for obj in new)
    return f"{names} joined the character '{main.name}'"


def _rows(obj: bpy.types.Object) -> list[Row | BoneRow]:
    return [row.read() for row in obj.gaussianspeech_character.rows]


def _counted(obj: bpy.types.Object) -> str:
    character = obj.gaussianspeech_character
    rows, source = len(character.rows), character.convention
    if is_rig(obj):
        return f"{rows} rows of its rig, by {source}"
    return f"{rows} shape keys as those of {source}"


def _unknown(obj: bpy.types.Object) -> BadInputError:
    known = ", ".join(known.name for known in CONVENTIONS)
    names = ", ".join(names_of(obj)[:4]) + " …" * (len(names_of(obj)) > 4)
    if obj.type == "ARMATURE":
        return BadInputError(
            f"The bones of '{obj.name}' follow no names of a face that are known: {names}.",
            "Known are Rigify's rigs once they are generated, MakeHuman's, and bones of the usual "
            "names for jaw, lips and eyes. Press Map by Hand for others, or load a mapping.",
        )
    return BadInputError(
        f"The shape keys of '{obj.name}' follow no names that are known: {names}.",
        f"Known are {known}. Press Map by Hand for others, or load a mapping.",
    )


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_use_character,
    GAUSSIANSPEECH_OT_forget_character,
    GAUSSIANSPEECH_OT_add_mapping_row,
    GAUSSIANSPEECH_OT_remove_mapping_row,
    GAUSSIANSPEECH_OT_propose_mapping,
)
