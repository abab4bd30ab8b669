# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel tells: the last result or error, and how far running work is.

Kept on the window manager: not saved with the file and not part of undo.
"""

from __future__ import annotations

import bpy

from ..engine.core.errors import BadInputError, GaussianSpeechError, one_line


class GAUSSIANSPEECH_PG_status(bpy.types.PropertyGroup):
    """The add-on's status line."""

    message: bpy.props.StringProperty(name="Status", options={"SKIP_SAVE"})
    hint: bpy.props.StringProperty(name="Remedy", options={"SKIP_SAVE"})
    is_engine: bpy.props.BoolProperty(
        name="About Engine",
        description="The engine's log may say more",
        options={"SKIP_SAVE"},
    )
    is_error: bpy.props.BoolProperty(name="Error", options={"SKIP_SAVE"})
    busy: bpy.props.BoolProperty(name="Working", options={"SKIP_SAVE"})
    task: bpy.props.StringProperty(name="Task", options={"SKIP_SAVE"})
    step: bpy.props.StringProperty(name="Step", options={"SKIP_SAVE"})
    fraction: bpy.props.FloatProperty(name="Progress", min=0.0, max=1.0, options={"SKIP_SAVE"})
    cancel_asked: bpy.props.BoolProperty(name="Cancel", options={"SKIP_SAVE"})


def get_status(context: bpy.types.Context) -> GAUSSIANSPEECH_PG_status:
    """The status of this Blender."""
    return context.window_manager.gaussianspeech_status


def report(operator: bpy.types.Operator, context: bpy.types.Context, message: str) -> None:
    """Say what was done: a report and the panel's status line."""
    operator.report({"INFO"}, message)
    set_message(context, message)


def set_message(context: bpy.types.Context, message: str) -> None:
    """Say something in the panel's status line, where no operator can report it."""
    status = get_status(context)
    status.message, status.hint, status.is_error = message, "", False


def set_error(context: bpy.types.Context, error: GaussianSpeechError) -> None:
    """Put an error and its remedy into the panel."""
    status = get_status(context)
    status.message, status.hint, status.is_error = error.message, error.hint, True
    status.is_engine = not isinstance(error, BadInputError)


def report_error(
    operator: bpy.types.Operator, context: bpy.types.Context, error: GaussianSpeechError
) -> None:
    """Say what went wrong and the remedy: one report and the panel's status line."""
    # Status first: a report of an error becomes an exception when a script called the operator.
    set_error(context, error)
    operator.report({"ERROR"}, one_line(error))


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_status,)


def register() -> None:
    """Attach the status to the window manager."""
    bpy.types.WindowManager.gaussianspeech_status = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_status
    )


def unregister() -> None:
    """Detach it."""
    del bpy.types.WindowManager.gaussianspeech_status
