# SPDX-License-Identifier: GPL-3.0-or-later
"""Phones, words and spans as text strips of the sequencer.

The strips are muted: they are for the eye, and neither drawn over the picture nor rendered. Each
carries the id of its line and what it stands for, so that it may be renamed and put on another
channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import bpy

from ... import compat
from .layout import PHONE, SPAN, WORD, Mark

LINE = "gaussianspeech_line"
_MARK = "gaussianspeech_mark"
_COLORS = {WORD: "COLOR_05", PHONE: "COLOR_04", SPAN: "COLOR_02"}
_ROWS = {WORD: 2, PHONE: 2, SPAN: 1}
"""Channels of each kind: neighbours lie by turns on two, so that one can be dragged or trimmed over
the other without Blender moving it out of the way."""
_CHANNELS = 128


def show(scene: bpy.types.Scene, line: str, marks: Sequence[Mark]) -> None:
    """Show just these marks of a line; what is right already is left as it is.

    Args:
        scene: whose sequencer, which is made where there is none.
        line: id of the line.
        marks: with a number each.
    """
    editor = scene.sequence_editor or scene.sequence_editor_create()
    wanted = {(mark.kind, mark.number): mark for mark in marks}
    lying = [(strip, _read(strip)) for strip in _strips_of(scene, line)]
    rows = _rows(editor, line, marks, lying)
    before: dict[tuple[str, int | None], tuple[int, bool]] = {}
    for strip, mark in lying:
        key = (mark.kind, mark.number)
        if wanted.get(key) == mark:
            del wanted[key]
        else:
            before.setdefault(key, (strip.channel, strip.select))
            compat.strips(editor).remove(strip)
    for key, mark in wanted.items():
        name = f"{mark.text}.{key[1]:03d}"  # Unique: Blender takes long to make it so.
        row = rows[mark.kind]
        channel, select = before.get(key, (row[key[1] % len(row)], False))
        # Moving a strip would push others out of the way; a new one may overlap.
        strip = compat.new_text_strip(editor, name, mark.text, channel, (mark.first, mark.last))
        strip[LINE], strip[_MARK] = line, f"{mark.kind}:{mark.number}"
        strip.mute, strip.select = True, select
        strip.color_tag = _COLORS[mark.kind]


def read(scene: bpy.types.Scene, line: str) -> list[Mark]:
    """The marks of a line as they lie in the sequencer now."""
    return [_read(strip) for strip in _strips_of(scene, line)]


def positions(scene: bpy.types.Scene) -> tuple[Any, ...]:
    """Where the strips of a scene lie and what is written on them, to see quickly what changed."""
    editor = scene.sequence_editor
    if editor is None:
        return ()
    strips = compat.all_strips(editor)
    texts = [strip.text for strip in strips if strip.type == "TEXT"]
    return *compat.strip_positions(strips), tuple(texts)


def selected(scene: bpy.types.Scene, line: str) -> list[Mark]:
    """Those of them that are selected."""
    return [_read(strip) for strip in _strips_of(scene, line) if strip.select]


def _strips_of(scene: bpy.types.Scene, line: str) -> list[Any]:
    editor = scene.sequence_editor
    if editor is None:
        return []
    strips = compat.all_strips(editor)
    return [strip for strip in strips if strip.type == "TEXT" and strip.get(LINE) == line]


def is_ours(strip: Any) -> bool:
    """Whether a strip shows something of a line."""
    return strip.type == "TEXT" and LINE in strip


def _read(strip: Any) -> Mark:
    kind, _, number = str(strip.get(_MARK, "")).partition(":")
    first, last = compat.strip_range(strip)
    return Mark(kind, int(number) if number.isdecimal() else None, strip.text, first, last)


def _rows(
    editor: bpy.types.SequenceEditor,
    line: str,
    marks: Sequence[Mark],
    lying: Iterable[tuple[Any, Mark]],
) -> dict[str, list[int]]:
    """Channels of each kind: those it has, or else free ones above what else lies there."""
    first = min((mark.first for mark in marks), default=0)
    last = max((mark.last for mark in marks), default=0)
    rows: dict[str, list[int]] = {}
    for strip, mark in lying:
        rows.setdefault(mark.kind, []).append(strip.channel)
    taken = [0, *(channel for row in rows.values() for channel in row)]
    for strip in compat.strips(editor):
        left, right = compat.strip_range(strip)
        if left < last and right > first and strip.get(LINE) != line:
            taken.append(strip.channel)
    free = iter(range(max(taken) + 1, _CHANNELS))
    return {
        kind: sorted(set(rows[kind])) if kind in rows else [next(free, _CHANNELS) for _ in range(n)]
        for kind, n in _ROWS.items()
    }
