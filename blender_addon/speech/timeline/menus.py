# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline in menus and panels: of the sequencer, of markers, and beside the line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy

from ....engine.motion.spans import HOLD_CLOSED
from ...characters.properties import active_speaker
from ...panels.section import Section
from ...status import get_status, shown_result, shows_error
from ...text import draw_wrapped
from ..lines import active_line
from ..ops import GAUSSIANSPEECH_OT_import_sound
from . import ops
from .kept import is_timed
from .ops import timeline_line


class GAUSSIANSPEECH_PT_timeline(Section, bpy.types.Panel):
    """Words, phones and spans of the line, beside its sound."""

    bl_idname = "GAUSSIANSPEECH_PT_timeline"
    bl_parent_id = "GAUSSIANSPEECH_PT_speech"
    bl_label = "Timeline"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown for a line."""
        obj = active_speaker(context)
        return obj is not None and active_line(obj) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the buttons and the spans."""
        _draw_timeline(self.layout, context)


class GAUSSIANSPEECH_PT_timeline_sequencer(bpy.types.Panel):
    """The same in the sequencer's sidebar."""

    bl_idname = "GAUSSIANSPEECH_PT_timeline_sequencer"
    bl_label = "GaussianSpeech"
    bl_category = Section.bl_category
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the buttons, and the status, which is not in sight here."""
        layout = self.layout
        status = get_status(context)
        if status.busy:
            text = f"{status.task}: {round(100 * status.fraction)} %"
            draw_wrapped(layout, context, text, icon="SORTTIME")
        elif shows_error(context) or shown_result(context):
            icon = "ERROR" if status.is_error else "INFO"
            draw_wrapped(layout, context, status.message, icon=icon)
        layout.operator(ops.GAUSSIANSPEECH_OT_speak_strip.bl_idname, icon="PLAY_SOUND")
        if timeline_line(context) is not None:
            _draw_timeline(layout, context)


def _draw_timeline(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    line = timeline_line(context)
    layout.use_property_split = True
    layout.use_property_decorate = False
    column = layout.column(align=True)
    column.operator(ops.GAUSSIANSPEECH_OT_show_words.bl_idname, icon="FONT_DATA")
    column.operator(ops.GAUSSIANSPEECH_OT_show_phones.bl_idname, icon="RNDCURVE")
    column.operator(ops.GAUSSIANSPEECH_OT_hide_timeline.bl_idname, text="Hide", icon="HIDE_ON")
    layout.prop(line.timeline, "markers")
    column = layout.column(align=True)
    column.operator(ops.GAUSSIANSPEECH_OT_hold_closed.bl_idname, icon="FULLSCREEN_EXIT")
    column.operator(ops.GAUSSIANSPEECH_OT_phrase_strength.bl_idname, icon="FORCE_FORCE")
    for index, span in enumerate(line.timeline.spans):
        row = layout.row(align=True)
        held = span.kind == HOLD_CLOSED
        text = f"{'Closed' if held else 'Strength'}, {span.start:.2f} to {span.end:.2f} s"
        row.prop(span, "amount", text=text, slider=True)
        remove = row.operator(ops.GAUSSIANSPEECH_OT_remove_span.bl_idname, text="", icon="X")
        remove.index = index
    if is_timed(line):
        layout.operator(ops.GAUSSIANSPEECH_OT_recognize_again.bl_idname, icon="FILE_REFRESH")


def _draw_add(self: Any, _context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.operator(
        GAUSSIANSPEECH_OT_import_sound.bl_idname, text="Speech Sound…", icon="FILE_SOUND"
    )


def _draw_strip(self: Any, _context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.operator(ops.GAUSSIANSPEECH_OT_speak_strip.bl_idname)
    _draw_timeline_menu(self.layout)


def _draw_marker(self: Any, _context: bpy.types.Context) -> None:
    self.layout.separator()
    _draw_timeline_menu(self.layout)


def _draw_timeline_menu(layout: bpy.types.UILayout) -> None:
    for operator in (
        ops.GAUSSIANSPEECH_OT_show_words,
        ops.GAUSSIANSPEECH_OT_show_phones,
        ops.GAUSSIANSPEECH_OT_hide_timeline,
        ops.GAUSSIANSPEECH_OT_hold_closed,
        ops.GAUSSIANSPEECH_OT_phrase_strength,
        ops.GAUSSIANSPEECH_OT_recognize_again,
    ):
        layout.operator(operator.bl_idname)


_MENUS: dict[str, Callable[[Any, bpy.types.Context], None]] = {
    "SEQUENCER_MT_add": _draw_add,
    "SEQUENCER_MT_strip": _draw_strip,
    "SEQUENCER_MT_context_menu": _draw_strip,
    "SEQUENCER_MT_marker": _draw_marker,
    "TIME_MT_marker": _draw_marker,
    "DOPESHEET_MT_marker": _draw_marker,
    "GRAPH_MT_marker": _draw_marker,
    "NLA_MT_marker": _draw_marker,
}
"""Blender's menus that have entries; 5.2 has no menu of the Timeline's own."""


def _menus() -> list[tuple[Any, Callable[[Any, bpy.types.Context], None]]]:
    found = ((getattr(bpy.types, name, None), draw) for name, draw in _MENUS.items())
    return [(menu, draw) for menu, draw in found if menu is not None]


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PT_timeline, GAUSSIANSPEECH_PT_timeline_sequencer)


def register() -> None:
    """Add the entries to Blender's menus."""
    for menu, draw in _menus():
        menu.append(draw)


def unregister() -> None:
    """Take them out again."""
    for menu, draw in _menus():
        menu.remove(draw)
