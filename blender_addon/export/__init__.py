# SPDX-License-Identifier: GPL-3.0-or-later
"""A head's animation as Alembic, USD, GLB or a performance file."""

from __future__ import annotations

from . import ops, panel

CLASSES: tuple[type, ...] = (*ops.CLASSES, *panel.CLASSES)
