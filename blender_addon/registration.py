# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers the add-on's parts in order, and unregisters them in reverse.

A part is a module or sub-package with ``CLASSES`` (in the order of registration) and, where it has
more to set up, ``register()`` and ``unregister()``, which run after its classes are registered and
before they are unregistered.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import bpy

PARTS = (
    "status",
    "preferences",
    "engine_session",
    "tasks",
    "later",
    "engine_ops",
    "panels",
    "heads",
    "speech",
    "avatars",
    "rendering",
    "export",
    "jobs",
)
"""In the order of dependence, which is also the order of the panel's sections."""


def register() -> None:
    """Register every part; when one fails, those before it are unregistered and the error shown."""
    done: list[ModuleType] = []
    try:
        for part in parts():
            _register_part(part)
            done.append(part)
    except Exception:
        for part in reversed(done):
            _unregister_part(part)
        raise


def unregister() -> None:
    """Unregister every part, the last first."""
    for part in reversed(parts()):
        _unregister_part(part)


def parts() -> list[ModuleType]:
    """The modules of :data:`PARTS`."""
    return [import_module(f".{name}", __package__) for name in PARTS]


def _register_part(part: ModuleType) -> None:
    done: list[type] = []
    try:
        for cls in part.CLASSES:
            bpy.utils.register_class(cls)
            done.append(cls)
        if hasattr(part, "register"):
            part.register()
    except Exception:
        for cls in reversed(done):
            bpy.utils.unregister_class(cls)
        raise


def _unregister_part(part: ModuleType) -> None:
    if hasattr(part, "unregister"):
        part.unregister()
    for cls in reversed(part.CLASSES):
        bpy.utils.unregister_class(cls)
