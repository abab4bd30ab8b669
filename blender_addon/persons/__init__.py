# SPDX-License-Identifier: GPL-3.0-or-later
"""Persons in Blender: head, avatar and speech model with one click."""

from __future__ import annotations

from . import ops

CLASSES: tuple[type, ...] = ops.CLASSES

__all__ = ["CLASSES", "register", "unregister"]


def register() -> None:
    """Attach menu and panel entries."""
    ops.register()


def unregister() -> None:
    """Undo :func:`register`."""
    ops.unregister()
