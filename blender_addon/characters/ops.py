# SPDX-License-Identifier: GPL-3.0-or-later
"""Making the artist's own meshes a character, and editing what their shape keys stand for."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path

import bpy
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ...engine.core.errors import BadInputError
from ...engine.core.files import atomic_write
from ...engine.core.json_values import JsonObject, read_json
from ...engine.motion.characters.conventions import CONVENTIONS, Row, propose
from ...engine.motion.characters.mapping import mapping_of_rows
from ..heads.properties import is_head
from ..status import ReportMixin
from .properties import character_objects, has_shape_keys, is_character

_FORMAT = "gaussianspeech-character-mapping/1"
_REMEDY = "Choose a file that Save Mapping has written."


class GAUSSIANSPEECH_OT_use_character(ReportMixin, bpy.types.Operator):
    """Let the selected meshes speak by the shape keys that they have."""

    bl_idname = "gaussianspeech.use_character"
    bl_label = "Use as Character"
    bl_description = (
        "Let the selected meshes speak together, by the shape keys that they have: face, teeth, "
        "tongue and lashes of one character. What each key shows is proposed by its name"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a mesh that has shape keys and is no head of this add-on."""
        cls.poll_message_set("Select a mesh with shape keys that is no head of this add-on")
        return has_shape_keys(context.object) and not is_head(context.object)

    def run(self, context: bpy.types.Context) -> str:
        """Propose a mapping for each object, and bind them together."""
        main = context.object
        proposal = propose(_keys(main))
        if proposal is None:
            known = ", ".join(known.name for known in CONVENTIONS)
            names = ", ".join(_keys(main)[:4])
            raise BadInputError(
                f"The shape keys of '{main.name}' follow no names that are known: {names} ….",
                f"Known are {known}. Others are mapped by hand with Load Mapping.",
            )
        known = uuid.uuid4().hex
        objects = [main, *(obj for obj in context.selected_objects if obj != main)]
        count = 0
        for obj in objects:
            if not has_shape_keys(obj) or is_head(obj):
                continue
            own = proposal if obj == main else propose(_keys(obj), proposal.convention)
            if own is not None:
                _fill(obj, known, own.convention.name, own.rows, main=obj == main)
                count += 1
        more = f" of {count} objects" if count > 1 else ""
        return (
            f"'{main.name}' is a character{more}: {len(proposal.rows)} shape keys as those of "
            f"{proposal.convention.name}"
        )


class GAUSSIANSPEECH_OT_forget_character(ReportMixin, bpy.types.Operator):
    """Make the character's objects ordinary meshes again; their animation stays."""

    bl_idname = "gaussianspeech.forget_character"
    bl_label = "Forget Character"
    bl_description = "Make the character's objects ordinary meshes again; their animation stays"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With an object of a character."""
        cls.poll_message_set("Select an object of a character")
        return is_character(context.object)

    def run(self, context: bpy.types.Context) -> str:
        """Forget it."""
        name = context.object.name
        for obj in character_objects(context.object):
            obj.property_unset("gaussianspeech_character")
        return f"'{name}' is no character any more"


class GAUSSIANSPEECH_OT_add_mapping_row(ReportMixin, bpy.types.Operator):
    """Map another shape key."""

    bl_idname = "gaussianspeech.add_mapping_row"
    bl_label = "Add Shape Key"
    bl_description = "Map the first shape key that is not in the table"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    def run(self, context: bpy.types.Context) -> str:
        """Add a row."""
        character = _character(context)
        mapped = {row.name for row in character.rows}
        free = [name for name in _keys(context.object) if name not in mapped]
        if not free:
            raise BadInputError("All shape keys are in the table.", "Change their rows.")
        row = character.rows.add()
        row.name, row.pose = free[0], "jawOpen"
        character.active_row = len(character.rows) - 1
        return f"Mapped '{free[0]}'"


class GAUSSIANSPEECH_OT_remove_mapping_row(ReportMixin, bpy.types.Operator):
    """Leave a shape key to the artist."""

    bl_idname = "gaussianspeech.remove_mapping_row"
    bl_label = "Remove Shape Key"
    bl_description = "Take the shape key out of the table: speech leaves it alone"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    def run(self, context: bpy.types.Context) -> str:
        """Remove the active row."""
        character = _character(context)
        if not 0 <= character.active_row < len(character.rows):
            raise BadInputError("No row is selected.", "Click one in the table.")
        name = character.rows[character.active_row].name
        character.rows.remove(character.active_row)
        character.active_row = max(0, character.active_row - 1)
        return f"'{name}' is not mapped"


class GAUSSIANSPEECH_OT_save_mapping(ReportMixin, bpy.types.Operator, ExportHelper):
    """Write the character's mapping to a file."""

    bl_idname = "gaussianspeech.save_mapping"
    bl_label = "Save Mapping…"
    bl_description = "Write what the character's shape keys stand for to a JSON file"
    filename_ext = ".json"

    def run(self, context: bpy.types.Context) -> str:
        """Write it."""
        objects = {
            obj.name: [
                [row.name, row.pose, row.amount] for row in obj.gaussianspeech_character.rows
            ]
            for obj in character_objects(_object(context))
        }
        path = Path(bpy.path.abspath(self.filepath))
        values = {"format": _FORMAT, "main": _object(context).name, "objects": objects}
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(values, indent=1, ensure_ascii=False), "utf-8")
        return f"Saved the mapping as {path}"


class GAUSSIANSPEECH_OT_load_mapping(ReportMixin, bpy.types.Operator, ImportHelper):
    """Let the selected meshes speak as a file says."""

    bl_idname = "gaussianspeech.load_mapping"
    bl_label = "Load Mapping…"
    bl_description = (
        "Let the active mesh, and selected ones of the names in the file, speak as a mapping says "
        "that was saved for this or for such a character"
    )
    bl_options = {"REGISTER", "UNDO"}
    filename_ext = ".json"
    filter_glob: bpy.props.StringProperty(default="*.json", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a mesh that has shape keys and is no head of this add-on."""
        cls.poll_message_set("Select a mesh with shape keys that is no head of this add-on")
        return has_shape_keys(context.object) and not is_head(context.object)

    def run(self, context: bpy.types.Context) -> str:
        """Read it; nothing is changed unless all of it can be used."""
        main = context.object
        tables = _read_mapping(Path(bpy.path.abspath(self.filepath)))
        own = tables.get(main.name) or tables[""]
        chosen = [(main, own)]
        chosen += [
            (obj, tables[obj.name])
            for obj in context.selected_objects
            if obj != main and obj.name in tables and has_shape_keys(obj)
        ]
        kept = []
        for obj, rows in chosen:
            there = [row for row in rows if row.key in _keys(obj)]
            if not there:
                raise BadInputError(
                    f"'{obj.name}' has none of the shape keys in {self.filepath}.",
                    "Choose the mapping of this kind of character.",
                )
            mapping_of_rows(there)
            kept.append((obj, there))
        known = uuid.uuid4().hex
        for obj, rows in kept:
            _fill(obj, known, "mapping file", rows, main=obj == main)
        return f"'{main.name}' is a character: {len(kept[0][1])} shape keys are mapped"


def _read_mapping(path: Path) -> dict[str, list[Row]]:
    """The tables of a file by object; the main object's by the empty name, too.

    Raises:
        BadInputError: not such a file, or damaged.
    """
    values = read_json(path, _REMEDY)
    if values.text("format", None) != _FORMAT:
        raise values.wrong("it is no mapping of a character")
    objects = values.group("objects").values
    tables = {}
    for name, entries in objects.items():
        if not isinstance(entries, list):
            raise values.wrong(f"the table of {name!r} is no list")
        tables[name] = [_row(values, entry) for entry in entries]
    if not tables:
        raise values.wrong("it maps no object")
    tables[""] = tables.get(values.text("main"), next(iter(tables.values())))
    return tables


def _row(values: JsonObject, entry: object) -> Row:
    match entry:
        case [str(key), str(pose), int() | float() as amount]:
            return Row(key, pose, float(amount))
    raise values.wrong(f"{str(entry)[:40]!r} is no [shape key, pose, amount]")


def _keys(obj: bpy.types.Object) -> list[str]:
    keys = obj.data.shape_keys
    return [block.name for block in keys.key_blocks if block != keys.reference_key]


def _fill(
    obj: bpy.types.Object, known: str, convention: str, rows: Sequence[Row], *, main: bool
) -> None:
    character = obj.gaussianspeech_character
    character.id, character.main, character.convention = known, main, convention
    character.rows.clear()
    for row in rows:
        entry = character.rows.add()
        entry.name, entry.pose, entry.amount = row


def _object(context: bpy.types.Context) -> bpy.types.Object:
    if not is_character(context.object):
        raise BadInputError("No character is selected.", "Select an object of one.")
    return context.object


def _character(context: bpy.types.Context) -> bpy.types.PropertyGroup:
    return _object(context).gaussianspeech_character


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_use_character,
    GAUSSIANSPEECH_OT_forget_character,
    GAUSSIANSPEECH_OT_add_mapping_row,
    GAUSSIANSPEECH_OT_remove_mapping_row,
    GAUSSIANSPEECH_OT_save_mapping,
    GAUSSIANSPEECH_OT_load_mapping,
)
