# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of any length in a panel, which has no line breaks of its own."""

from __future__ import annotations

import re
import textwrap

import bpy

_PIECES = re.compile(r"(\s+|[/\\_]*[^\s/\\_]+[/\\_]*|[/\\_]+)")
"""What stays together on a line: words, and of paths each folder."""
BOX, ICON = 12.0, 26.0
"""Units of the width that the frame of a box takes, and an icon before a text."""
_MARGINS, _CHARACTER = 56.0, 6.0
"""Units of what is beside the rows of a panel with its tabs, and of most characters."""


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
        beside: units of the width that something else in the row takes, such as :data:`BOX`.
    """
    column = layout.column(align=True)
    column.scale_y = 0.8
    beside += ICON if icon != "NONE" else 0.0
    for line in text.splitlines():
        for part in wrapped(context, line, beside):
            column.label(text=part, icon=icon)
            icon = "BLANK1" if icon != "NONE" else "NONE"


def wrapped(context: bpy.types.Context, line: str, beside: float = 0.0) -> list[str]:
    """A text as lines that fit the panel's width, paths in two between folders; at least one."""
    scale = context.preferences.system.ui_scale
    width = max(12, int((context.region.width / scale - _MARGINS - beside) / _CHARACTER))
    wrapper = textwrap.TextWrapper(width)
    wrapper.wordsep_re = _PIECES
    return wrapper.wrap(line) or [""]
