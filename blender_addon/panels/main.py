# SPDX-License-Identifier: GPL-3.0-or-later
"""The parent panel: status, progress and errors with their remedy, above the sections."""

from __future__ import annotations

import bpy

from ..engine_link import background
from ..engine_link.ops import GAUSSIANSPEECH_OT_open_log
from ..engine_link.tasks import GAUSSIANSPEECH_OT_cancel
from ..setup.ops import GAUSSIANSPEECH_OT_open_set_up_log
from ..setup.panel import draw_set_up
from ..status import GAUSSIANSPEECH_OT_dismiss, get_status, shown_result, shows_error
from ..text import BOX, ICON, draw_wrapped, wrapped

_LOGS = {"ENGINE": GAUSSIANSPEECH_OT_open_log, "SET_UP": GAUSSIANSPEECH_OT_open_set_up_log}
"""What opens the log of an error."""
_ROWS = 2
"""Rows of the status where it is short."""
_DISMISS = BOX + 28.0
"""Units of the width that the frame of an error and the button beside it take."""


class GAUSSIANSPEECH_PT_main(bpy.types.Panel):
    """The tab: what is done, how far it is, and errors with their remedy."""

    bl_idname = "GAUSSIANSPEECH_PT_main"
    bl_label = "GaussianSpeech"
    bl_category = "GaussianSpeech"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the status: two rows in any case, so that no button moves under the mouse."""
        status = get_status(context)
        layout = self.layout
        if draw_set_up(layout, context) and not shows_error(context):
            return
        work = background.shown()
        if status.busy:
            _draw_progress(layout, status.fraction, status.step or status.task)
        elif work is not None:
            _draw_progress(layout, *work.poll())
        elif shows_error(context):
            box = layout.box()
            row = box.row()
            column = row.column()
            column.alert = True
            draw_wrapped(column, context, status.message, icon="ERROR", beside=_DISMISS)
            row.operator(GAUSSIANSPEECH_OT_dismiss.bl_idname, text="", icon="X", emboss=False)
            draw_wrapped(box, context, status.hint, beside=BOX)
            opens = _LOGS.get(status.log)
            if opens is not None and opens.poll(context):  # Else there is no such log.
                box.operator(opens.bl_idname, text="Open Log", icon="TEXT")
        else:
            lines = wrapped(context, shown_result(context) or "Ready", ICON)
            rows = [(text, "BLANK1" if row else "INFO") for row, text in enumerate(lines)]
            rows += [(f"{label}…", "TIME") for label in background.running_tasks()]
            column = layout.column(align=True)
            for text, icon in rows + [("", "NONE")] * (_ROWS - len(rows)):
                column.label(text=text, icon=icon)


def _draw_progress(layout: bpy.types.UILayout, fraction: float, text: str) -> None:
    """Draw how far some work is, and the button that cancels it."""
    column = layout.column(align=True)
    column.progress(factor=fraction, text=text[:1].upper() + text[1:])
    column.operator(GAUSSIANSPEECH_OT_cancel.bl_idname, text="Cancel", icon="X")
