# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters of the artist's own: meshes that speak by the shape keys they have."""

from __future__ import annotations

from . import ops, panel, properties

CLASSES: tuple[type, ...] = (*properties.CLASSES, *ops.CLASSES, *panel.CLASSES)

register = properties.register
unregister = properties.unregister
