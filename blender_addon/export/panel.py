# SPDX-License-Identifier: GPL-3.0-or-later
"""The Export section of the add-on's tab."""

from __future__ import annotations

import bpy

from ..panels.section import Section
from ..text import draw_wrapped
from .formats import FORMATS
from .import_ops import GAUSSIANSPEECH_OT_import_motion
from .mesh_files import missing_exporter
from .ops import GAUSSIANSPEECH_OT_export


class GAUSSIANSPEECH_PT_export(Section, bpy.types.Panel):
    """Where the animation goes."""

    bl_idname = "GAUSSIANSPEECH_PT_export"
    bl_label = "Export"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 50

    def draw(self, context: bpy.types.Context) -> None:
        """Draw a button for each format."""
        column = self.layout.column(align=True)
        for kind, known in FORMATS.items():
            row = column.row(align=True)
            missing = missing_exporter(kind)
            row.enabled = not missing
            operator = row.operator(GAUSSIANSPEECH_OT_export.bl_idname, text=f"{known.name}…")
            operator.format = kind
            if missing:
                draw_wrapped(column, context, missing)
        self.layout.operator(GAUSSIANSPEECH_OT_import_motion.bl_idname, text="Import Face Motion…")


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PT_export,)
