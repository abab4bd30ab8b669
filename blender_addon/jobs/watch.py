# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what the panel shows in step with the jobs, without ever making Blender wait.

A thread reads; a timer, which outlives the loading of files, takes what it has read, notices what
has ended and redraws the sidebars. The same timer takes the answers of commands under way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bpy

from ...engine.errors import CancelledError, GaussianSpeechError
from ..status import get_status, say, show_error
from .command import ThreadWork
from .job import Job, State
from .place import Place, Reading

_TICK = 0.5
"""Seconds between looks of the timer."""

_LOCAL_PAUSES = (1.0, 4.0)
"""Seconds between readings of a folder while a job runs, and while none does."""

_REMOTE_PAUSES = (10.0, 60.0)
"""The same for another machine, where each reading starts a process."""


@dataclass(frozen=True)
class Action:
    """A command under way.

    Attributes:
        work: it.
        done: what to do with its answer, on Blender's own thread; returns what to say.
    """

    work: ThreadWork
    done: Callable[[Any], str]


class Watcher:
    """The latest reading of a place, and the commands under way."""

    def __init__(self) -> None:
        self.reading = Reading()
        self.place: Place | None = None
        self.log_of = ""
        self.actions: list[Action] = []
        self._thread: ThreadWork | None = None
        self._read_at = 0.0
        self._wanted = False

    def job(self, job_id: str) -> Job | None:
        """A job of the latest reading."""
        return next((job for job in self.reading.jobs if job.id == job_id), None)

    def look_at(self, place: Place | None) -> None:
        """Watch another place."""
        if place is not self.place:
            self.place, self.reading, self._thread = place, Reading(), None
            self._wanted = True

    def read_soon(self) -> None:
        """Read at the next tick."""
        self._wanted = True

    def read_now(self) -> None:
        """Read and wait for it; for scripts and tests."""
        if self.place is not None:
            self._thread = None
            self._take(self.place.read(self.log_of))

    def act(
        self,
        label: str,
        function: Callable[[threading.Event], Any],
        done: Callable[[Any], str],
    ) -> None:
        """Do something that takes a while, and ``done`` with what it gives at a later tick."""
        self.actions.append(Action(ThreadWork(function, label), done))

    def tick(self) -> bool:
        """Take what is there and start what is due; whether anything has changed."""
        changed = self._finish_actions()
        if self._thread is not None and self._thread.done:
            thread, self._thread = self._thread, None
            try:
                changed |= self._take(thread.result(0))
            except GaussianSpeechError as error:
                changed |= self._take(Reading(self.reading.jobs, self.reading.log, error))
        if self._thread is None and self.place is not None and self._due():
            place, log_of = self.place, self.log_of
            self._wanted, self._read_at = False, time.monotonic()
            self._thread = ThreadWork(lambda _: place.read(log_of), "reading the jobs")
        return changed

    def _due(self) -> bool:
        busy, calm = _REMOTE_PAUSES if self.place and self.place.remote else _LOCAL_PAUSES
        pause = busy if any(job.running for job in self.reading.jobs) else calm
        return self._wanted or time.monotonic() - self._read_at >= pause

    def _take(self, reading: Reading) -> bool:
        before, self.reading = self.reading, reading
        for job in reading.jobs:
            earlier = next((other for other in before.jobs if other.id == job.id), None)
            if earlier is not None and earlier.running and not job.running:
                _announce(job)
        return before != reading

    def _finish_actions(self) -> bool:
        finished = [action for action in self.actions if action.work.done]
        self.actions = [action for action in self.actions if not action.work.done]
        for action in finished:
            try:
                say(bpy.context, action.done(action.work.result(0)))
            except CancelledError:
                continue
            except GaussianSpeechError as error:
                show_error(bpy.context, error)
        return bool(finished)


watcher = Watcher()
"""The one of this Blender."""


def _announce(job: Job) -> None:
    status = get_status(bpy.context)
    if status.busy:
        return
    if job.state is State.FAILED:
        error = GaussianSpeechError(
            f"The training '{job.id}' failed: {job.message}", "Its log in Training may say more."
        )
        show_error(bpy.context, error)
        status.is_engine = False
    elif job.state is State.FINISHED:
        say(bpy.context, f"The training '{job.id}' has finished")


def _on_timer() -> float:
    from .properties import sync

    try:
        if watcher.tick() | sync(bpy.context):
            redraw(bpy.context)
    except (AttributeError, ReferenceError):
        # Between two files, or while the add-on is being taken down, there is nothing to show on.
        return _TICK
    return _TICK


def redraw(context: bpy.types.Context) -> None:
    """Redraw the sidebars, and not the 3D views beside them."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def register() -> None:
    """Start the timer; background Blender has none."""
    if not bpy.app.background:
        bpy.app.timers.register(_on_timer, first_interval=_TICK, persistent=True)


def unregister() -> None:
    """Stop it. Commands under way end by themselves; jobs go on, as they should."""
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    for action in watcher.actions:
        action.work.cancel()
    watcher.actions.clear()
    watcher.look_at(None)
