# SPDX-License-Identifier: GPL-3.0-or-later
"""A head's or character's animation in the formats of other programs, out and in."""

from __future__ import annotations

from . import import_ops, ops, panel
from .menus import register, unregister

CLASSES: tuple[type, ...] = (*ops.CLASSES, *import_ops.CLASSES, *panel.CLASSES)

__all__ = ["CLASSES", "register", "unregister"]
