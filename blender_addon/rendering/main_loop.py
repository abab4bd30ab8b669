# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's main loop, kept waiting while the render of an avatar scene ends.

Blender 5.2 shares a render's GPU context with the scenes that its compositor renders. When such a
scene has been rendered, the render's thread gives its share back, without a lock; the main loop
looks for unused contexts in every round, and does the same. Both at once free the context that is
in use, and Blender ends (on X11: "BadAccess, X_GLXMakeCurrent"). A scene of a render engine in
Python meets it often. While a timer's function runs, the main loop is between rounds.
"""

from __future__ import annotations

import threading
import time

import bpy

_TICK = 0.002
"""Seconds between two looks while a render runs: short against the rest of a frame."""

_REST = 0.25
"""Seconds between two looks otherwise."""

_HELD_SECONDS = 0.004
"""How long the main loop waits: the share is given back half a millisecond after the render."""

_PATIENCE = 0.3
"""Seconds to wait for the main loop; one that draws for longer is in no such round either."""

_asked, _held = threading.Event(), threading.Event()


def hold() -> None:
    """Return when the main loop has begun to wait; on a render's thread, last thing in its render.

    Does nothing where the render has the main thread: in the background, and for a script that
    calls ``bpy.ops.render.render()``.
    """
    if bpy.app.background or threading.get_ident() == threading.main_thread().ident:
        return
    _held.clear()
    _asked.set()
    _held.wait(_PATIENCE)


def _on_timer() -> float:
    if _asked.is_set():
        _asked.clear()
        _held.set()
        time.sleep(_HELD_SECONDS)
    return _TICK if bpy.app.is_job_running("RENDER") else _REST


def register() -> None:
    """Look whether a render asks."""
    if not bpy.app.background:
        bpy.app.timers.register(_on_timer, persistent=True)


def unregister() -> None:
    """Stop looking."""
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
