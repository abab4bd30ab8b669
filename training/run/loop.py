# SPDX-License-Identifier: GPL-3.0-or-later
"""The one training loop: step, validate, checkpoint, resume, record, preview, cancel."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from engine.core.errors import BadInputError, CancelledError
from engine.jobs.worker import JobHandle
from training.run.checkpoints import STATE, load_checkpoint, save_checkpoint
from training.run.processes import Processes
from training.run.record import Record


class Trainable(Protocol):
    """What a loop trains. All that is drawn by chance follows from its state."""

    @property
    def step(self) -> int:
        """Steps done in all runs together."""

    @property
    def total(self) -> int:
        """Steps wanted."""

    @property
    def finished(self) -> bool:
        """Whether no step is left, because all are done or none would help."""

    @property
    def message(self) -> str:
        """How it stands, for people."""

    def advance(self) -> Mapping[str, float]:
        """One step of the optimiser; the terms of its loss by name, ``total`` among them."""

    def validate(self) -> Mapping[str, float]:
        """Measures on data that is held out, by name; keeps the best result where it has one."""

    def preview(self) -> Path | None:
        """Draw the picture that shows how far it is; ``None`` where there is none."""

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` resumes from: tensors, numbers and strings."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state, to the same losses as a run that was never interrupted."""


@dataclass(frozen=True)
class Intervals:
    """Steps between what a loop does besides stepping; each is done after the last step too.

    Attributes:
        checkpoint: writes the state.
        validate: measures on held-out data.
        preview: draws a picture.
    """

    checkpoint: int
    validate: int
    preview: int


@dataclass(frozen=True)
class Step:
    """A step that was made.

    Attributes:
        number: steps made in all runs together.
        total: steps wanted.
        loss: what was minimised.
        message: how the training stands.
        preview: a picture that was drawn anew.
    """

    number: int
    total: int
    loss: float
    message: str
    preview: Path | None = None


Watch = Callable[[Step], None]
"""Called after every step; may raise :class:`~engine.core.errors.CancelledError`."""


def unwatched(_step: Step) -> None:
    """A watch that does nothing."""


def report_to(job: JobHandle) -> Watch:
    """A watch that reports to a job, and cancels where the job is to stop."""

    def watch(step: Step) -> None:
        job.update(
            step.number,
            total=step.total,
            loss=step.loss,
            preview=step.preview,
            message=step.message,
        )
        if job.cancel_requested:
            raise CancelledError

    return watch


class TrainingLoop:
    """Trains in a folder.

    ``losses.csv`` and ``losses.png`` show the course, ``checkpoints/last.pt`` is what a run resumes
    from. A cancelled run leaves a checkpoint of its last step; one that fails keeps the last good
    one, for a state that led to a failure is nothing to resume from.
    """

    def __init__(
        self,
        trained: Trainable,
        folder: Path,
        settings: Mapping[str, Any],
        intervals: Intervals,
        record: Record | None,
    ) -> None:
        """Prepare a run.

        Args:
            trained: what is trained.
            folder: of the run.
            settings: of the training, as JSON has them; a run resumes only with the same.
            intervals: when to do what.
            record: of the losses; ``None`` in processes other than the first of several, which
                give their part of the state and leave the writing to the first.
        """
        self.trained, self.folder, self.settings = trained, folder, settings
        self.intervals, self.record = intervals, record
        self._seconds, self._since = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of all runs together."""
        return self._seconds + time.monotonic() - self._since

    @property
    def checkpoint(self) -> Path:
        """File of the state."""
        return self.folder / STATE

    def resume(self, processes: Processes | None = None) -> None:
        """Resume from the checkpoint.

        Args:
            processes: that train together, where there are several: the first one reads it for all.

        Raises:
            BadInputError: there is none, it is damaged, or it is of another training.
        """

        def read() -> dict[str, Any]:
            return load_checkpoint(self.checkpoint, self.settings)

        state = read() if processes is None else processes.from_first(read)
        try:
            self.trained.restore(state)
            if self.record is not None:
                self.record.restore(state["record"])
        except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise BadInputError(
                f"The checkpoint {self.checkpoint} does not fit this training: {error}",
                "Resume with what the training was started with, or train in another folder.",
            ) from error
        self._seconds = float(state.get("seconds", 0.0))

    def run(self, watch: Watch = unwatched) -> None:
        """Train until nothing is left to do.

        Raises:
            CancelledError: ``watch`` raised it; the state was saved.
            GaussianSpeechError: a checkpoint cannot be written.
        """
        self._since = time.monotonic()
        try:
            while not self.trained.finished:
                watch(self._step())
        except (CancelledError, KeyboardInterrupt):
            self.save()
            raise
        finally:
            if self.record is not None:
                self.record.close()

    def save(self) -> None:
        """Write the checkpoint.

        Raises:
            GaussianSpeechError: it cannot be written; the last good one is still there.
        """
        state = self.trained.state()
        if self.record is None:
            return
        rest = {
            "settings": dict(self.settings),
            "record": self.record.state(),
            "seconds": self.seconds,
        }
        save_checkpoint(self.checkpoint, state | rest)

    def measure(self) -> Mapping[str, float]:
        """Validate and record the measures, with the seconds that training took."""
        measures = {**self.trained.validate(), "seconds": self.seconds}
        if self.record is not None:
            self.record.measure(self.trained.step, measures)
        return measures

    def _step(self) -> Step:
        trained, preview = self.trained, None
        terms = trained.advance()
        if self.record is not None:
            self.record.add(trained.step, terms)
            if self._due(self.intervals.validate):
                self.measure()
        if self._due(self.intervals.checkpoint):
            self.save()
        if self.record is not None and self._due(self.intervals.preview):
            preview = trained.preview()
        return Step(trained.step, trained.total, terms["total"], trained.message, preview)

    def _due(self, interval: int) -> bool:
        step = self.trained.step
        return step % interval == 0 or step == self.trained.total
