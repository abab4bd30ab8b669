# SPDX-License-Identifier: GPL-3.0-or-later
"""The section *Character*: the artist's own meshes, and what their shape keys stand for."""

from __future__ import annotations

import bpy

from ..heads.properties import is_head
from ..panels import CATEGORY, PARENT_ID
from .ops import (
    GAUSSIANSPEECH_OT_add_mapping_row,
    GAUSSIANSPEECH_OT_forget_character,
    GAUSSIANSPEECH_OT_load_mapping,
    GAUSSIANSPEECH_OT_remove_mapping_row,
    GAUSSIANSPEECH_OT_save_mapping,
    GAUSSIANSPEECH_OT_use_character,
)
from .properties import character_objects, has_shape_keys, is_character


class GAUSSIANSPEECH_UL_mapping(bpy.types.UIList):
    """The table of shape keys."""

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
        """Draw a row: key, pose, amount."""
        row = layout.row(align=True)
        keys = data.id_data.data.shape_keys
        if keys is not None:
            row.prop_search(item, "name", keys, "key_blocks", text="", icon="SHAPEKEY_DATA")
        row.prop(item, "pose", text="")
        row.prop(item, "amount", text="")


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
        """Shown for meshes with shape keys that are no heads of this add-on."""
        return has_shape_keys(context.object) and not is_head(context.object)

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the button, or the character and its table."""
        layout, obj = self.layout, context.object
        if not is_character(obj):
            layout.operator(GAUSSIANSPEECH_OT_use_character.bl_idname, icon="COMMUNITY")
            layout.operator(GAUSSIANSPEECH_OT_load_mapping.bl_idname, icon="FILE")
            return
        character = obj.gaussianspeech_character
        objects = character_objects(obj)
        column = layout.column(align=True)
        column.label(text=objects[0].name, icon="COMMUNITY")
        more = f"{len(objects)} objects, " if len(objects) > 1 else ""
        column.label(text=f"{more}{character.convention} shapes", icon="SHAPEKEY_DATA")
        layout.template_list(
            "GAUSSIANSPEECH_UL_mapping", "", character, "rows", character, "active_row", rows=4
        )
        row = layout.row(align=True)
        row.operator(GAUSSIANSPEECH_OT_add_mapping_row.bl_idname, text="", icon="ADD")
        row.operator(GAUSSIANSPEECH_OT_remove_mapping_row.bl_idname, text="", icon="REMOVE")
        row.separator()
        row.operator(GAUSSIANSPEECH_OT_load_mapping.bl_idname, text="Load…")
        row.operator(GAUSSIANSPEECH_OT_save_mapping.bl_idname, text="Save…")
        row.operator(GAUSSIANSPEECH_OT_forget_character.bl_idname, text="", icon="X")


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_UL_mapping, GAUSSIANSPEECH_PT_character)
