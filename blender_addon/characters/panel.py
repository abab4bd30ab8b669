# SPDX-License-Identifier: GPL-3.0-or-later
"""The section *Character*: the artist's own meshes and rigs, and what they stand for."""

from __future__ import annotations

import bpy

from ..panels.section import Section
from ..text import draw_wrapped
from .mapping_ops import (
    GAUSSIANSPEECH_MT_mapping_presets,
    GAUSSIANSPEECH_OT_load_mapping,
    GAUSSIANSPEECH_OT_save_mapping,
)
from .ops import (
    GAUSSIANSPEECH_OT_add_mapping_row,
    GAUSSIANSPEECH_OT_forget_character,
    GAUSSIANSPEECH_OT_propose_mapping,
    GAUSSIANSPEECH_OT_remove_mapping_row,
    GAUSSIANSPEECH_OT_use_character,
)
from .properties import can_speak, character_objects, is_character, is_rig

_MOST = 6
"""Objects that the panel lists."""


class GAUSSIANSPEECH_UL_mapping(bpy.types.UIList):
    """The table of shape keys, or of bones."""

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.PropertyGroup,
        item: bpy.types.PropertyGroup,
        _icon: int,
        _active_data: bpy.types.PropertyGroup,
        _active_property: str,
        _index: int,
    ) -> None:
        """Draw a row: shape key or bone with its channel, and what it shows; it is edited below."""
        is_bone = is_rig(data.id_data)
        if item.name == item.pose:  # In a narrow list neither of two could be read.
            layout.label(text=item.name)
            return
        split = layout.split(factor=0.58 if is_bone else 0.5)
        owner = item.name or data.id_data.name
        split.label(text=f"{owner}  {item.short}" if is_bone else item.name)
        split.label(text=item.pose)


class GAUSSIANSPEECH_PT_character(Section, bpy.types.Panel):
    """Who else can speak."""

    bl_idname = "GAUSSIANSPEECH_PT_character"
    bl_label = "Character"
    bl_order = 0

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown for what can speak and is no head of this add-on."""
        return can_speak(context.object)

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the buttons, or the character and its table."""
        if is_character(context.object):
            _draw_character(self.layout, context)
        else:
            _draw_new(self.layout)


def _draw_new(layout: bpy.types.UILayout) -> None:
    layout.operator(GAUSSIANSPEECH_OT_use_character.bl_idname, icon="COMMUNITY")
    column = layout.column(align=True)
    use = column.operator(GAUSSIANSPEECH_OT_use_character.bl_idname, text="Map by Hand", icon="ADD")
    use.by_hand = True
    row = column.row(align=True)
    row.operator(GAUSSIANSPEECH_OT_load_mapping.bl_idname, text="Load…", icon="FILE")
    row.menu(GAUSSIANSPEECH_MT_mapping_presets.bl_idname, text="", icon="PRESET")


def _draw_character(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    obj = context.object
    character, objects = obj.gaussianspeech_character, character_objects(obj)
    column = layout.column(align=True)
    for part in objects[:_MOST]:
        rows = len(part.gaussianspeech_character.rows)
        source = part.gaussianspeech_character.convention
        text = f"{part.name}: {rows} rows, {source}"
        draw_wrapped(column, context, text, icon=f"OUTLINER_OB_{part.type}")
    if len(objects) > _MOST:
        column.label(text=f"and {len(objects) - _MOST} more objects", icon="BLANK1")
    others = [other for other in context.selected_objects if other not in objects]
    if any(can_speak(other) for other in others):
        layout.operator(
            GAUSSIANSPEECH_OT_use_character.bl_idname, text="Add Selected Objects", icon="ADD"
        )
    draw_wrapped(layout, context, f"What '{obj.name}' shows:")
    row = layout.row()
    row.template_list(
        "GAUSSIANSPEECH_UL_mapping", "", character, "rows", character, "active_row", rows=6
    )
    column = row.column(align=True)
    column.operator(GAUSSIANSPEECH_OT_add_mapping_row.bl_idname, text="", icon="ADD")
    column.operator(GAUSSIANSPEECH_OT_remove_mapping_row.bl_idname, text="", icon="REMOVE")
    column.separator()
    column.operator(GAUSSIANSPEECH_OT_propose_mapping.bl_idname, text="", icon="FILE_REFRESH")
    column.menu(GAUSSIANSPEECH_MT_mapping_presets.bl_idname, text="", icon="PRESET")
    if 0 <= character.active_row < len(character.rows):
        _draw_row(layout, obj, character.rows[character.active_row])
    row = layout.row(align=True)
    row.operator(GAUSSIANSPEECH_OT_load_mapping.bl_idname, text="Load…")
    row.operator(GAUSSIANSPEECH_OT_save_mapping.bl_idname, text="Save…")
    layout.operator(GAUSSIANSPEECH_OT_forget_character.bl_idname, icon="X")


def _draw_row(
    layout: bpy.types.UILayout, obj: bpy.types.Object, row: bpy.types.PropertyGroup
) -> None:
    """The active row, to be edited."""
    column = layout.column(align=True)
    column.use_property_split, column.use_property_decorate = True, False
    if is_rig(obj):
        if obj.type == "ARMATURE":
            column.prop_search(row, "name", obj.data, "bones", text="Bone")
        column.prop(row, "channel")
        if row.is_property:
            column.prop(row, "property_name")
    elif obj.data.shape_keys is not None:
        column.prop_search(row, "name", obj.data.shape_keys, "key_blocks", text="Shape Key")
    column.prop(row, "pose")
    if obj.type == "MESH":
        column.prop(row, "amount")
    else:
        column.prop(row, "angle" if row.is_angle else "value")


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_UL_mapping, GAUSSIANSPEECH_PT_character)
