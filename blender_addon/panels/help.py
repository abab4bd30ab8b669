# SPDX-License-Identifier: GPL-3.0-or-later
"""The last section of the tab: documentation, and the doctor with a report to copy."""

from __future__ import annotations

import bpy

from ..setup.panel import draw_help
from .main import GAUSSIANSPEECH_PT_main


class GAUSSIANSPEECH_PT_help(bpy.types.Panel):
    """Documentation, the doctor, and a report of what this computer can do."""

    bl_idname = "GAUSSIANSPEECH_PT_help"
    bl_label = "Help"
    bl_category = GAUSSIANSPEECH_PT_main.bl_category
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_parent_id = GAUSSIANSPEECH_PT_main.bl_idname
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 100

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the section."""
        draw_help(self.layout, context)
