# SPDX-License-Identifier: GPL-3.0-or-later
"""Trainings in the background: starting them, following them, and using what they make."""

from __future__ import annotations

from . import joint_ops, new_panel, ops, panel, pictures, properties, start_ops, watch

CLASSES: tuple[type, ...] = (
    *properties.CLASSES,
    *ops.CLASSES,
    *start_ops.CLASSES,
    *joint_ops.CLASSES,
    *panel.CLASSES,
    *new_panel.CLASSES,
)


def register() -> None:
    """Attach the properties and begin to watch the jobs."""
    properties.register()
    pictures.register()
    watch.register()


def unregister() -> None:
    """Undo :func:`register`; the jobs themselves go on."""
    watch.unregister()
    pictures.unregister()
    properties.unregister()
