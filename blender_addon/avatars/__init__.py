# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars of heads: which one a head wears, and binding it."""

from __future__ import annotations

from . import ops, panel, properties

CLASSES: tuple[type, ...] = (*properties.CLASSES, *ops.CLASSES, *panel.CLASSES)


def register() -> None:
    """Attach the avatar's properties to objects."""
    properties.register()


def unregister() -> None:
    """Detach them."""
    properties.unregister()
