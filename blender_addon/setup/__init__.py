# SPDX-License-Identifier: GPL-3.0-or-later
"""From nothing to an engine: Set Up Engine, Remove Engine, and the doctor."""

from __future__ import annotations

from . import ops, session

CLASSES: tuple[type, ...] = ops.CLASSES

register, unregister = session.register, session.unregister
