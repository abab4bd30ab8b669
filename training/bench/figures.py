# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a benchmark, and how they are measured beside their references."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine.core.progress import Progress, no_progress


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: by which runs are compared, ``part.what``.
        what: for people.
        value: least of some runs.
        unit: of value and reference; less is better.
        reference: name of what it is beside.
        reference_value: least of as many runs, in turn with it.
    """

    name: str
    what: str
    value: float
    unit: str
    reference: str
    reference_value: float

    @property
    def ratio(self) -> float:
        """How many times as fast as the reference; above 1 is faster."""
        return self.reference_value / self.value


@dataclass(frozen=True)
class Curve:
    """How a figure grows.

    Attributes:
        name: ``part.what``.
        what: for people.
        x_label: with unit.
        y_label: with unit.
        x: the points.
        y: as many.
    """

    name: str
    what: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass
class Part:
    """What a part of the benchmark works with, and what it has found.

    Attributes:
        folder: for its files.
        quick: fewer runs, smaller sizes.
        progress: called now and then.
        figures: found so far.
        curves: found so far.
    """

    folder: Path
    quick: bool = False
    progress: Progress = no_progress
    figures: list[Figure] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    @property
    def runs(self) -> int:
        """How often a work of some milliseconds is timed."""
        return 3 if self.quick else 15

    def compare(
        self,
        name: str,
        what: str,
        work: Callable[[], object],
        reference: str,
        other: Callable[[], object],
        *,
        unit: str = "ms",
        per: float = 1.0,
        runs: int | None = None,
    ) -> Figure:
        """Time a work and its reference in turn.

        Args:
            name: of the figure.
            what: of the figure.
            work: what is measured; it has run once before.
            reference: its name.
            other: the reference.
            unit: ``"ms"`` or ``"s"``, with what follows for people (``"s per s"``).
            per: what both times are divided by, such as frames or seconds of speech.
            runs: of each.
        """
        mine, theirs = in_turn(work, other, runs or self.runs)
        scale = (1e3 if unit.startswith("ms") else 1.0) / per
        return self.add(name, what, scale * mine, unit, reference, scale * theirs)

    def add(
        self, name: str, what: str, value: float, unit: str, reference: str, other: float
    ) -> Figure:
        """Note a figure that was measured otherwise."""
        figure = Figure(name, what, value, unit, reference, other)
        self.figures.append(figure)
        self.progress(0.0, f"{what}: {value:.4g} {unit}, {figure.ratio:.3g} × {reference}")
        return figure

    def grow(
        self, name: str, what: str, labels: tuple[str, str], points: dict[float, float]
    ) -> None:
        """Note how a figure grows."""
        self.curves.append(Curve(name, what, *labels, tuple(points), tuple(points.values())))
        self.progress(0.0, what)


def in_turn(
    work: Callable[[], object], other: Callable[[], object], runs: int
) -> tuple[float, float]:
    """Least seconds of each of two works that run by turns, after an untimed run of each."""
    least = [float("inf"), float("inf")]
    for run in range(runs + 1):
        for index, one in enumerate((work, other)):
            start = time.perf_counter()
            one()
            if run:
                least[index] = min(least[index], time.perf_counter() - start)
    return least[0], least[1]


def seconds(work: Callable[[], object], runs: int = 3) -> float:
    """Least seconds of a work, after an untimed run."""
    return in_turn(work, lambda: None, runs)[0]
