# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's side of a job: it reports how far it is, and asks whether it should stop.

Used by a training loop like this::

    with JobHandle.current(total=config.steps) as job:
        for step in range(first, config.steps):
            loss = train_step()
            job.update(step + 1, loss=loss)
            if job.cancel_requested:
                save_checkpoint(job.checkpoints)
                raise CancelledError
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.core.errors import BadInputError, CancelledError, one_line
from engine.core.progress import Progress, no_progress
from engine.jobs.command import ENVIRONMENT
from engine.jobs.folder import show
from engine.jobs.record import cancel_requested, withdraw_cancel
from engine.jobs.status import JobStatus, State, read_status, write_status
from engine.jobs.summary import duration_text

_INTERVAL = 0.5


class JobHandle:
    """A job from its worker's side; a context that records how the work ended.

    Leaving it after :class:`~engine.core.errors.CancelledError` marks the job cancelled and ends
    the error; after any other error the job is failed and the error propagates, into the log.

    Attributes:
        folder: the job's folder.
        checkpoints: folder for what a resumed run starts from.
        resumed: whether an earlier run of this job left off somewhere.
    """

    def __init__(self, folder: str | Path, *, total: int = 0) -> None:
        """Open a job.

        Args:
            folder: the job's folder.
            total: steps in all; 0 where unknown.

        Raises:
            BadInputError: the folder holds no job.
        """
        job = show(folder)
        self.folder = job.folder
        self.checkpoints = job.checkpoints
        self.resumed = job.runs > 1
        before = read_status(self.folder)
        self._status = replace(
            before, state=State.RUNNING, total=total, message="", notes=(), preparing=True
        )
        self._shown: Progress = no_progress
        self._first_step: int | None = None
        self._first_time = self._written = time.monotonic()

    @classmethod
    def current(cls, *, total: int = 0) -> Self:
        """The job this process was started for.

        Raises:
            BadInputError: it was not started as a job.
        """
        folder = os.environ.get(ENVIRONMENT)
        if not folder:
            raise BadInputError(
                "This process was not started as a job.", f"Set {ENVIRONMENT} to a job's folder."
            )
        return cls(folder, total=total)

    @property
    def status(self) -> JobStatus:
        """The latest status, written or about to be."""
        return self._status

    @property
    def cancel_requested(self) -> bool:
        """Whether the user asked to stop; save a checkpoint, then raise ``CancelledError``."""
        return cancel_requested(self.folder)

    def update(
        self,
        step: int,
        *,
        total: int | None = None,
        loss: float | None = None,
        preview: str | Path | None = None,
        message: str | None = None,
    ) -> None:
        """Report how far the work is; written at most twice a second, a new preview at once.

        Args:
            step: steps done in all runs together.
            total: steps in all, where that became known or changed.
            loss: latest loss.
            preview: a picture in the job's folder.
            message: what it is at.
        """
        now = time.monotonic()
        if total is not None:
            self._status = replace(self._status, total=total)
        # Before the number of steps is known all is preparation, and says nothing of the speed.
        if self._first_step is None and self._status.total:
            self._first_step, self._first_time = step, now
        eta = None
        if self._first_step is not None and step > self._first_step:
            seconds = (now - self._first_time) / (step - self._first_step)
            eta = max(0, self._status.total - step) * seconds
        shown = None if preview is None else self._relative(preview)
        self._status = replace(
            self._status,
            preparing=self._status.preparing and step <= self._status.step,
            step=step,
            loss=self._status.loss if loss is None else float(loss),
            eta=eta,
            preview=self._status.preview if shown is None else shown,
            message=self._status.message if message is None else message,
        )
        self._show()
        if shown is not None or now - self._written >= _INTERVAL:
            # Hours of training do not end because a status could not be written; the next may be.
            with contextlib.suppress(OSError, BadInputError):
                self._write()

    def shown_by(self, progress: Progress) -> None:
        """Have each report shown to people, too, with the time that is left."""
        self._shown = progress

    def has_begun(self) -> None:
        """Say that a step is done that ending the process would lose."""
        self._status = replace(self._status, preparing=False)

    def note(self, text: str) -> None:
        """Say once what the result lacks; kept in the status and printed into the log."""
        if text in self._status.notes:
            return
        print(f"note: {text}", flush=True)
        self._status = replace(self._status, notes=(*self._status.notes, text))
        with contextlib.suppress(OSError, BadInputError):
            self._write()

    def progress(self, fraction: float, message: str) -> None:
        """As :data:`engine.core.progress.Progress`, for parts of the work that know no steps.

        Raises:
            CancelledError: the user asked to stop.
        """
        if self.cancel_requested:
            raise CancelledError
        total = self._status.total
        self.update(round(fraction * total) if total else self._status.step, message=message)

    def __enter__(self) -> Self:
        self._write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None:
            state, message = State.FINISHED, self._status.message
        elif isinstance(error, (CancelledError, KeyboardInterrupt)):
            state, message = State.CANCELLED, "Cancelled."
        else:
            state, message = State.FAILED, one_line(error)
        self._status = replace(
            self._status, state=state, message=message, eta=None, preparing=False
        )
        try:
            self._write()
            withdraw_cancel(self.folder)
        except (OSError, BadInputError) as failure:
            # The work's own error, if there is one, is the one to propagate.
            print(f"The job's status cannot be written: {failure}", file=sys.stderr, flush=True)
        return isinstance(error, CancelledError)

    def part(self, first: int, steps: int, name: str) -> JobPart:
        """A stage of the job, which counts its own steps.

        Args:
            first: step of the job at which the stage begins.
            steps: of the job that the stage takes, however many it counts itself.
            name: starts its messages.
        """
        self._status = replace(self._status, step=first, preparing=True)
        with contextlib.suppress(OSError, BadInputError):
            self._write()
        return JobPart(self, first, steps, name)

    def _relative(self, preview: str | Path) -> str:
        path, folder = Path(preview), self.folder.resolve()
        # Of a job whose folder was given relative to the current one, pictures are, too.
        if path.resolve().is_relative_to(folder):
            return path.resolve().relative_to(folder).as_posix()
        if path.is_absolute():
            raise BadInputError(
                f"The preview {path} is not in the job's folder {self.folder}.",
                "Write previews into the job's folder.",
            )
        return path.as_posix()

    def _show(self) -> None:
        status = self._status
        left = "" if not status.eta else f", {duration_text(status.eta)} left"
        self._shown(status.step / status.total if status.total else 0.0, status.message + left)

    def _write(self) -> None:
        self._written = time.monotonic()
        write_status(self.folder, replace(self._status, updated=time.time()))


class JobPart(JobHandle):
    """A stage of a job (:meth:`JobHandle.part`): what it reports goes into the job's own status."""

    def __init__(self, job: JobHandle, first: int, steps: int, name: str) -> None:
        self._job, self._first, self._steps, self._name = job, first, steps, name
        self.folder, self.checkpoints, self.resumed = job.folder, job.checkpoints, job.resumed
        self._status = replace(job.status, step=0, total=0, notes=())

    def has_begun(self) -> None:
        """As :meth:`JobHandle.has_begun`."""
        self._job.has_begun()

    def note(self, text: str) -> None:
        """As :meth:`JobHandle.note`; its own status has the stage's alone."""
        self._job.note(text)
        if text not in self._status.notes:
            self._status = replace(self._status, notes=(*self._status.notes, text))

    def update(
        self,
        step: int,
        *,
        total: int | None = None,
        loss: float | None = None,
        preview: str | Path | None = None,
        message: str | None = None,
    ) -> None:
        """As :meth:`JobHandle.update`, in the stage's own steps."""
        total = self._status.total if total is None else total
        said = self._status.message if message is None else message
        self._status = replace(self._status, step=step, total=total, message=said)
        done = min(1.0, step / total) if total else 0.0
        if step:
            # Steps of the job may be longer than its own.
            self._job.has_begun()
        self._job.update(
            self._first + round(done * self._steps),
            loss=loss,
            preview=preview,
            message=f"{self._name}: {said}" if said else self._name,
        )
