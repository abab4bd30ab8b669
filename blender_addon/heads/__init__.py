# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads in Blender: adding one as a mesh with shape keys, and recognising it later."""

from __future__ import annotations

from . import ops, panel, properties
from .properties import active_head, is_head

CLASSES: tuple[type, ...] = (*properties.CLASSES, *ops.CLASSES, *panel.CLASSES)

__all__ = ["CLASSES", "active_head", "is_head", "register", "unregister"]


def register() -> None:
    """Attach properties and menu entries."""
    properties.register()
    ops.register()


def unregister() -> None:
    """Undo :func:`register`."""
    ops.unregister()
    properties.unregister()
