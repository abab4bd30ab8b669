# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel shows: the last result or error, and the progress of running work.

Kept on the window manager: not saved with the file and not part of undo.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..engine.core.errors import BadInputError, GaussianSpeechError, one_line


class GAUSSIANSPEECH_PG_status(bpy.types.PropertyGroup):
    """The add-on's status line."""

    message: bpy.props.StringProperty(name="Status", options={"SKIP_SAVE"})
    hint: bpy.props.StringProperty(name="Remedy", options={"SKIP_SAVE"})
    log: bpy.props.EnumProperty(
        name="Log",
        description="The log that may say more about the error",
        items=(
            ("NONE", "None", "No log says more"),
            ("ENGINE", "Engine", "The engine's log"),
            ("SET_UP", "Set-Up", "The log of the last set-up"),
        ),
        options={"SKIP_SAVE"},
    )
    is_error: bpy.props.BoolProperty(name="Error", options={"SKIP_SAVE"})
    about: bpy.props.StringProperty(
        name="About",
        description="The object that was active when the message came",
        options={"SKIP_SAVE"},
    )
    busy: bpy.props.BoolProperty(name="Working", options={"SKIP_SAVE"})
    task: bpy.props.StringProperty(name="Task", options={"SKIP_SAVE"})
    step: bpy.props.StringProperty(name="Step", options={"SKIP_SAVE"})
    fraction: bpy.props.FloatProperty(name="Progress", min=0.0, max=1.0, options={"SKIP_SAVE"})
    cancel_asked: bpy.props.BoolProperty(name="Cancel", options={"SKIP_SAVE"})


def get_status(context: bpy.types.Context) -> GAUSSIANSPEECH_PG_status:
    """The status of this Blender."""
    return context.window_manager.gaussianspeech_status


def report(operator: bpy.types.Operator, context: bpy.types.Context, message: str) -> None:
    """Report what was done, in the panel's status line too."""
    operator.report({"INFO"}, message)
    set_message(context, message)


def shows_error(context: bpy.types.Context) -> bool:
    """Whether the panel shows an error: it is past once another object is active."""
    status = get_status(context)
    return status.is_error and status.about == _active_name(context)


def shown_result(context: bpy.types.Context) -> str:
    """What the panel shows of what was done last: it, too, is past once another object is active.

    An error that is past shows nothing of before, either.
    """
    status = get_status(context)
    return "" if status.is_error or status.about != _active_name(context) else status.message


def _active_name(context: bpy.types.Context) -> str:
    # Timers have no active object in their context, but a view layer.
    obj = context.view_layer.objects.active
    return "" if obj is None else obj.name


def set_message(context: bpy.types.Context, message: str) -> None:
    """Put a message into the panel's status line, where no operator can report it."""
    status = get_status(context)
    status.message, status.hint, status.is_error = message, "", False
    status.about = _active_name(context)


def set_error(context: bpy.types.Context, error: GaussianSpeechError) -> None:
    """Put an error and its remedy into the panel.

    Args:
        context: for the status, and the object that is active.
        error: its class may say in an attribute ``log`` which log says more; that of the engine
            does, unless the user's input was wrong.
    """
    status = get_status(context)
    status.message, status.hint, status.is_error = error.message, error.hint, True
    status.about = _active_name(context)
    status.log = getattr(error, "log", "NONE" if isinstance(error, BadInputError) else "ENGINE")


def report_error(
    operator: bpy.types.Operator, context: bpy.types.Context, error: GaussianSpeechError
) -> None:
    """Report what went wrong and the remedy, in the panel too."""
    # Status first: a report of an error becomes an exception when a script called the operator.
    set_error(context, error)
    operator.report({"ERROR"}, one_line(error))


class ReportMixin:
    """Mixin for operators that report what they did, or an error with its remedy.

    An operator defines :meth:`run` and lists this class before ``bpy.types.Operator``.
    """

    def run(self, context: bpy.types.Context) -> str:
        """Do the work; returns what was done.

        Raises:
            GaussianSpeechError: shown to the user; nothing was changed.
        """
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Run and report."""
        try:
            message = self.run(context)
        except GaussianSpeechError as error:
            report_error(self, context, error)
            return {"CANCELLED"}
        report(self, context, message)
        return {"FINISHED"}


def is_scripted(operator: bpy.types.Operator) -> bool:
    """Whether a script called an operator, and expects all of it to be done when it returns."""
    return not (operator.options.is_invoke or operator.options.is_repeat)


def invoke_operator(operator: bpy.types.Operator, target: Any, **options: Any) -> set[str]:
    """Call another operator as the interface does, and end as it ends.

    Args:
        operator: the one that calls.
        target: of ``bpy.ops``.
        options: of the target.
    """
    mode = "EXEC_DEFAULT" if bpy.app.background else "INVOKE_DEFAULT"
    try:
        result = target(mode, **options)
    except RuntimeError as error:  # The target's report; it is in the panel too.
        operator.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
        return {"CANCELLED"}
    return {"CANCELLED"} if "CANCELLED" in result else {"FINISHED"}


class GAUSSIANSPEECH_OT_dismiss(bpy.types.Operator):
    """Take the error out of the panel."""

    bl_idname = "gaussianspeech.dismiss"
    bl_label = "Dismiss Error"
    bl_description = "Take the error out of the panel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """While there is one."""
        cls.poll_message_set("There is no error")
        return get_status(context).is_error

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Take it out."""
        set_message(context, "")
        return {"FINISHED"}


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_status, GAUSSIANSPEECH_OT_dismiss)


@bpy.app.handlers.persistent
def _on_undo(*_: object) -> None:
    """What was done last is undone, or done again; an error says what is still wrong."""
    if not get_status(bpy.context).is_error:
        set_message(bpy.context, "")


@bpy.app.handlers.persistent
def _on_load(*_: object) -> None:
    """All that was said is about the file that is closed."""
    set_message(bpy.context, "")


_HANDLERS = {"undo_pre": _on_undo, "redo_pre": _on_undo, "load_pre": _on_load}


def register() -> None:
    """Attach the status to the window manager, and its messages to what they are about."""
    bpy.types.WindowManager.gaussianspeech_status = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_status
    )
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    """Detach them."""
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
    del bpy.types.WindowManager.gaussianspeech_status
