# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that nobody waits for: it goes on while the user does other things.

An operator that has done its part hands the rest over and ends. A timer, which outlives the loading
of files, takes the answer; what went wrong is told in the panel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bpy

from ...engine.core.errors import CancelledError, GaussianSpeechError
from ..status import get_status, set_error, set_message
from .future import Future

_TICK = 0.25
"""Seconds between looks of the timer."""

Done = Callable[[Any], str]
"""Told what the work gave, on Blender's own thread; returns what to say, or nothing. It may hold
no operator and no data of the file: both can be gone by then."""


@dataclass(frozen=True)
class _Awaited:
    label: str
    work: Future
    done: Done


_awaited: list[_Awaited] = []


def run(label: str, work: Future, done: Done) -> None:
    """Let work go on by itself; background Blender, which has no timers, waits for it.

    Args:
        label: what is being done, for the panel.
        work: under way.
        done: takes its answer.
    """
    _awaited.append(_Awaited(label, work, done))
    if bpy.app.background:
        while not work.wait(_TICK):
            pass
        poll_finished()
    elif not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=_TICK, persistent=True)


def running_tasks() -> list[str]:
    """What is being done, a line each."""
    return [entry.label for entry in _awaited]


def poll_finished() -> bool:
    """Take the answers that are there; whether there were any."""
    finished = [entry for entry in _awaited if entry.work.done]
    for entry in finished:
        _awaited.remove(entry)
        try:
            message = entry.done(entry.work.result(0))
            status = get_status(bpy.context)
            # A task that the user waits for has the status line, and an error stays to be read.
            if message and not status.busy and not status.is_error:
                set_message(bpy.context, message)
        except CancelledError:
            continue
        except GaussianSpeechError as error:
            set_error(bpy.context, error)
    return bool(finished)


def redraw_sidebars(context: bpy.types.Context) -> None:
    """Redraw the sidebars, and not the 3D views beside them."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def _on_timer() -> float | None:
    poll_finished()
    redraw_sidebars(bpy.context)
    return _TICK if _awaited else None


CLASSES: tuple[type, ...] = ()


def unregister() -> None:
    """Give up what is under way."""
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    for entry in _awaited:
        entry.work.cancel()
    _awaited.clear()
