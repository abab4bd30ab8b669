# SPDX-License-Identifier: GPL-3.0-or-later
"""Bakes that are drafted in slices, one after the other, while the user works.

A timer gives each slice a few milliseconds of Blender's main thread. What a draft is made for may
change meanwhile: undo, an edit of the line's keys, or of its controls, begins it anew. Nothing is
put into the file while Blender renders, or while the user moves something with the mouse.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ...engine.core.errors import CancelledError, GaussianSpeechError
from ..engine_link.background import redraw_sidebars
from . import drafts, nla
from .bake import baking, rebaking
from .line_draft import LineDraft, Source
from .lines import line_by_id
from .slices import SlicedWork, Steps, run_through

_SLICE = 0.003
"""Seconds of the main thread at a time; a step that is begun within them ends soon after."""
_TICK, _ASIDE, _WAITING = 0.002, 0.01, 0.05
"""Seconds between two slices, while another thread works, and where nothing can be done."""
_TRIES = 5
"""Times that a draft is begun while what it is made for keeps changing; the last counts."""
_HOLDING = ("RENDER", "OBJECT_BAKE")
"""Jobs of Blender that must see one bake throughout."""
_OWN_HOLDING = ("GAUSSIANSPEECH_OT_viewport_render",)
_BY_JOB = ("RENDER_OT_render", "OBJECT_OT_bake")
"""Operators that hold by their jobs: they themselves end with the next event after those."""

Make = Callable[[bool], Steps[LineDraft]]
"""Begins a draft; in the place of what there is, where that is asked for."""

_queue: list[BakeFuture] = []
_listeners: list[Callable[[], None]] = []
"""Called before each slice, to put what is made into the file."""


class BakeFuture:
    """The draft of a line, as a future: made in slices, or at once where a script waits for it.

    Args:
        line_id: id of the line.
        make: begins the draft.
    """

    def __init__(self, line_id: str, make: Make) -> None:
        self.line, self._scene = line_id, bpy.context.scene.name
        self._make, self._tries = make, 0
        self._work: SlicedWork[LineDraft] | None = None
        self._draft: LineDraft | None = None
        self._error: GaussianSpeechError | None = None
        _queue.append(self)
        _start()

    @property
    def done(self) -> bool:
        """Whether :meth:`result` gives a draft that may be put into the file now, or raises."""
        return self._error is not None or (self._draft is not None and not is_held(bpy.context))

    @property
    def is_made(self) -> bool:
        """Whether nothing is left to do on it."""
        return self._error is not None or self._draft is not None

    @property
    def failed(self) -> GaussianSpeechError | None:
        """Why there is no draft."""
        return self._error

    def poll(self) -> tuple[float, str]:
        """Fraction in [0, 1], and what is done."""
        if self._draft is not None and not self.done:
            return 1.0, "waiting for the render or what is being moved"
        line = line_by_id(self.line)
        name = "" if line is None else f" '{line.name}'"
        progress = 0.0 if self._work is None else self._work.progress
        return (1.0 if self.is_made else progress), f"baking{name}"

    def wait(self, _timeout: float) -> bool:
        """Make it at once, whatever it takes."""
        if not self.is_made:
            self.leave()
            try:
                self._draft = run_through(self._make(True))
            except GaussianSpeechError as error:
                self._error = error
        return True

    def result(self, _timeout: float | None = None) -> LineDraft:
        """The draft.

        Raises:
            GaussianSpeechError: there is none.
        """
        if self._error is not None:
            raise self._error
        assert self._draft is not None
        self.leave(keep=True)
        return self._draft

    def cancel(self) -> None:
        """End it without a draft."""
        self.leave()
        if self._error is None:
            self._error = CancelledError()

    def restart(self) -> None:
        """Begin anew: what it was made for has changed."""
        if self._error is None:
            self._tries = 0
            self._end()

    def leave(self, *, keep: bool = False) -> None:
        """Be worked on no more."""
        if not keep:
            self._end()
        if self in _queue:
            _queue.remove(self)

    def advance(self, seconds: float) -> None:
        """Work for a slice."""
        try:
            with self.in_scene():
                self._draft = self._advanced(seconds)
        except ReferenceError as error:
            # What it is about was removed, or changed by a script in the middle of it.
            self._end()
            if self._tries >= _TRIES:
                self._fail(GaussianSpeechError(f"The line changes all the time: {error}."))
        except GaussianSpeechError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - one failure stops neither the others nor the timer
            traceback.print_exc()
            what = f"The bake failed: {type(error).__name__}: {error}"
            self._fail(GaussianSpeechError(what, "The system console says more."))

    def check(self) -> None:
        """Begin anew where what it was made for has changed since."""
        if self._draft is None:
            return
        with self.in_scene():
            if is_held(bpy.context):
                self._tries = 0  # There is time to change as often as one likes.
            if self._tries < _TRIES and not self._draft.is_current(bpy.context):
                self._end()

    def _advanced(self, seconds: float) -> LineDraft | None:
        """Work; the draft, once it is made and what it was made for is still so."""
        if self._work is None:
            self._tries += 1
            self._work = SlicedWork(self._make(False), "Baking")
        if not self._work.advance(seconds):
            return None
        draft, self._work = self._work.result, None
        assert draft is not None
        if self._tries < _TRIES and not draft.is_current(bpy.context):
            draft.discard()
            return None
        return draft

    def in_scene(self) -> AbstractContextManager[Any]:
        """Let the context have the scene that it was asked for in, whatever is shown since."""
        scene = bpy.data.scenes.get(self._scene)
        return bpy.context.temp_override(scene=scene) if scene is not None else nullcontext()

    @property
    def interval(self) -> float:
        """Seconds until the next slice."""
        if self.is_made:
            return _WAITING
        return _ASIDE if self._work is not None and self._work.waits else _TICK

    def _fail(self, error: GaussianSpeechError) -> None:
        self.leave()
        self._error = error

    def _end(self) -> None:
        if self._work is not None:
            self._work.close()
        if self._draft is not None:
            self._draft.discard()
        self._work = self._draft = None


def is_held(context: bpy.types.Context) -> bool:
    """Whether nothing may be put into the file at the moment."""
    if any(bpy.app.is_job_running(kind) for kind in _HOLDING):
        return True
    running = (
        operator.bl_idname
        for window in context.window_manager.windows
        for operator in window.modal_operators
    )
    # Operators of Blender itself, which move something while they run, are no Python classes.
    return any(
        name in _OWN_HOLDING or not (name in _BY_JOB or hasattr(bpy.types, name))
        for name in running
    )


def drafting_of(line_id: str, source: Source | None = None) -> Make:
    """Begins the draft of a line: of a new prediction, or anew with its controls."""

    def make(in_place: bool) -> Steps[LineDraft]:  # noqa: FBT001 - as futures ask
        if source is None:
            return rebaking(bpy.context, line_id, in_place=in_place)
        return baking(bpy.context, line_id, source, in_place=in_place)

    return make


def has_timers() -> bool:
    """Whether there is anything that makes slices: background Blender has no timers."""
    return not bpy.app.background


def tick() -> bool:
    """Work for one slice; whether there is more to do."""
    for future in _queue:
        future.check()
    waiting = len(_queue)
    for listener in _listeners:
        listener()
    if len(_queue) < waiting:  # Putting a bake into the file takes as long as a slice.
        return True
    unmade = next((future for future in _queue if not future.is_made), None)
    if unmade is None:
        return bool(_queue)
    unmade.advance(_SLICE)
    return True


def listen(listener: Callable[[], None]) -> None:
    """Call a function before each slice; where it takes a draft, that is all of the slice."""
    _listeners.append(listener)


def forget(listener: Callable[[], None]) -> None:
    """Call it no more."""
    _listeners.remove(listener)


def _start() -> None:
    if has_timers() and not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=_TICK, persistent=True)


_shown = ""
"""How far all are, where the sidebar was drawn last."""


def _on_timer() -> float | None:
    global _shown  # noqa: PLW0603 - of this Blender
    going = tick()
    now = f"{sum(future.poll()[0] for future in _queue):.1f}" if going else ""
    if now != _shown:
        _shown = now
        redraw_sidebars(bpy.context)
    if not going:
        return None
    return min((future.interval for future in _queue), default=_TICK)


@persistent
def _on_update(_scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """An Action was edited: a draft that takes its place has not seen that."""
    if not _queue or not depsgraph.id_type_updated("ACTION"):
        return
    edited = [update.id.original for update in depsgraph.updates]
    found = [each for each in edited if isinstance(each, bpy.types.Action)]
    touched = {action.get(mark) for action in found for mark in (nla.LINE, nla.EDITS)}
    for future in _queue:
        if future.line in touched:
            future.restart()


@persistent
def _on_undo(*_: object) -> None:
    """The file has another state: nothing of what was made for the last one is of use."""
    for future in _queue:
        future.restart()
    drafts.discard_all()


@persistent
def _on_load(_file: str) -> None:
    """Another file: its lines are others."""
    while _queue:
        _queue[0].cancel()


def _handlers() -> list[tuple[list[Any], Any]]:
    handlers = bpy.app.handlers
    return [
        (handlers.depsgraph_update_post, _on_update),
        (handlers.undo_post, _on_undo),
        (handlers.redo_post, _on_undo),
        (handlers.load_pre, _on_load),
    ]


def register() -> None:
    """Watch the file."""
    for handlers, function in _handlers():
        handlers.append(function)


def unregister() -> None:
    """End everything."""
    for handlers, function in _handlers():
        handlers.remove(function)
    while _queue:
        _queue[0].cancel()
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
