# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters of the artist's own: meshes and rigs that speak by their shape keys and bones."""

from __future__ import annotations

from . import mapping_ops, ops, panel, properties

CLASSES: tuple[type, ...] = (
    *properties.CLASSES,
    *ops.CLASSES,
    *mapping_ops.CLASSES,
    *panel.CLASSES,
)

register = properties.register
unregister = properties.unregister
