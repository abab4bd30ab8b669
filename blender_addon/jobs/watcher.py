# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the jobs that the panel shows up to date, without ever making Blender wait. No bpy."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass
from pathlib import Path

from ...engine.core.errors import GaussianSpeechError
from ...engine.jobs.summary import JobSummary
from ..engine_link.future import Future
from .client import JobsClient, listed_jobs

_BUSY, _IDLE, _LONGEST = 1.0, 4.0, 300.0
"""Seconds between two lists while a job runs, while none does, and after many errors."""

_LOOKED_AWAY = 60.0
"""Seconds after the section was last drawn; then the engine is asked only about running jobs."""


@dataclass(frozen=True)
class Snapshot:
    """The jobs at one time.

    Attributes:
        jobs: the latest first.
        log: last lines of the chosen job, where they were asked for.
        error: why there is nothing newer.
    """

    jobs: tuple[JobSummary, ...] = ()
    log: tuple[str, ...] = ()
    error: GaussianSpeechError | None = None


class Watcher:
    """Asks for the jobs when that is due, and takes the answers.

    Attributes:
        client: whom it asks.
        snapshot: the latest answer.
        chosen: id of the job whose picture and log are wanted.
        with_log: whether its log is.
        pictures: folder for pictures; it is made when there is one.
    """

    def __init__(self) -> None:
        self.client: JobsClient | None = None
        self.snapshot = Snapshot()
        self.chosen, self.with_log = "", False
        self.pictures = Path()
        self._forget()
        self._drawn_at = -_LOOKED_AWAY

    @property
    def is_current(self) -> bool:
        """Whether the snapshot is of after the last :meth:`expect`."""
        return self._taken_at >= self._expecting_since

    @property
    def has_answer(self) -> bool:
        """Whether the engine has answered, with jobs or an error."""
        return self._taken_at > 0

    def job(self, job_id: str) -> JobSummary | None:
        """A job of the snapshot."""
        return next((job for job in self.snapshot.jobs if job.id == job_id), None)

    def picture(self, job: JobSummary) -> tuple[Path, int] | None:
        """The file of a job's latest picture that was fetched, and when that was written."""
        return self._fetched.get(job.id)

    def watch(self, client: JobsClient | None) -> None:
        """Ask another client from now on."""
        if client is not self.client:
            self.client, self.snapshot = client, Snapshot()
            self._forget()

    def drawn(self) -> None:
        """Somebody looks at the jobs."""
        self._wanted = self._wanted or not self._looked_at
        self._drawn_at = time.monotonic()

    def read_soon(self) -> None:
        """Ask at the next tick."""
        self._wanted = True

    def expect(self) -> None:
        """Something has changed that the snapshot does not show yet."""
        self._expecting_since = time.monotonic()
        self._wanted = True

    def read_now(self) -> None:
        """Ask and wait for the answer; for scripts and background Blender."""
        if self.client is None:
            return
        self._ask()
        while self._asked or self._fetching is not None:
            futures = [*self._asked.values(), *([self._fetching[1]] if self._fetching else [])]
            for future in futures:
                future.wait(_LONGEST)
            self._take_answers()

    def tick(self) -> bool:
        """Take the answers that are there and ask when it is due; whether anything changed."""
        changed = self._take_answers()
        if self.client is not None and not self._asked and self._due():
            changed |= self._ask()
        return changed

    def take_ended(self) -> list[JobSummary]:
        """The jobs that have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    @property
    def _looked_at(self) -> bool:
        return time.monotonic() - self._drawn_at < _LOOKED_AWAY

    def _forget(self) -> None:
        self._asked: dict[str, Future] = {}
        self._fetching: tuple[JobSummary, Future] | None = None
        self._fetched: dict[str, tuple[Path, int]] = {}
        self._ended: list[JobSummary] = []
        self._asked_at = self._taken_at = self._expecting_since = 0.0
        self._errors = 0
        self._wanted = False

    def _due(self) -> bool:
        busy = any(job.running for job in self.snapshot.jobs)
        if self._wanted:
            return True
        if not (busy or self._looked_at):
            return False
        pause = _BUSY if busy and self._looked_at else _IDLE
        if self._errors:
            pause = min(_LONGEST, _IDLE * 2**self._errors)
        return time.monotonic() - self._asked_at >= pause

    def _ask(self) -> bool:
        assert self.client is not None
        self._wanted, self._asked_at = False, time.monotonic()
        try:
            self._asked = {"list": self.client.list()}
            if self.with_log and self.chosen:
                self._asked["log"] = self.client.log(self.chosen)
        except GaussianSpeechError as error:
            self._asked = {}
            return self._take(error=error)
        return False

    def _take_answers(self) -> bool:
        changed = False
        if self._asked and all(future.done for future in self._asked.values()):
            asked, self._asked = self._asked, {}
            log: tuple[str, ...] = ()
            if "log" in asked:
                with contextlib.suppress(GaussianSpeechError):  # The job may be gone by now.
                    log = tuple(map(str, asked["log"].result(0).body["lines"]))
            try:
                changed = self._take(listed_jobs(asked["list"].result(0)), log)
            except GaussianSpeechError as error:
                changed = self._take(error=error)
        if self._fetching is not None and self._fetching[1].done:
            changed |= self._take_picture(*self._fetching)
        return changed

    def _take(
        self,
        jobs: tuple[JobSummary, ...] = (),
        log: tuple[str, ...] = (),
        error: GaussianSpeechError | None = None,
    ) -> bool:
        before, self._taken_at = self.snapshot, self._asked_at
        if error is not None:
            # The last answer is better than nothing.
            self._errors += 1
            self.snapshot = Snapshot(before.jobs, before.log, error)
            return not before.error or before.error.message != error.message
        self._errors = 0
        self.snapshot = Snapshot(jobs, log)
        running = {job.id for job in before.jobs if job.running}
        self._ended += [job for job in jobs if job.id in running and not job.running]
        self._fetch_picture()
        return before != self.snapshot

    def _fetch_picture(self) -> None:
        """Ask for the chosen job's picture where there is a newer one."""
        job = self.job(self.chosen)
        if job is None or self.client is None or self._fetching is not None or not job.preview:
            return
        _, fetched = self._fetched.get(job.id, (None, 0))
        if fetched != job.preview:
            self._fetching = job, self.client.preview(job.id)

    def _take_picture(self, job: JobSummary, future: Future) -> bool:
        self._fetching = None
        path = self.pictures / (re.sub(r"[^\w.-]", "-", job.id) + ".image")
        try:
            picture = future.result(0).arrays["picture"]
            self.pictures.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture.tobytes())
        except (GaussianSpeechError, OSError, KeyError):
            # A list without its picture is of use; the next one asks for it again.
            return False
        self._fetched[job.id] = path, job.preview
        return True
