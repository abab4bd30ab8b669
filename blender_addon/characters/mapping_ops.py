# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings of characters as files and as presets, which are such files in the user's folder."""

from __future__ import annotations

import re
from pathlib import Path

import bpy
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ...engine.core.errors import BadInputError
from ...engine.motion.characters.blender_bones import owner_of
from ...engine.motion.characters.bones import OBJECT, BoneRow, mapping_of_bones, property_of
from ...engine.motion.characters.conventions import Row
from ...engine.motion.characters.mapping import mapping_of_rows
from ...engine.motion.characters.mapping_file import MappingTables, read_mapping, save_mapping
from ..engine_link.session import user_folder
from ..status import ReportMixin
from .making import Table, make_character, names_of, selected_parts
from .ops import require_part, why_not
from .polls import OfPart
from .properties import CONTROLS, can_speak, character_objects, is_rig

_UNFIT = re.compile(r'[\\/:*?"<>|\x00-\x1f]')
"""What the name of a file cannot have somewhere."""


def preset_folder() -> Path:
    """Where presets of mappings lie."""
    return user_folder() / "mappings"


def presets() -> list[Path]:
    """The presets, by name."""
    return sorted(preset_folder().glob("*.json"), key=lambda path: path.stem.lower())


class GAUSSIANSPEECH_OT_save_mapping(OfPart, ReportMixin, bpy.types.Operator, ExportHelper):
    """Write the character's mapping to a file."""

    bl_idname = "gaussianspeech.save_mapping"
    bl_label = "Save Mapping"
    bl_description = "Write what the character's shape keys and bones stand for to a JSON file"
    filename_ext = ".json"

    def run(self, context: bpy.types.Context) -> str:
        """Write it."""
        path = Path(bpy.path.abspath(self.filepath))
        _save(context, path)
        return f"Saved the mapping as {path}"


class GAUSSIANSPEECH_OT_load_mapping(ReportMixin, bpy.types.Operator, ImportHelper):
    """Let the selected objects speak as a file says."""

    bl_idname = "gaussianspeech.load_mapping"
    bl_label = "Load Mapping"
    bl_description = (
        "Let the selected meshes and armatures speak as a mapping says that was saved for this or "
        "for such a character"
    )
    bl_options = {"REGISTER", "UNDO"}
    filename_ext = ".json"
    filter_glob: bpy.props.StringProperty(default="*.json", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With an object that can speak and is no head of this add-on."""
        cls.poll_message_set(why_not(context.object))
        return can_speak(context.object)

    def run(self, context: bpy.types.Context) -> str:
        """Read it; nothing is changed unless all of it can be used."""
        path = Path(bpy.path.abspath(self.filepath))
        return _apply(context, path, "mapping file")


class GAUSSIANSPEECH_OT_add_mapping_preset(ReportMixin, bpy.types.Operator):
    """Keep the character's mapping as a preset, or remove a preset."""

    bl_idname = "gaussianspeech.add_mapping_preset"
    bl_label = "Add Mapping Preset"
    bl_description = "Keep what the character's shape keys and bones stand for as a preset"
    bl_options = {"REGISTER"}

    name: bpy.props.StringProperty(name="Name", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With an object of a character."""
        cls.poll_message_set("Select an object of a character")
        return bool(can_speak(context.object) and context.object.gaussianspeech_character.id)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask for its name."""
        self.name = require_part(context).gaussianspeech_character.convention
        return context.window_manager.invoke_props_dialog(self)

    def run(self, context: bpy.types.Context) -> str:
        """Keep it."""
        name = _UNFIT.sub("_", self.name).strip(" .")
        if not name:
            raise BadInputError("The preset has no name.", "Give it one.")
        preset_folder().mkdir(parents=True, exist_ok=True)
        _save(context, preset_folder() / f"{name}.json")
        return f"Kept the mapping as the preset '{name}'"


class GAUSSIANSPEECH_OT_use_mapping_preset(ReportMixin, bpy.types.Operator):
    """Let the selected objects speak as a preset says."""

    bl_idname = "gaussianspeech.use_mapping_preset"
    bl_label = "Use Mapping Preset"
    bl_description = "Let the selected meshes and armatures speak as this preset says"
    bl_options = {"REGISTER", "UNDO"}

    name: bpy.props.StringProperty(name="Name", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With an object that can speak and is no head of this add-on."""
        cls.poll_message_set(why_not(context.object))
        return can_speak(context.object)

    def run(self, context: bpy.types.Context) -> str:
        """Read it; nothing is changed unless all of it can be used."""
        return _apply(context, _preset(self.name), self.name)


class GAUSSIANSPEECH_OT_remove_mapping_preset(ReportMixin, bpy.types.Operator):
    """Remove a preset of a mapping."""

    bl_idname = "gaussianspeech.remove_mapping_preset"
    bl_label = "Remove Mapping Preset"
    bl_description = "Remove this preset's file; characters that were made by it stay as they are"
    bl_options = {"REGISTER"}

    name: bpy.props.StringProperty(name="Name", options={"SKIP_SAVE"})

    def run(self, _context: bpy.types.Context) -> str:
        """Remove it."""
        _preset(self.name).unlink()
        return f"Removed the preset '{self.name}'"


class GAUSSIANSPEECH_MT_mapping_presets(bpy.types.Menu):
    """The presets of mappings."""

    bl_idname = "GAUSSIANSPEECH_MT_mapping_presets"
    bl_label = "Mapping Presets"

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw an entry for each, and below them a way to remove it."""
        layout, found = self.layout, presets()
        for path in found:
            use = layout.operator(GAUSSIANSPEECH_OT_use_mapping_preset.bl_idname, text=path.stem)
            use.name = path.stem
        if not found:
            layout.label(text="No presets yet")
        layout.separator()
        layout.operator(GAUSSIANSPEECH_OT_add_mapping_preset.bl_idname, text="Add…", icon="ADD")
        if found:
            layout.menu(GAUSSIANSPEECH_MT_remove_mapping_preset.bl_idname, icon="REMOVE")


class GAUSSIANSPEECH_MT_remove_mapping_preset(bpy.types.Menu):
    """The presets of mappings, to remove."""

    bl_idname = "GAUSSIANSPEECH_MT_remove_mapping_preset"
    bl_label = "Remove"

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw an entry for each."""
        for path in presets():
            name = GAUSSIANSPEECH_OT_remove_mapping_preset.bl_idname
            self.layout.operator(name, text=path.stem).name = path.stem


def _preset(name: str) -> Path:
    path = preset_folder() / f"{name}.json"
    if path not in presets():
        raise BadInputError(f"There is no preset '{name}'.", "Choose one from the menu.")
    return path


def _save(context: bpy.types.Context, path: Path) -> None:
    objects, bones = {}, {}
    parts = character_objects(require_part(context))
    for obj in parts:
        rows = [row.read() for row in obj.gaussianspeech_character.rows]
        (bones if is_rig(obj) else objects)[obj.name] = rows
    save_mapping(path, parts[0].name, objects, bones)


def _apply(context: bpy.types.Context, path: Path, source: str) -> str:
    """Let the selected objects speak as a file says; nothing changes unless all of it can be used.

    Raises:
        BadInputError: it is no mapping, or none of the active object's.
    """
    tables = read_mapping(path)
    chosen = {}
    for obj in selected_parts(context):
        rows = _table_for(obj, tables)
        if rows:
            (mapping_of_bones if is_rig(obj) else mapping_of_rows)(rows)
            chosen[obj] = Table(source, rows, speaks=True)
        elif obj == context.object:
            kind = "channels" if is_rig(obj) else "shape keys"
            raise BadInputError(
                f"'{obj.name}' has none of the {kind} in {path}.",
                "Choose the mapping of this kind of character.",
            )
    main = make_character(chosen)
    count = sum(len(table.rows) for table in chosen.values())
    more = f" of {len(chosen)} objects" if len(chosen) > 1 else ""
    return f"'{main.name}' is a character{more}: {count} rows are mapped"


def _table_for(obj: bpy.types.Object, tables: MappingTables) -> list[Row] | list[BoneRow]:
    """The rows of an object: of the table of its name, or else of the one that fits best."""
    known = tables.bones if is_rig(obj) else tables.objects
    names = set(names_of(obj))
    fitting = {
        name: [row for row in rows if row[0] in names or _is_of_object(obj, row)]
        for name, rows in known.items()
    }
    named = fitting.get(obj.name)
    return named or max(fitting.values(), key=len, default=[])


def _is_of_object(obj: bpy.types.Object, row: Row | BoneRow) -> bool:
    """Whether a row is about a custom property that the object itself has, or its transform."""
    if not isinstance(row, BoneRow) or row.bone != OBJECT:
        return False
    name = property_of(row.channel)
    return name in owner_of(obj, OBJECT, name) if name else obj.type in CONTROLS


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_save_mapping,
    GAUSSIANSPEECH_OT_load_mapping,
    GAUSSIANSPEECH_OT_add_mapping_preset,
    GAUSSIANSPEECH_OT_use_mapping_preset,
    GAUSSIANSPEECH_OT_remove_mapping_preset,
    GAUSSIANSPEECH_MT_mapping_presets,
    GAUSSIANSPEECH_MT_remove_mapping_preset,
)
