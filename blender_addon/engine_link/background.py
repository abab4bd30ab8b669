# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that no operator waits for, beside what the user does.

An operator that has done its part hands the rest over and ends. A timer, which outlives the loading
of files, takes the result; errors are shown in the panel.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import bpy

from ...engine.core.errors import CancelledError, GaussianSpeechError
from ..status import get_status, set_error, set_message, shows_error
from .future import Future

_TICK = 0.25
"""Seconds between two polls."""

OnResult = Callable[[Any], str]
"""Receives the result on Blender's main thread; returns a message for the panel, or nothing. It may
hold no operator and no data of the file: both can be gone by then."""


@dataclass(frozen=True)
class _Task:
    label: str
    future: Future
    on_result: OnResult


_tasks: list[_Task] = []


class Progress(Protocol):
    """Work whose progress the panel shows, with a button that cancels it."""

    def poll(self) -> tuple[float, str]:
        """Fraction in [0, 1], and what is done."""

    def cancel(self) -> None:
        """End it."""


_shown: list[Progress] = []


def show(work: Progress) -> None:
    """Show the progress of some work until :func:`hide`."""
    if work not in _shown:
        _shown.append(work)


def hide(work: Progress) -> None:
    """Show it no more."""
    if work in _shown:
        _shown.remove(work)


def shown() -> Progress | None:
    """The work whose progress is shown."""
    return _shown[0] if _shown else None


def run(label: str, future: Future, on_result: OnResult) -> None:
    """Take a result when it is there; background Blender, which has no timers, waits for it.

    Args:
        label: what is being done, for the panel.
        future: the result.
        on_result: called with it.
    """
    _tasks.append(_Task(label, future, on_result))
    if bpy.app.background:
        while not future.wait(_TICK):
            pass
        poll_finished()
    elif not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=_TICK, persistent=True)


def running_tasks() -> list[str]:
    """The labels of what is being done."""
    return [task.label for task in _tasks]


def poll_finished() -> bool:
    """Take the results that are there; whether there were any."""
    finished = [task for task in _tasks if task.future.done]
    for task in finished:
        _tasks.remove(task)
        try:
            message = task.on_result(task.future.result(0))
        except CancelledError:
            continue
        except GaussianSpeechError as error:
            set_error(bpy.context, error)
        except Exception as error:  # noqa: BLE001 - the other tasks and the timer continue
            traceback.print_exc()
            what = f"{task.label} failed: {type(error).__name__}: {error}"
            set_error(bpy.context, GaussianSpeechError(what, "The system console says more."))
        else:
            status = get_status(bpy.context)
            # A task that the user waits for has the status line, and an error stays to be read.
            if message and not status.busy and not shows_error(bpy.context):
                set_message(bpy.context, message)
    return bool(finished)


def redraw_sidebars(context: bpy.types.Context) -> None:
    """Redraw the sidebars that show the status, and not the 3D views and sequencers beside them."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"VIEW_3D", "SEQUENCE_EDITOR"}:
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def _on_timer() -> float | None:
    poll_finished()
    redraw_sidebars(bpy.context)
    return _TICK if _tasks else None


def unregister() -> None:
    """Cancel what is being done."""
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    for task in _tasks:
        task.future.cancel()
    _tasks.clear()
