# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver: hands out tasks, tries failed ones again elsewhere, and says how far it is."""

from __future__ import annotations

import statistics
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from engine.batch.lines import BatchLine
from engine.batch.tasks import Executor, Failure, Outcome, Stage, Task
from engine.core.progress import Progress, no_progress

_PATIENCE = 0.5
"""Seconds between reports while nothing ends."""


@dataclass
class Report:
    """What a batch has done.

    Attributes:
        lines: how many there are.
        made: outputs that were made, by kind.
        there: lines of which everything was there.
        failed: the last failure of each line that is not done, in the manifest's order.
        retried: tasks that were tried again.
        seconds: of wall time.
        busy: seconds that all tasks took, added up.
        typical: median seconds of a task that made something, by stage.
        processor: median seconds of processor time of such a task, by stage.
        speech: seconds of speech that was animated or filmed.
        warnings: what the user should know, by name of the line.
    """

    lines: int
    made: Counter[str] = field(default_factory=Counter)
    there: int = 0
    failed: list[Failure] = field(default_factory=list)
    retried: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    speech: float = 0.0
    typical: dict[Stage, float] = field(default_factory=dict)
    processor: dict[Stage, float] = field(default_factory=dict)
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)


def run_batch(
    lines: Sequence[BatchLine],
    executor: Executor,
    *,
    retries: int = 2,
    progress: Progress = no_progress,
) -> Report:
    """Do all tasks of all lines; a failure stops nothing but its line.

    Args:
        lines: of the manifest.
        executor: who does the work; it stays open.
        retries: how many more times a task is tried that failed for no fault of its line.
        progress: called a few times a second; may raise to cancel.
    """
    run = _Run(lines, executor, retries)
    while run.step(_PATIENCE):
        progress(*run.state())
    progress(*run.state())
    return run.finished()


class _Run:
    """A batch as it runs."""

    def __init__(self, lines: Sequence[BatchLine], executor: Executor, retries: int) -> None:
        self._executor, self._retries = executor, retries
        self._waiting = deque(Task(line, "speak") for line in lines)
        self._running = 0
        self._began = time.perf_counter()
        self._report = Report(len(lines))
        self._touched: set[str] = set()
        films = sum(bool(line.films) for line in lines)
        self._left: dict[Stage, int] = {"speak": len(lines), "film": films}
        self._taken: dict[Stage, list[float]] = {"speak": [], "film": []}
        self._used: dict[Stage, list[float]] = {"speak": [], "film": []}
        self._ended = 0

    def step(self, seconds: float) -> bool:
        """Hand out what there is room for and take what has ended; whether there is more."""
        while self._waiting and self._running < self._executor.slots:
            self._executor.submit(self._waiting.popleft())
            self._running += 1
        if not self._running and not self._waiting:
            return False
        for ended in self._executor.wait(seconds):
            self._running -= 1
            if isinstance(ended, Outcome):
                self._succeed(ended)
            else:
                self._fail(ended)
        return bool(self._running or self._waiting)

    def _succeed(self, outcome: Outcome) -> None:
        task, report = outcome.task, self._report
        report.made.update(outcome.made)
        report.busy += outcome.seconds
        report.speech += outcome.speech
        if outcome.warnings:
            report.warnings[task.line.name] = outcome.warnings
        if outcome.made:
            self._touched.add(task.line.name)
            self._taken[task.stage].append(outcome.seconds)
            self._used[task.stage].append(outcome.processor)
        self._left[task.stage] -= 1
        if task.stage == "speak" and task.line.films:
            # Before further lines: the first films are there soon, and the forecast is even.
            self._waiting.appendleft(Task(task.line, "film"))
            return
        self._ended += 1
        report.there += task.line.name not in self._touched

    def _fail(self, failure: Failure) -> None:
        task = failure.task
        if failure.bad_input or task.attempt > self._retries:
            self._left[task.stage] -= 1
            self._left["film"] -= task.stage == "speak" and bool(task.line.films)
            self._report.failed.append(failure)
            self._ended += 1
            return
        self._report.retried += 1
        avoid = tuple(dict.fromkeys((*task.avoid, failure.node))) if failure.node else task.avoid
        self._waiting.append(Task(task.line, task.stage, task.attempt + 1, avoid))

    def state(self) -> tuple[float, str]:
        """Part of the lines that have ended, and the same in words with the time that is left."""
        lines = self._report.lines
        message = f"lines done: {self._ended} of {lines}"
        if self._report.failed:
            message += f", {len(self._report.failed)} failed"
        left = self._seconds_left()
        if left is not None:
            message += f", {timedelta(seconds=round(left))} left"
        return (self._ended / lines if lines else 1.0), message

    def _seconds_left(self) -> float | None:
        """By the mean time of each stage, and how many have run at a time so far."""
        elapsed = time.perf_counter() - self._began
        means = {stage: sum(taken) / len(taken) for stage, taken in self._taken.items() if taken}
        if not means or not self._report.busy:
            return None
        needed = sum(means.get(stage, 0.0) * count for stage, count in self._left.items())
        at_a_time = max(1.0, self._report.busy / elapsed)
        return needed / at_a_time

    def finished(self) -> Report:
        """What was done."""
        self._report.seconds = time.perf_counter() - self._began
        self._report.typical = _medians(self._taken)
        self._report.processor = _medians(self._used)
        self._report.failed.sort(key=lambda failure: failure.task.line.number)
        return self._report


def _medians(taken: dict[Stage, list[float]]) -> dict[Stage, float]:
    return {stage: statistics.median(found) for stage, found in taken.items() if found}
