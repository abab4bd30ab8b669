# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a training: TensorBoard, ``losses.csv``, and its curves as a picture."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from torch.utils.tensorboard import SummaryWriter

from engine.core.errors import BadInputError
from engine.core.files import atomic_write

TABLE = "losses.csv"
CURVES = "losses.png"
_POINT = 25
"""Steps whose mean makes a point of the curves."""

_BETWEEN_PICTURES = 10.0
"""Seconds; drawing takes a quarter of one."""

Curves = dict[str, list[tuple[float, float]]]
"""(step, value) points by name."""


class Record:
    """Losses and measures of a training, step by step.

    Attributes:
        history: rows with ``step`` and what was measured there.
    """

    def __init__(self, folder: Path, title: str, drawn: Collection[str] | None = None) -> None:
        """Begin a record.

        Args:
            folder: of the training.
            title: above the picture of the curves.
            drawn: names of the curves in the picture; all of them by default.
        """
        self.folder, self.title, self.drawn = folder, title, drawn
        self.history: list[dict[str, float]] = []
        self._recent: list[dict[str, float]] = []
        self._next_picture, self._drawn_rows = -math.inf, 0
        self._board: Any = SummaryWriter(str(folder / "tensorboard"))  # type: ignore[no-untyped-call]

    def add(self, step: int, terms: Mapping[str, float]) -> None:
        """Take a step's losses; every 25 become a point."""
        self._recent.append(dict(terms))
        if step % _POINT:
            return
        names = dict.fromkeys(name for row in self._recent for name in row)
        means = {n: float(np.mean([r[n] for r in self._recent if n in r])) for n in names}
        self._recent.clear()
        self._keep({"step": float(step), **means})

    def measure(self, step: int, values: Mapping[str, float]) -> None:
        """Take measures, and write the table; the picture too, but not many times a minute."""
        self._keep({"step": float(step), **values})
        self._write_table()
        if time.monotonic() >= self._next_picture:
            self._draw()

    def _write_table(self) -> None:
        path = self.folder / TABLE
        names = list(dict.fromkeys(name for row in self.history for name in row))
        with (
            atomic_write(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.DictWriter(file, names, restval="")
            table.writeheader()
            table.writerows(self.history)
        self._board.flush()

    def _draw(self) -> None:
        curves = read_curves(self.folder)
        if self.drawn is not None:
            curves = {name: curves[name] for name in self.drawn if name in curves}
        with atomic_write(self.folder / CURVES) as temporary:
            curves_figure(curves, self.title).savefig(temporary, format="png", dpi=110)
        self._next_picture = time.monotonic() + _BETWEEN_PICTURES
        self._drawn_rows = len(self.history)

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` resumes from."""
        return {"history": self.history, "recent": self._recent}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        self.history = list(state["history"])
        self._recent = list(state["recent"])

    def close(self) -> None:
        """Write what is not written yet, and end TensorBoard's thread."""
        if len(self.history) > self._drawn_rows:
            self._write_table()
            self._draw()
        self._board.close()

    def _keep(self, row: dict[str, float]) -> None:
        self.history.append(row)
        for name, value in row.items():
            if name != "step" and math.isfinite(value):
                self._board.add_scalar(name, value, int(row["step"]))


def read_curves(folder: Path) -> Curves:
    """The curves of a training's folder; nothing where it has none.

    Raises:
        BadInputError: the table is damaged.
    """
    path = folder / TABLE
    if not path.is_file():
        return {}
    curves: Curves = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                step = float(row["step"])
                for name, text in row.items():
                    if name != "step" and text:
                        curves.setdefault(name, []).append((step, float(text)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path} is damaged: {error}.", "Train again.") from error
    return curves


def training_seconds(folder: Path) -> float:
    """Of a training's folder, without what came after its last measure; 0 where it has none.

    Raises:
        BadInputError: the table is damaged.
    """
    clock = read_curves(folder).get("seconds", [])
    return clock[-1][1] if clock else 0.0


def curves_figure(curves: Curves, title: str = "") -> Figure:
    """A small plot for each curve, logarithmic where it spans more than a decade.

    Args:
        curves: unweighted terms, whose names begin with ``raw/``, and the clock are left out.
        title: above all.
    """
    shown = {
        name: points
        for name, points in curves.items()
        if name != "seconds" and not name.startswith("raw/")
    }
    lines = max(1, -(-len(shown) // 3))
    height = 2.1 * lines + 0.3
    figure = Figure((10.5, height))
    # Placed by hand: a constrained layout takes several times as long as the plots.
    figure.subplots_adjust(
        left=0.05, right=0.99, wspace=0.2, hspace=0.45, top=1 - 0.6 / height, bottom=0.3 / height
    )
    figure.suptitle(title, fontsize=10, y=1 - 0.1 / height)
    for number, (name, points) in enumerate(shown.items()):
        _plot(figure.add_subplot(lines, 3, number + 1), name, points)
    return figure


def _plot(axes: Any, name: str, points: Sequence[tuple[float, float]]) -> None:
    steps, values = zip(*points, strict=True)
    axes.plot(steps, values, linewidth=1.2, marker="." if len(points) < 20 else "")
    # Few ticks and no minor ones: they take most of the time that a picture takes.
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if min(values) > 0 and max(values) > 10 * min(values) and "dB" not in name:
        axes.set_yscale("log")
        parts = (1.0, 3.0) if max(values) < 1e4 * min(values) else (1.0,)
        axes.yaxis.set_major_locator(LogLocator(subs=parts, numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_title(name, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.grid(visible=True, alpha=0.25)
