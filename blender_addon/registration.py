# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers the add-on's classes in order, then what else its parts set up; all or nothing."""

from __future__ import annotations

from contextlib import ExitStack

import bpy

from . import (
    avatars,
    characters,
    export,
    heads,
    jobs,
    panels,
    persons,
    preferences,
    rendering,
    setup,
    speech,
    status,
)
from .engine_link import background, session, tasks
from .engine_link import ops as engine_ops

CLASSES: tuple[type, ...] = (
    *status.CLASSES,
    *tasks.CLASSES,
    *engine_ops.CLASSES,
    *setup.CLASSES,
    *preferences.CLASSES,
    *panels.CLASSES,
    *heads.CLASSES,
    *characters.CLASSES,
    *speech.CLASSES,
    *avatars.CLASSES,
    *persons.CLASSES,
    *rendering.CLASSES,
    *export.CLASSES,
    *jobs.CLASSES,
)
"""In the order of dependence, which is also the order of the panel's sections."""

HOOKS = (
    status,
    session,
    setup,
    panels,
    heads,
    characters,
    speech,
    avatars,
    persons,
    rendering,
    export,
    jobs,
)
"""Modules with ``register`` and ``unregister``: properties, menu entries, handlers, timers."""

_undo = ExitStack()
"""What :func:`unregister` has to take back, the last first."""


def register() -> None:
    """Register everything; when something fails, what came before is unregistered."""
    with ExitStack() as undo:
        for cls in CLASSES:
            bpy.utils.register_class(cls)
            undo.callback(bpy.utils.unregister_class, cls)
        undo.callback(background.unregister)  # It begins with its first task.
        for module in HOOKS:
            module.register()
            undo.callback(module.unregister)
        _undo.callback(undo.pop_all().close)


def unregister() -> None:
    """Unregister everything, the last first."""
    _undo.close()
