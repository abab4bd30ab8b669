# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech in Blender: from a sound strip to editable shape-key animation."""

from __future__ import annotations

from . import controls, line_ops, live, live_ops, ops, panel, properties

CLASSES: tuple[type, ...] = (
    *controls.CLASSES,
    *properties.CLASSES,
    *ops.CLASSES,
    *line_ops.CLASSES,
    *panel.CLASSES,
    *live_ops.CLASSES,
)


def register() -> None:
    """Attach the settings to objects."""
    properties.register()
    live.register()


def unregister() -> None:
    """Undo :func:`register`."""
    live.unregister()
    properties.unregister()
