# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons of the list of lines."""

from __future__ import annotations

from typing import ClassVar

import bpy

from ...engine.core.errors import BadInputError
from ..characters.properties import active_speaker, require_speaker
from ..characters.targets import animated_datablock
from ..status import ReportMixin
from . import lines, nla
from .line_list import add_line, duplicate_line, move_line, remove_line


class _OfLine(ReportMixin):
    """What operators on the active line share."""

    bl_options: ClassVar[set[str]] = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a head or character that has lines."""
        cls.poll_message_set("Select a head or character that has lines")
        obj = active_speaker(context)
        return obj is not None and lines.active_line(obj) is not None


class GAUSSIANSPEECH_OT_add_line(ReportMixin, bpy.types.Operator):
    """Add a line to the head or character."""

    bl_idname = "gaussianspeech.add_line"
    bl_label = "Add Line"
    bl_description = "Add a line to what the head or character says"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a head or character."""
        cls.poll_message_set("Select a head or character")
        return active_speaker(context) is not None

    def run(self, context: bpy.types.Context) -> str:
        """Add it."""
        return f"Added '{add_line(require_speaker(context), 'Line').name}'"


class GAUSSIANSPEECH_OT_remove_line(_OfLine, bpy.types.Operator):
    """Remove the line with its animation; its sound stays."""

    bl_idname = "gaussianspeech.remove_line"
    bl_label = "Remove Line"
    bl_description = "Remove the line with its animation; its sound stays, and what you edited"

    def run(self, context: bpy.types.Context) -> str:
        """Remove it."""
        line = lines.active_line(require_speaker(context))
        return " ".join([f"Removed '{line.name}'.", *remove_line(line)])


class GAUSSIANSPEECH_OT_duplicate_line(_OfLine, bpy.types.Operator):
    """Copy the line with its animation, to try another take."""

    bl_idname = "gaussianspeech.duplicate_line"
    bl_label = "Duplicate Line"
    bl_description = "Copy the line with its animation, to try another take; the first is muted"

    def run(self, context: bpy.types.Context) -> str:
        """Copy it."""
        line = lines.active_line(require_speaker(context))
        name = line.name
        return f"'{duplicate_line(context, line).name}' is a copy of '{name}', which is muted"


class GAUSSIANSPEECH_OT_move_line(_OfLine, bpy.types.Operator):
    """Move the line in the list."""

    bl_idname = "gaussianspeech.move_line"
    bl_label = "Move Line"
    bl_description = "Move the line in the list; what plays does not change"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    up: bpy.props.BoolProperty(name="Up", options={"SKIP_SAVE"})

    def run(self, context: bpy.types.Context) -> str:
        """Move it."""
        line = lines.active_line(require_speaker(context))
        name = line.name
        move_line(line, -1 if self.up else 1)
        return f"Moved '{name}'"


class GAUSSIANSPEECH_OT_edit_line(_OfLine, bpy.types.Operator):
    """Show the line's keys in the animation editors, and let them be edited."""

    bl_idname = "gaussianspeech.edit_line"
    bl_label = "Edit Keys"
    bl_description = (
        "Open the line's NLA strips in tweak mode: its keys are shown in the animation editors. "
        "What you change stays through every later bake. Press again to leave"
    )
    bl_options: ClassVar[set[str]] = {"UNDO"}

    def run(self, context: bpy.types.Context) -> str:
        """Enter tweak mode, or leave it."""
        obj = require_speaker(context)
        line = lines.active_line(obj)
        datablocks = lines.datablocks_of(obj)
        tweaked = [block for block in datablocks if _is_tweaked(block)]
        for block in tweaked:
            nla.leave_tweak_mode(block)
        if tweaked:
            return f"Closed the keys of '{line.name}'"
        actions = [(block, nla.line_action(block, line.id)) for block in datablocks]
        opened = [nla.tweak(block, action) for block, action in actions if action is not None]
        if not any(opened):
            raise BadInputError(f"'{line.name}' has no animation yet.", "Predict first.")
        return f"Opened the keys of '{line.name}' in the animation editors"


def _is_tweaked(datablock: bpy.types.ID) -> bool:
    return datablock.animation_data is not None and datablock.animation_data.use_tweak_mode


def is_edited_now(obj: bpy.types.Object) -> bool:
    """Whether a line of an object is open in tweak mode."""
    datablock = animated_datablock(obj)
    return datablock is not None and _is_tweaked(datablock)


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_add_line,
    GAUSSIANSPEECH_OT_remove_line,
    GAUSSIANSPEECH_OT_duplicate_line,
    GAUSSIANSPEECH_OT_move_line,
    GAUSSIANSPEECH_OT_edit_line,
)
