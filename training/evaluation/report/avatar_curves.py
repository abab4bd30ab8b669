# SPDX-License-Identifier: GPL-3.0-or-later
"""The curves of an avatar training, as its job's folder keeps them."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.figure import Figure

from engine.core.errors import BadInputError

CURVES_NAME = "losses.csv"
_COLUMNS = 3


def read_curves(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """(step, value) points by name; nothing where the folder has no curves.

    Raises:
        BadInputError: the table is damaged.
    """
    path = folder / CURVES_NAME
    if not path.is_file():
        return {}
    curves: dict[str, list[tuple[float, float]]] = {}
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


def curves_figure(curves: dict[str, list[tuple[float, float]]]) -> Figure:
    """A small plot for each curve; unweighted terms are left out."""
    shown = {name: points for name, points in curves.items() if not name.startswith("raw/")}
    lines = -(-len(shown) // _COLUMNS)
    figure = Figure((10.5, 2.1 * lines), layout="constrained")
    for number, (name, points) in enumerate(shown.items()):
        axes = figure.add_subplot(lines, _COLUMNS, number + 1)
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, linewidth=1.2, marker="." if len(points) < 20 else "")
        if min(values) > 0 and max(values) > 10 * min(values) and "dB" not in name:
            axes.set_yscale("log")
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(visible=True, alpha=0.25)
    return figure
