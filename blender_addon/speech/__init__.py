# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech in Blender: from a sound strip to editable shape-key animation."""

from __future__ import annotations

from . import (
    bake_queue,
    batch_ops,
    controls,
    copies,
    line_ops,
    live,
    live_ops,
    ops,
    panel,
    presets,
    properties,
    rebake,
    retiming,
)
from .timeline import menus, watch
from .timeline import ops as timeline_ops
from .timeline import properties as timeline_properties

CLASSES: tuple[type, ...] = (
    *controls.CLASSES,
    *timeline_properties.CLASSES,
    *properties.CLASSES,
    *ops.CLASSES,
    *line_ops.CLASSES,
    *presets.CLASSES,
    *batch_ops.CLASSES,
    *timeline_ops.CLASSES,
    *panel.CLASSES,
    *menus.CLASSES,
    *live_ops.CLASSES,
)


def register() -> None:
    """Attach the settings to objects."""
    properties.register()
    bake_queue.register()
    rebake.register()
    copies.register()
    presets.register()
    retiming.register()
    live.register()
    watch.register()
    menus.register()


def unregister() -> None:
    """Undo :func:`register`."""
    menus.unregister()
    watch.unregister()
    live.unregister()
    retiming.unregister()
    presets.unregister()
    copies.unregister()
    rebake.unregister()
    bake_queue.unregister()
    properties.unregister()
