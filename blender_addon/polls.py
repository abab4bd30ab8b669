# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators need of Blender, and the reason where it lacks."""

from __future__ import annotations

import bpy


class InObjectMode:
    """Mixin for operators that add objects; list it before others with a poll."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """In Object Mode."""
        if context.mode != "OBJECT":
            cls.poll_message_set("Leave the current mode for Object Mode first")
            return False
        following = getattr(super(), "poll", None)
        return following is None or following(context)
