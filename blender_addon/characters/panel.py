# SPDX-License-Identifier: GPL-3.0-or-later
"""The section *Character*: the artist's own meshes and rigs, and what they stand for."""

from __future__ import annotations

import bpy

from ..panels import CATEGORY, PARENT_ID
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
from .properties import can_speak, character_objects, is_character


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
        """Draw a row: key, pose and amount; or bone, channel, pose and value."""
        obj = data.id_data
        row = layout.row(align=True)
        if obj.type == "ARMATURE":
            row.prop_search(item, "name", obj.data, "bones", text="")
            row.prop(item, "channel", text="")
        elif obj.data.shape_keys is not None:
            keys = obj.data.shape_keys
            row.prop_search(item, "name", keys, "key_blocks", text="", icon="SHAPEKEY_DATA")
        row.prop(item, "pose", text="")
        if obj.type == "MESH":
            row.prop(item, "amount", text="")
        else:
            row.prop(item, "angle" if item.is_angle else "value", text="")


class GAUSSIANSPEECH_PT_character(bpy.types.Panel):
    """Who else can speak."""

    bl_idname = "GAUSSIANSPEECH_PT_character"
    bl_parent_id = PARENT_ID
    bl_label = "Character"
    bl_category = CATEGORY
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
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
    row = layout.row(align=True)
    use = row.operator(GAUSSIANSPEECH_OT_use_character.bl_idname, text="Map by Hand")
    use.by_hand = True
    row.operator(GAUSSIANSPEECH_OT_load_mapping.bl_idname, text="Load…", icon="FILE")
    row.menu(GAUSSIANSPEECH_MT_mapping_presets.bl_idname, text="", icon="PRESET")


def _draw_character(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    obj = context.object
    character, objects = obj.gaussianspeech_character, character_objects(obj)
    column = layout.column(align=True)
    column.label(text=objects[0].name, icon="COMMUNITY")
    more = f"{len(objects)} objects" if len(objects) > 1 else "1 object"
    column.label(text=f"{more}, {character.convention}", icon="OUTLINER_OB_GROUP_INSTANCE")
    others = [other for other in context.selected_objects if other not in objects]
    if any(can_speak(other) for other in others):
        layout.operator(
            GAUSSIANSPEECH_OT_use_character.bl_idname, text="Add Selected Objects", icon="ADD"
        )
    icon = "BONE_DATA" if obj.type == "ARMATURE" else "SHAPEKEY_DATA"
    layout.label(text=f"Mapping of '{obj.name}'", icon=icon)
    row = layout.row()
    row.template_list(
        "GAUSSIANSPEECH_UL_mapping", "", character, "rows", character, "active_row", rows=5
    )
    column = row.column(align=True)
    column.operator(GAUSSIANSPEECH_OT_add_mapping_row.bl_idname, text="", icon="ADD")
    column.operator(GAUSSIANSPEECH_OT_remove_mapping_row.bl_idname, text="", icon="REMOVE")
    column.separator()
    column.operator(GAUSSIANSPEECH_OT_propose_mapping.bl_idname, text="", icon="FILE_REFRESH")
    if obj.type == "ARMATURE":
        _draw_property(layout, character)
    row = layout.row(align=True)
    row.menu(GAUSSIANSPEECH_MT_mapping_presets.bl_idname, text="Presets", icon="PRESET")
    row.operator(GAUSSIANSPEECH_OT_load_mapping.bl_idname, text="Load…")
    row.operator(GAUSSIANSPEECH_OT_save_mapping.bl_idname, text="Save…")
    layout.operator(GAUSSIANSPEECH_OT_forget_character.bl_idname, icon="X")


def _draw_property(layout: bpy.types.UILayout, character: bpy.types.PropertyGroup) -> None:
    """The name of the custom property of the active row, for which the list has no room."""
    if 0 <= character.active_row < len(character.rows):
        row = character.rows[character.active_row]
        if row.is_property:
            layout.prop(row, "property_name")


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_UL_mapping, GAUSSIANSPEECH_PT_character)
