# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators on the head or character that is selected need, and the reason where it lacks."""

from __future__ import annotations

from typing import ClassVar

import bpy

from .properties import active_speaker, has_face, is_character


class OfSpeaker:
    """Mixin for operators on a head or character; list it before others with a poll.

    Attributes:
        modes: the modes in which it works; all where there are none.
    """

    modes: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a head or character."""
        if active_speaker(context) is None:
            if has_face(context.object):
                name = context.object.name
                cls.poll_message_set(f"'{name}' is no character yet: press Use as Character")
            else:
                cls.poll_message_set("Select a head or a character, or press Add Head")
            return False
        if cls.modes and context.mode not in cls.modes:
            cls.poll_message_set("Leave the current mode for Object Mode first")
            return False
        following = getattr(super(), "poll", None)
        return following is None or following(context)


NOT_EDITING = frozenset({"OBJECT", "POSE"})
"""Modes in which no mesh is being edited."""


class OfPart:
    """Mixin for operators on the object of a character that is active."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With an object of a character."""
        cls.poll_message_set("Select an object of a character")
        return is_character(context.object)
