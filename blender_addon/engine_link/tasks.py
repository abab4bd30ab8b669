# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that wait for the engine without freezing Blender.

In a window the operator runs modal: a timer polls the reply, progress is shown in the status
bar and the panel, Escape or the panel's button cancels, and everything else stays usable. Called
from a script, or in background Blender, it waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import bpy

from ...engine.core.errors import CancelledError, EngineGoneError, GaussianSpeechError
from ...engine.core.files import refused_by_system
from ..status import get_status, report_error
from . import background
from .future import Future

_INTERVAL = 0.1
"""Seconds between two polls of the future."""


class EngineTask:
    """Mixin for operators that ask the engine, once or several times, and then change the file.

    An operator defines :meth:`begin` and :meth:`finish` and lists this class before
    ``bpy.types.Operator``. What they change in the file before the last reply has to be whole, so
    that a failure leaves nothing half-made: they say so by ``_changed``, and it is a step of undo,
    or :meth:`clean_up` takes it back. No Blender data may be kept between the two (undo would leave
    it dangling): keep names.

    Attributes:
        task_label: what the panel says while it works.
    """

    task_label: ClassVar[str] = "Working"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """While no other is under way: the panel shows the progress of one."""
        status = get_status(context)
        if status.busy:
            cls.poll_message_set(f"{status.task} is under way: wait for it, or cancel it")
        return not status.busy

    _changed = False
    """Whether the file has been changed before the last reply; a task sets it that does so."""
    _future: Future | None = None
    """What is waited for; ``None`` while a dialog still asks."""

    def begin(self, context: bpy.types.Context) -> Future | None:
        """Check the input and send the request.

        Returns:
            What is waited for; ``None`` where there is nothing to do: the task has reported that,
            and there is no step of undo.

        Raises:
            GaussianSpeechError: shown to the user; nothing was changed.
        """
        raise NotImplementedError

    def finish(self, context: bpy.types.Context, reply: Any) -> Future | None:
        """Put the engine's reply into the file; returns the next request, where there is one.

        Raises:
            GaussianSpeechError: shown to the user.
        """
        raise NotImplementedError

    def progress(self) -> tuple[float, str]:
        """Fraction in [0, 1] of the whole work, and its step."""
        return self._future.poll()

    def clean_up(self) -> None:
        """Remove temporary files; called once, however the work ended."""

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Ask, wait and finish."""
        manager = context.window_manager
        manager.progress_begin(0, 100)
        try:
            future = _asked(self.begin, context)
            if future is None:
                return {"CANCELLED"}
            while future is not None:
                self._future = future
                while not future.wait(_INTERVAL):
                    manager.progress_update(int(100 * self.progress()[0]))
                future = _asked(self.finish, context, future.result(0))
        except GaussianSpeechError as error:
            report_error(self, context, error)
            return self._ended_early()
        finally:
            self.clean_up()
            manager.progress_end()
        return {"FINISHED"}

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask, and run modal until the reply is there."""
        if bpy.app.background:
            return self.execute(context)
        status = get_status(context)
        if status.busy:
            busy = GaussianSpeechError(
                f"{status.task} is still under way.", "Wait for it or cancel it."
            )
            report_error(self, context, busy)
            return {"CANCELLED"}
        try:
            self._future = _asked(self.begin, context)
        except GaussianSpeechError as error:
            self.clean_up()
            report_error(self, context, error)
            return self._ended_early()
        if self._future is None:
            self.clean_up()
            return {"CANCELLED"}
        status.busy, status.cancel_asked = True, False
        status.task, status.step, status.fraction = self.task_label, "", 0.0
        status.message = ""
        status.is_error, status.hint = False, ""
        self._timer = context.window_manager.event_timer_add(_INTERVAL, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Poll the reply at each tick of the timer."""
        status = get_status(context)
        if event.type == "ESC" and event.value == "PRESS":
            status.cancel_asked = True
        elif event.type != "TIMER":
            return {"PASS_THROUGH"}
        if status.cancel_asked:
            status.cancel_asked = False
            self._future.cancel()
        if not self._future.done:
            self._show(context)
            return {"RUNNING_MODAL" if event.type == "ESC" else "PASS_THROUGH"}
        return self._take(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: a new file is loaded, Blender quits, or a dialog is closed."""
        if self._future is not None:
            self._future.cancel()
            self._leave(context)

    def _show(self, context: bpy.types.Context) -> None:
        status = get_status(context)
        status.fraction, status.step = self.progress()
        done = f"{round(100 * status.fraction)} %"
        step = f" ({status.step})" if status.step else ""
        text = f"{self.task_label}: {done}{step}.  Esc cancels"
        context.workspace.status_text_set(text)
        _redraw(context)

    def _take(self, context: bpy.types.Context) -> set[str]:
        """Take a reply; then ask for the next, or end."""
        following = None
        try:
            following = _asked(self.finish, context, self._future.result(0))
        except CancelledError:
            status = get_status(context)
            status.message, status.is_error, status.hint = "Cancelled", False, ""
            self.report({"INFO"}, "Cancelled")
            return self._ended_early()
        except GaussianSpeechError as error:
            report_error(self, context, error)
            return self._ended_early()
        finally:
            if following is None:
                self._leave(context)
        if following is None:
            return {"FINISHED"}
        self._future = following
        self._show(context)
        return {"PASS_THROUGH"}

    def _ended_early(self) -> set[str]:
        """What was done before is one step of undo."""
        return {"FINISHED"} if self._changed else {"CANCELLED"}

    def _leave(self, context: bpy.types.Context) -> None:
        context.window_manager.event_timer_remove(self._timer)
        context.workspace.status_text_set(None)
        status = get_status(context)
        status.busy, status.task, status.step = False, "", ""
        self.clean_up()
        _redraw(context)


class GAUSSIANSPEECH_OT_cancel(bpy.types.Operator):
    """Cancel the running work; nothing is changed in the file."""

    bl_idname = "gaussianspeech.cancel"
    bl_label = "Cancel Running Work"
    bl_description = "Cancel the running work; nothing is changed in the file"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """While something is under way."""
        cls.poll_message_set("Nothing is under way")
        return get_status(context).busy or background.shown() is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Ask the running operator to."""
        status = get_status(context)
        if status.busy:
            status.cancel_asked = True
        elif (work := background.shown()) is not None:
            work.cancel()
        return {"FINISHED"}


def finished_within(future: Future, seconds: float) -> Any:
    """The reply to a short request, waited for.

    Raises:
        GaussianSpeechError: what the engine answered, or that it took too long.
    """
    try:
        return future.result(seconds)
    except TimeoutError as error:
        future.cancel()
        raise EngineGoneError(str(error), "Restart the engine in the preferences.") from error


def _asked(step: Callable[..., Future | None], *arguments: Any) -> Future | None:
    """What a step returns.

    Raises:
        GaussianSpeechError: the step's own, or what the system refuses, such as a full disk.
    """
    try:
        return step(*arguments)
    except OSError as error:
        raise refused_by_system(error) from error


def _redraw(context: bpy.types.Context) -> None:
    background.redraw_sidebars(context)
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"VIEW_3D", "PREFERENCES"}:
                area.tag_redraw()


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_OT_cancel,)
