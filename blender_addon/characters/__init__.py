# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters of the artist's own: meshes and rigs that speak by their shape keys and bones."""

from __future__ import annotations

from . import mapping_ops, ops, overrides, panel, properties

CLASSES: tuple[type, ...] = (
    *properties.CLASSES,
    *ops.CLASSES,
    *mapping_ops.CLASSES,
    *panel.CLASSES,
)


def register() -> None:
    """Attach the character to objects, and let overrides keep it."""
    properties.register()
    overrides.register()


def unregister() -> None:
    """Undo :func:`register`."""
    overrides.unregister()
    properties.unregister()
