# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars of heads: binding them, and saving them to files."""

from __future__ import annotations

from . import ops, panel, properties, saving

CLASSES: tuple[type, ...] = (
    *properties.CLASSES,
    *ops.CLASSES,
    *saving.CLASSES,
    *panel.CLASSES,
)


def register() -> None:
    """Attach the avatar's properties to objects."""
    properties.register()


def unregister() -> None:
    """Detach them."""
    properties.unregister()
