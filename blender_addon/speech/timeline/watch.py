# SPDX-License-Identifier: GPL-3.0-or-later
"""Noticing what is done on the timeline, so that the mouth follows by itself.

A timer compares where strips and markers lie with where they lay; moving markers sends no update.
Once they rest, what lies there is compared with what is shown, and an operator takes in what was
done. After undo, redo and loading a file nothing is done by itself: they would be undone in turn.
"""

from __future__ import annotations

from typing import Any

import bpy
from bpy.app.handlers import persistent

from ....engine.core.errors import GaussianSpeechError
from ... import compat
from ...engine_link.background import redraw_sidebars
from ...status import get_status, set_error
from ..lines import line_by_id
from .layout import Mark
from .shown import is_changed, lying, stamp
from .strips import is_ours

_TICK = 0.25
"""Seconds between two looks."""

_shown: list[str] = []
"""Ids of the lines that are shown."""
_known: dict[str, tuple[Any, ...]] = {}
"""The stamp of a line with which there is nothing to follow."""
_last: dict[str, tuple[Any, ...]] = {}
"""The stamp of a changed line at the last look."""
_left: dict[str, list[Mark]] = {}
"""What lies there and is left as it is: it cannot be taken in, or came by undo."""


def start_watching() -> None:
    """Watch the lines that are shown; background Blender has no timers, its *Update* looks."""
    _shown[:] = [
        line.id
        for obj in bpy.data.objects
        for line in obj.gaussianspeech_lines
        if line.timeline.shown
    ]
    if _shown and not bpy.app.background and not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=_TICK, persistent=True)


def _on_timer() -> float | None:
    look(bpy.context)
    return _TICK if _shown else None


def look(context: bpy.types.Context) -> None:
    """Look at each line that is shown, and let the mouth follow what was done and now rests."""
    for known in list(_shown):
        line = line_by_id(known)
        if line is None or not line.timeline.shown:
            _shown.remove(known)
            continue
        now = stamp(context, line)
        before, _last[known] = _last.get(known), now
        # While something is dragged, all there is to see is that it is: no strip is read.
        if now != before or now == _known.get(known) or _is_busy(context):
            continue
        marks = lying(line)
        if not is_changed(context, line, marks):
            _left.pop(known, None)
        elif marks != _left.get(known):
            _follow(context, line)
            continue
        _known[known] = now


def _is_busy(context: bpy.types.Context) -> bool:
    """Whether something is being dragged, or the engine works for the user."""
    if get_status(context).busy:
        return True
    windows = context.window_manager.windows
    running = (operator.bl_idname for window in windows for operator in window.modal_operators)
    return any(not name.startswith("GAUSSIANSPEECH_OT") for name in running)


def _follow(context: bpy.types.Context, line: Any) -> None:
    known = line.id
    window = next(iter(context.window_manager.windows), None)  # A timer has none of its own.
    try:
        with context.temp_override(window=window):
            bpy.ops.gaussianspeech.follow_timeline("INVOKE_DEFAULT", line=known)
    except RuntimeError as error:
        _left[known] = lying(line)
        if not get_status(context).is_error:  # Else it is the operator's report.
            set_error(context, GaussianSpeechError(str(error), "Press Update."))
    _redraw(context)


def _redraw(context: bpy.types.Context) -> None:
    """Redraw what shows the line and its status."""
    redraw_sidebars(context)
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "SEQUENCE_EDITOR":
                area.tag_redraw()


@persistent
def _on_undo(*_: Any) -> None:
    """Leave what came by undo, redo or loading as it is, until it is changed again."""
    start_watching()
    _last.clear()
    for known in _shown:
        line = line_by_id(known)
        if line is not None:
            _left[known] = lying(line)


@persistent
def _before_render(scene: bpy.types.Scene, *_: Any) -> None:
    """Keep muted text strips from making older Blenders render the sequencer."""
    editor = scene.sequence_editor
    if editor is None or not scene.render.use_sequencer:
        return
    seen = [strip for strip in compat.strips(editor) if strip.type != "SOUND"]
    if seen and all(is_ours(strip) for strip in seen):
        scene.render.use_sequencer = False
        _switched_off.append(scene.name)


@persistent
def _after_render(scene: bpy.types.Scene, *_: Any) -> None:
    if scene.name in _switched_off:
        _switched_off.remove(scene.name)
        scene.render.use_sequencer = True


_switched_off: list[str] = []
"""Names of scenes whose sequencer is switched off while they render."""


def _handlers() -> list[tuple[list[Any], Any]]:
    handlers = bpy.app.handlers
    found = [(handlers.undo_post, _on_undo), (handlers.redo_post, _on_undo)]
    found.append((handlers.load_post, _on_undo))
    if compat.muted_strips_render():
        found.append((handlers.render_init, _before_render))
        found += [
            (handlers.render_complete, _after_render),
            (handlers.render_cancel, _after_render),
        ]
    return found


def register() -> None:
    """Listen to undo, redo, loading, and, where it is needed, to rendering."""
    for handlers, function in _handlers():
        handlers.append(function)


def unregister() -> None:
    """Stop listening and watching."""
    for handlers, function in _handlers():
        handlers.remove(function)
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    _shown.clear()
    _known.clear()
    _last.clear()
    _left.clear()
