# SPDX-License-Identifier: GPL-3.0-or-later
"""The last section of the tab: documentation, and the doctor with a report to copy."""

from __future__ import annotations

import bpy

from ..setup.panel import draw_help
from .section import Section


class GAUSSIANSPEECH_PT_help(Section, bpy.types.Panel):
    """Documentation, the doctor, and a report of what this computer can do."""

    bl_idname = "GAUSSIANSPEECH_PT_help"
    bl_label = "Help"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 100

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the section."""
        draw_help(self.layout, context)
