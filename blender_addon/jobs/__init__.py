# SPDX-License-Identifier: GPL-3.0-or-later
"""Trainings in the background: starting them, following them, and using their results.

The engine looks after the jobs; here are the requests to it (:mod:`client`), the latest answer
(:mod:`watcher`, :mod:`session`), the timer that brings it into Blender, operators and panels.
"""

from __future__ import annotations

from . import (
    joint_ops,
    new_panel,
    ops,
    panel,
    pictures,
    properties,
    start_ops,
    timer,
    video_ops,
)

CLASSES: tuple[type, ...] = (
    *properties.CLASSES,
    *ops.CLASSES,
    *start_ops.CLASSES,
    *joint_ops.CLASSES,
    *video_ops.CLASSES,
    *panel.CLASSES,
    *new_panel.CLASSES,
)


def register() -> None:
    """Attach the properties and begin to watch the jobs."""
    properties.register()
    pictures.register()
    timer.register()


def unregister() -> None:
    """Undo :func:`register`; the jobs themselves continue."""
    timer.unregister()
    pictures.unregister()
    properties.unregister()
