# SPDX-License-Identifier: GPL-3.0-or-later
"""How a set-up and the doctor's findings look, in the sidebar and in the preferences."""

from __future__ import annotations

import bpy

from ...engine.core.diagnosis import LEVELS
from ..engine_link.session import environment_folder
from ..settings import get_preferences
from ..text import BOX, draw_wrapped
from . import report, session
from .environment import read_record
from .ops import (
    GAUSSIANSPEECH_OT_cancel_set_up,
    GAUSSIANSPEECH_OT_copy_install_command,
    GAUSSIANSPEECH_OT_copy_report,
    GAUSSIANSPEECH_OT_doctor,
    GAUSSIANSPEECH_OT_open_documentation,
    GAUSSIANSPEECH_OT_open_set_up_log,
    GAUSSIANSPEECH_OT_remove_engine,
    GAUSSIANSPEECH_OT_report_problem,
    GAUSSIANSPEECH_OT_set_up_engine,
)

_ICONS = {"ok": "CHECKMARK", "warning": "ERROR", "error": "CANCEL"}


def draw_set_up(layout: bpy.types.UILayout, context: bpy.types.Context) -> bool:
    """Draw what to do where there is no engine, or how far its set-up is; whether it was drawn."""
    future = session.under_way()
    if future is not None:
        fraction, message = future.poll()
        column = layout.column(align=True)
        column.progress(factor=fraction, text=message)
        row = column.row(align=True)
        row.operator(GAUSSIANSPEECH_OT_cancel_set_up.bl_idname, text="Cancel", icon="X")
        row.operator(GAUSSIANSPEECH_OT_open_set_up_log.bl_idname, text="Log", icon="TEXT")
        return True
    if not session.needed(context):
        return False
    box = layout.box()
    draw_wrapped(box, context, "The engine is not set up yet.", icon="INFO", beside=BOX)
    if not bpy.app.online_access:
        system = context.preferences.system
        if hasattr(system, "use_online_access"):
            box.prop(system, "use_online_access")
    row = box.row()
    row.scale_y = 1.4
    row.operator_context = "INVOKE_DEFAULT"
    row.operator(GAUSSIANSPEECH_OT_set_up_engine.bl_idname, icon="IMPORT")
    return True


def draw_preferences(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draw the set-up, and the doctor with its findings."""
    box = layout.box()
    if not draw_set_up(box, context):
        record = read_record(environment_folder())
        preferences = get_preferences(context)
        named = preferences.engine_command.strip() or preferences.engine_python
        if record is not None and not named:
            state = "needs an update" if record.outdated else "is set up"
            box.label(
                text=f"The engine {state} (torch for {record.build.upper()}).", icon="CHECKMARK"
            )
        row = box.row(align=True)
        row.operator_context = "INVOKE_DEFAULT"
        row.operator(GAUSSIANSPEECH_OT_set_up_engine.bl_idname, icon="IMPORT")
        row.operator(GAUSSIANSPEECH_OT_remove_engine.bl_idname, icon="TRASH")
        row.operator(GAUSSIANSPEECH_OT_open_set_up_log.bl_idname, icon="TEXT")
        row.operator(GAUSSIANSPEECH_OT_copy_install_command.bl_idname, icon="COPYDOWN")
    draw_doctor(layout.box(), context)


def draw_doctor(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draw the doctor's operators and findings, what is wrong first."""
    buttons = layout.column(align=True)
    buttons.operator_context = "INVOKE_DEFAULT"
    buttons.operator(GAUSSIANSPEECH_OT_doctor.bl_idname, text="Doctor", icon="HEART")
    buttons.operator(GAUSSIANSPEECH_OT_copy_report.bl_idname, icon="COPYDOWN")
    column = layout.column(align=True)
    for check in sorted(report.findings(), key=lambda check: -LEVELS.index(check.level)):
        text = f"{check.name}: {check.text}"
        draw_wrapped(column, context, text, icon=_ICONS[check.level], beside=BOX)
        if check.remedy:
            draw_wrapped(column, context, check.remedy, icon="BLANK1", beside=BOX)


def draw_help(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draw the section *Help*."""
    layout.operator(
        GAUSSIANSPEECH_OT_open_documentation.bl_idname, text="Documentation", icon="HELP"
    )
    layout.operator(GAUSSIANSPEECH_OT_report_problem.bl_idname, icon="URL")
    draw_doctor(layout, context)
