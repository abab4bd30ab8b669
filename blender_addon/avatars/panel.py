# SPDX-License-Identifier: GPL-3.0-or-later
"""The Avatar section of the add-on's tab."""

from __future__ import annotations

import bpy

from ..heads.properties import active_head
from ..panels.section import Section
from .ops import (
    GAUSSIANSPEECH_OT_bind_avatar,
    GAUSSIANSPEECH_OT_open_avatar,
    GAUSSIANSPEECH_OT_unbind_avatar,
)
from .properties import DEFAULT_AVATAR, shown_name
from .saving import GAUSSIANSPEECH_OT_save_avatar


class GAUSSIANSPEECH_PT_avatar(Section, bpy.types.Panel):
    """The avatar that is bound to the head."""

    bl_idname = "GAUSSIANSPEECH_PT_avatar"
    bl_label = "Avatar"
    bl_order = 30

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the avatar's name and size and the ways to choose one."""
        layout = self.layout
        head = active_head(context)
        if head is None:
            layout.label(text="Select a head", icon="INFO")
            return
        avatar = head.gaussianspeech_avatar
        if avatar.source:
            name = shown_name(avatar.source)
            row = layout.row(align=True)
            row.prop(avatar, "enabled", text=name)
            row.operator(GAUSSIANSPEECH_OT_unbind_avatar.bl_idname, text="", icon="X")
            row = layout.row()
            row.enabled = avatar.enabled
            row.prop(avatar, "in_viewport")
            if avatar.gaussians:
                layout.label(text=f"{avatar.gaussians:,} Gaussians", icon="POINTCLOUD_DATA")
        column = layout.column(align=True)
        if avatar.source != DEFAULT_AVATAR:
            operator = column.operator(
                GAUSSIANSPEECH_OT_bind_avatar.bl_idname, text="Use Default Avatar", icon="USER"
            )
            operator.avatar = DEFAULT_AVATAR
        column.operator(
            GAUSSIANSPEECH_OT_open_avatar.bl_idname, text="Open Avatar…", icon="FILE_FOLDER"
        )
        column.operator(
            GAUSSIANSPEECH_OT_save_avatar.bl_idname, text="Save Avatar…", icon="FILE_TICK"
        )


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PT_avatar,)
