# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing datablocks, but not while a render holds them: Blender 5.2 crashes then."""

from __future__ import annotations

from collections.abc import Callable

import bpy

_due: list[Callable[[], None]] = []
_rendering = False


def begin_render() -> None:
    """Keep everything until :func:`end_render`."""
    global _rendering  # noqa: PLW0603 - Blender renders one thing at a time
    _rendering = True


def end_render() -> None:
    """Remove what is due, in a window on the main thread: handlers are called on the render's."""
    global _rendering  # noqa: PLW0603
    _rendering = False
    if not _due:
        return
    if bpy.app.background:
        _free_due()
    elif not bpy.app.timers.is_registered(_free_due):
        bpy.app.timers.register(_free_due, first_interval=0.0)


def unregister() -> None:
    """Remove what is due now; nothing of the add-on is to stay."""
    if bpy.app.timers.is_registered(_free_due):
        bpy.app.timers.unregister(_free_due)
    _free_due()


def _free_due() -> None:
    while _due and not _rendering:
        free(_due.pop(0))


def free(remove: Callable[[], None]) -> None:
    """Remove something now, or when the render has ended; it may be gone by then."""
    if _rendering:
        _due.append(remove)
        return
    try:
        remove()
    except ReferenceError:
        return
