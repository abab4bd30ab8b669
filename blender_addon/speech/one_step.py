# SPDX-License-Identifier: GPL-3.0-or-later
"""A slider and the bake that follows it are one step of undo.

Blender makes a step when the slider is let go; the bake, which is ready later, must be a step of
its own, or undo would leave data that do not fit each other. So each line keeps a mark from the
slider's step to that of its bake, and undo and redo go past what lies between the two. Where undo
comes to a line whose bake was never ready, it is begun anew.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .bake_queue import has_timers
from .lines import line_by_id

_pushed: Counter[str] = Counter()
"""Steps of undo that bakes have made for each mark."""
_under_way: set[str] = set()
"""Marks whose bakes are not ready."""
_left = 0
"""Steps that are still to be gone past."""
_next = ""
"""How the next step is gone past: by ``undo`` or ``redo``; empty where none is."""
_passing = False
"""Whether a step is being gone past."""
_resume: Callable[[list[str]], None] | None = None


def begin(line_ids: Iterable[str]) -> None:
    """Mark lines that will be baked for what the user has changed just now."""
    mark = uuid.uuid4().hex
    _under_way.add(mark)
    for line in filter(None, map(line_by_id, line_ids)):
        _under_way.discard(line.baking)
        line.baking = mark


def end(line_ids: Iterable[str]) -> None:
    """Make a step of undo of lines that are baked now."""
    marks = set()
    for line in filter(None, map(line_by_id, line_ids)):
        marks.add(line.baking)
        line.baking = ""
    remaining = {line.baking for line in _lines()}
    _under_way.difference_update(marks - remaining)
    window = next(iter(bpy.context.window_manager.windows), None)
    with bpy.context.temp_override(window=window):  # A timer has none of its own.
        if bpy.ops.ed.undo_push.poll():
            bpy.ops.ed.undo_push(message="Bake Line")
            _pushed.update(marks - {""})


def give_up(line_ids: Iterable[str]) -> None:
    """Leave lines as they are: their bakes were cancelled."""
    for line in filter(None, map(line_by_id, line_ids)):
        _under_way.discard(line.baking)
        line.baking = ""


def go_past() -> None:
    """Undo or redo once more, where the last one came to what lies before a bake."""
    global _next, _passing  # noqa: PLW0603 - of this Blender
    step, _next = _next, ""
    if not step:
        return
    operator, _passing = getattr(bpy.ops.ed, step), True
    window = next(iter(bpy.context.window_manager.windows), None)
    try:
        with bpy.context.temp_override(window=window):
            if operator.poll():
                operator()
    finally:
        _passing = False


def _lines() -> Iterator[Any]:
    for obj in bpy.data.objects:
        yield from obj.gaussianspeech_lines


def _arrive(step: str) -> None:
    """Go past it, or begin bakes anew, where undo or redo has come to a state."""
    global _left, _next  # noqa: PLW0603 - of this Blender
    marked = [(line.id, line.baking) for line in _lines() if line.baking]
    past = max((_pushed[mark] for _, mark in marked), default=0)
    _left = _left - 1 if _passing else past
    _next = step if past and _left > 0 else ""
    if _next and has_timers() and not bpy.app.timers.is_registered(go_past):
        bpy.app.timers.register(go_past, first_interval=0.0)
    if _resume is not None:
        unready = [line for line, mark in marked if mark in _under_way and not _pushed[mark]]
        _resume(unready)


@persistent
def _on_undo(*_: object) -> None:
    _arrive("undo")


@persistent
def _on_redo(*_: object) -> None:
    _arrive("redo")


@persistent
def _on_load(_file: str) -> None:
    """In a file that was saved in the middle of a bake, the line is out of date, and no more."""
    _pushed.clear()
    _under_way.clear()
    for line in _lines():
        if line.baking:
            line.baking = ""


def _handlers() -> list[tuple[list[Any], Any]]:
    handlers = bpy.app.handlers
    return [
        (handlers.undo_post, _on_undo),
        (handlers.redo_post, _on_redo),
        (handlers.load_post, _on_load),
    ]


def register(resume: Callable[[list[str]], None]) -> None:
    """Watch undo and redo.

    Args:
        resume: bakes the lines of these ids, and gives up whatever else is under way.
    """
    global _resume  # noqa: PLW0603 - of this Blender
    _resume = resume
    for handlers, function in _handlers():
        handlers.append(function)


def unregister() -> None:
    """Watch no more."""
    for handlers, function in _handlers():
        handlers.remove(function)
    if bpy.app.timers.is_registered(go_past):
        bpy.app.timers.unregister(go_past)
