# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of any length in a panel, which has no line breaks of its own."""

from __future__ import annotations

import textwrap

import bpy


def draw_wrapped(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    text: str,
    icon: str = "NONE",
    beside: float = 0.0,
) -> None:
    """Draw a text over as many lines as the panel's width asks for.

    Args:
        layout: of a panel.
        context: for the panel's width.
        text: lines.
        icon: before the first.
        beside: units of the width that something else in the row takes.
    """
    column = layout.column(align=True)
    column.scale_y = 0.8
    for line in text.splitlines():
        for part in wrapped(context, line, beside):
            column.label(text=part, icon=icon)
            icon = "BLANK1" if icon != "NONE" else "NONE"


def wrapped(context: bpy.types.Context, line: str, beside: float = 0.0) -> list[str]:
    """A text as lines that fit the panel's width; at least one."""
    scale = context.preferences.system.ui_scale
    # A character of the interface font is about 6.5 units wide; the box and the icon take the rest.
    width = max(12, int((context.region.width / scale - 50 - beside) / 6.5))
    return textwrap.wrap(line, width) or [""]
