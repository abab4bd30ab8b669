# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech in Blender: from a sound strip to editable shape-key animation."""

from __future__ import annotations

from . import ops, panel, properties

CLASSES: tuple[type, ...] = (*properties.CLASSES, *ops.CLASSES, *panel.CLASSES)


def register() -> None:
    """Attach the settings to objects."""
    properties.register()


def unregister() -> None:
    """Undo :func:`register`."""
    properties.unregister()
