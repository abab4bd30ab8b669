# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what the panel shows in step with the jobs, without ever making Blender wait.

A thread reads; a timer, which outlives the loading of files, takes what it has read, notices what
has ended and redraws the sidebars.
"""

from __future__ import annotations

import time
from functools import partial

import bpy

from ...engine.core.errors import GaussianSpeechError
from ..engine_link.background import redraw_sidebars
from ..engine_link.future import ThreadFuture
from ..status import get_status, set_error, set_message
from .job import Job, State
from .place import Place, Reading

_TICK = 0.5
"""Seconds between looks of the timer."""

_LOCAL_PAUSES = (1.0, 4.0)
"""Seconds between readings of a folder while a job runs, and while none does."""

_REMOTE_PAUSES = (10.0, 60.0)
"""The same for another machine, where each reading starts a process: it is asked only while
somebody looks at the section, and now and then while it works."""

_LOOKED_AWAY = 60.0
"""Seconds after the section was last drawn."""


class Watcher:
    """The latest reading of a place."""

    def __init__(self) -> None:
        self.reading = Reading()
        self.place: Place | None = None
        self.chosen, self.with_log = "", False
        self._thread: ThreadFuture | None = None
        self._read_at = self._taken_at = self._expecting_since = 0.0
        self._drawn_at = -_LOOKED_AWAY
        self._wanted = False

    @property
    def settled(self) -> bool:
        """Whether the reading is of after the last :meth:`expect`."""
        return self._taken_at >= self._expecting_since

    def job(self, job_id: str) -> Job | None:
        """A job of the latest reading."""
        return next((job for job in self.reading.jobs if job.id == job_id), None)

    def look_at(self, place: Place | None) -> None:
        """Watch another place."""
        if place is not self.place:
            self.place, self.reading, self._thread = place, Reading(), None
            self._wanted = place is not None and not place.remote

    def drawn(self) -> None:
        """Somebody looks at the jobs."""
        if not self._looked_at:
            self._wanted = True
        self._drawn_at = time.monotonic()

    def read_soon(self) -> None:
        """Read at the next tick."""
        self._wanted = True

    def expect(self) -> None:
        """Something is new that the present reading does not tell: read soon."""
        self._expecting_since = time.monotonic()
        self._wanted = True

    def read_now(self) -> None:
        """Read and wait for it; for scripts and tests."""
        if self.place is not None:
            self._thread, self._read_at = None, time.monotonic()
            self._take(self.place.read(self.chosen, with_log=self.with_log))

    def tick(self) -> bool:
        """Take what is there and start what is due; whether anything has changed."""
        changed = False
        if self._thread is not None and self._thread.done:
            thread, self._thread = self._thread, None
            try:
                changed |= self._take(thread.result(0))
            except GaussianSpeechError as error:
                changed |= self._take(Reading(error=error))
        if self._thread is None and self.place is not None and self._due():
            read = partial(self.place.read, self.chosen, with_log=self.with_log)
            self._wanted, self._read_at = False, time.monotonic()
            self._thread = ThreadFuture(lambda _: read(), "Reading the jobs")
        return changed

    @property
    def _looked_at(self) -> bool:
        return time.monotonic() - self._drawn_at < _LOOKED_AWAY

    def _due(self) -> bool:
        running, pauses = any(job.running for job in self.reading.jobs), _LOCAL_PAUSES
        busy = running
        if self.place is not None and self.place.remote:
            pauses, busy = _REMOTE_PAUSES, running and self._looked_at
            if not running and not self._looked_at:
                return self._wanted
        pause = pauses[0] if busy else pauses[1]
        return self._wanted or time.monotonic() - self._read_at >= pause

    def _take(self, reading: Reading) -> bool:
        before = self.reading
        if reading.error is not None:
            # What was seen last is better than nothing.
            reading = Reading(before.jobs, before.log, reading.error)
        self.reading = reading
        self._taken_at = self._read_at
        for job in reading.jobs:
            earlier = next((other for other in before.jobs if other.id == job.id), None)
            if earlier is not None and earlier.running and not job.running:
                _announce(job)
        return before != reading


watcher = Watcher()
"""The one of this Blender."""


def _announce(job: Job) -> None:
    status = get_status(bpy.context)
    if status.busy:
        return
    if job.state is State.FAILED:
        error = GaussianSpeechError(
            f"'{job.id}' failed: {job.message}", "Its log in Training may say more."
        )
        set_error(bpy.context, error)
        status.is_engine = False
    elif job.state is State.FINISHED and not status.is_error:
        set_message(bpy.context, f"'{job.id}' has finished")


def _on_timer() -> float:
    from .properties import sync

    try:
        if watcher.tick() | sync(bpy.context):
            redraw_sidebars(bpy.context)
    except (AttributeError, ReferenceError):
        # Between two files, or while the add-on is being taken down, there is nothing to show on.
        return _TICK
    return _TICK


def register() -> None:
    """Start the timer; background Blender has none."""
    if not bpy.app.background:
        bpy.app.timers.register(_on_timer, first_interval=_TICK, persistent=True)


def unregister() -> None:
    """Stop it; jobs go on, as they should."""
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    watcher.look_at(None)
