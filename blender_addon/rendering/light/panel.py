# SPDX-License-Identifier: GPL-3.0-or-later
"""*Scene Light*, below the Avatar section of the add-on's tab."""

from __future__ import annotations

import bpy

from ...heads.properties import active_head
from ...panels.section import Section
from ...text import draw_wrapped
from ..compositor import built_view
from ..pass_times import cost
from ..properties import composite_of


class GAUSSIANSPEECH_PT_scene_light(Section, bpy.types.Panel):
    """How the scene lights the head's avatar."""

    bl_idname = "GAUSSIANSPEECH_PT_scene_light"
    bl_label = "Scene Light"
    bl_parent_id = "GAUSSIANSPEECH_PT_avatar"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There is an avatar."""
        head = active_head(context)
        return head is not None and bool(head.gaussianspeech_avatar.source)

    def draw_header(self, context: bpy.types.Context) -> None:
        """Draw the switch."""
        self.layout.prop(active_head(context).gaussianspeech_light, "enabled", text="")

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the amounts."""
        light = active_head(context).gaussianspeech_light
        column = self.layout.column()
        column.use_property_split = True
        column.active = light.enabled
        for name in ("amount", "temperature", "gain", "gamma"):
            column.prop(light, name)
        if light.enabled and built_view(context.scene) is None:
            draw_wrapped(column, context, "Shows in a composite: see Render", icon="INFO")
        if taken := cost(context.scene, composite_of(context.scene).light_scene):
            draw_wrapped(column, context, f"Light: {taken}", icon="TIME")


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PT_scene_light,)
