# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel's first section."""

from __future__ import annotations

import bpy

from ..panels.section import Section
from ..text import draw_wrapped
from .ops import DEFAULT_HEAD, GAUSSIANSPEECH_OT_add_head, GAUSSIANSPEECH_OT_open_head
from .properties import active_head


class GAUSSIANSPEECH_PT_head(Section, bpy.types.Panel):
    """Which head, and how to get one."""

    bl_idname = "GAUSSIANSPEECH_PT_head"
    bl_label = "Head"
    bl_order = 0

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the head's name and the ways to add one."""
        layout = self.layout
        obj = active_head(context)
        column = layout.column(align=True)
        if obj is not None:
            head = obj.gaussianspeech_head
            keys = obj.data.shape_keys
            count = len(keys.key_blocks) - 1 if keys else 0
            column.label(text=obj.name, icon="USER")
            text = f"{head.id}, {count} shape keys"
            draw_wrapped(column, context, text, icon="SHAPEKEY_DATA")
        add = layout.column(align=True)
        operator = add.operator(GAUSSIANSPEECH_OT_add_head.bl_idname, text="Add Head", icon="ADD")
        operator.head = DEFAULT_HEAD
        add.operator(GAUSSIANSPEECH_OT_open_head.bl_idname, text="Add FLAME Head…", icon="FILE")


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PT_head,)
