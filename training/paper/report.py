# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables as Markdown and JSON, with curves, pictures and what was not run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from engine.core.files import atomic_write, write_text
from training.paper.published import GAUSSIANS, LPIPS, PSNR, SSIM, PaperRow
from training.paper.rows import Result
from training.paper.speech import ALONE, SPEED
from training.run.checkpoints import write_json

TABLES_JSON, TABLES_TEXT = "paper.json", "paper.md"
_IMAGE = (PSNR, SSIM, LPIPS)
_MOTION = (
    "LVE (mm)",
    "LVE squared (mm²)",
    "mean vertex error (mm)",
    "FDD (mm²)",
    "opening, correlation",
    *ALONE,
)
COLUMNS: Mapping[int, tuple[str, ...]] = {
    2: (
        *_IMAGE,
        "mouth interior (dB)",
        "eyes (dB)",
        "hair (dB)",
        "skin (dB)",
        "wrinkles (dB)",
        GAUSSIANS,
    ),
    3: (*_MOTION, *_IMAGE, SPEED),
    4: (*_MOTION, *_IMAGE),
}
TITLES = {
    2: "Table 2: the avatar's training",
    3: "Table 3: systems that speech moves",
    4: "Table 4: parts of the sequence model and of the joint training",
}
_DIGITS = {PSNR: 2, SSIM: 4, LPIPS: 4, GAUSSIANS: 0, "opening, correlation": 3, SPEED: 4}
_LABEL = 18
"""Pixels of the line above each strip of a contact sheet."""
_WIDEST = 1_200


@dataclass(frozen=True)
class TableRow:
    """A row with what was measured of it.

    Attributes:
        row: what it is.
        results: of its seeds, those that are done.
        curve: (step, value) of each seed.
        shown: pictures of the contact sheet.
        video: file of its video.
    """

    row: PaperRow
    results: Sequence[Result]
    curve: Sequence[Sequence[tuple[float, float]]] = ()
    shown: Sequence[Path] = ()
    video: Path | None = None

    def values(self, figure: str) -> list[float]:
        """Of each seed."""
        return [r.figures[figure] for r in self.results if figure in r.figures]


@dataclass(frozen=True)
class Report:
    """All there is so far.

    Attributes:
        about: what was run, in sentences.
        tables: rows by number of the table.
        curve_names: what the curves of each table show.
        not_run: (what, why).
    """

    about: Sequence[str]
    tables: Mapping[int, Sequence[TableRow]]
    curve_names: Mapping[int, str]
    not_run: Sequence[tuple[str, str]]


def write(report: Report, out: Path, before: Report | None = None) -> None:
    """Write ``paper.json``, ``paper.md``, ``table-N-curves.png`` and ``table-N.png``.

    Args:
        report: what is written.
        out: the folder.
        before: what lies there already; the pictures of its tables that are the same still stay.
    """
    drawn = before.tables if before is not None else {}
    lines = ["# The paper's tables on this capture", ""]
    lines += [f"- {line}" for line in report.about]
    content: dict[str, Any] = {"about": list(report.about), "tables": {}}
    for number, rows in sorted(report.tables.items()):
        done = [row for row in rows if row.results]
        content["tables"][str(number)] = [_as_json(row) for row in rows]
        if not done:
            continue
        lines += ["", f"## {TITLES[number]}", "", *_markdown(number, done)]
        if any(any(row.curve) for row in done):
            if rows != drawn.get(number):
                _draw_curves(done, report.curve_names[number], out / f"table-{number}-curves.png")
            lines += ["", f"![{report.curve_names[number]}](table-{number}-curves.png)"]
        if any(row.shown for row in done):
            if rows != drawn.get(number):
                _draw_sheet(done, out / f"table-{number}.png")
            lines += ["", f"![rows of the table beside the truth](table-{number}.png)"]
        films = [(row.row.name, row.video) for row in done if row.video is not None]
        if films:
            links = ", ".join(f"[{name}]({path.relative_to(out)})" for name, path in films)
            lines += ["", f"Videos, truth on the left: {links}"]
    content["not run"] = [{"what": what, "why": why} for what, why in report.not_run]
    lines += ["", "## Not run", "", *(f"- **{what}**: {why}" for what, why in report.not_run)]
    write_json(out / TABLES_JSON, content)
    write_text(out / TABLES_TEXT, "\n".join(lines) + "\n")


def _markdown(number: int, rows: Sequence[TableRow]) -> list[str]:
    columns = [name for name in COLUMNS[number] if any(row.values(name) for row in rows)]
    printed = [name for name in columns if any(name in row.row.printed for row in rows)]
    sized = ["parameters"] if any(row.results[0].parameters for row in rows) else []
    head = ["", *columns, *(f"paper's {name}" for name in printed), *sized, "training (s)"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        cells = [_cell(row.values(name), _DIGITS.get(name, 3)) for name in columns]
        theirs = (row.row.printed.get(name) for name in printed)
        figures = zip(printed, theirs, strict=True)
        cells += ["–" if v is None else _number(v, _DIGITS.get(n, 3)) for n, v in figures]
        cells += [_number(p, 0) if (p := row.results[0].parameters) else "–" for _ in sized]
        cells.append(_cell([r.seconds for r in row.results if r.seconds], 0))
        lines.append(_line([row.row.name + ("" if row.row.in_paper else " *"), *cells]))
    if any(not row.row.in_paper for row in rows):
        lines += ["", "\\* not in the paper"]
    return lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def _cell(values: Sequence[float], digits: int) -> str:
    """Mean and, of several seeds, standard deviation."""
    if not values:
        return "–"
    mean = _number(float(np.mean(values)), digits)
    if len(values) == 1:
        return mean
    return f"{mean} ± {_number(float(np.std(values, ddof=1)), digits)}"


def _as_json(row: TableRow) -> dict[str, Any]:
    names = dict.fromkeys(name for result in row.results for name in result.figures)
    figures = {}
    for name in names:
        values = row.values(name)
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        figures[name] = {"mean": float(np.mean(values)), "spread": spread, "values": values}
    return {
        "row": row.row.name,
        "in paper": row.row.in_paper,
        "seeds": len(row.results),
        "figures": figures,
        "paper": dict(row.row.printed),
        "parameters": row.results[0].parameters if row.results else 0,
        "training seconds": [result.seconds for result in row.results],
        "notes": list(dict.fromkeys(note for result in row.results for note in result.notes)),
    }


def _draw_curves(rows: Sequence[TableRow], name: str, path: Path) -> None:
    """All rows in one plot; the seeds of a row have one colour."""
    figure = Figure((8.0, 4.2), layout="constrained")
    axes: Any = figure.add_subplot()
    for number, row in enumerate(row for row in rows if any(row.curve)):
        for seed, points in enumerate(row.curve):
            steps, values = zip(*points, strict=True) if points else ((), ())
            label = row.row.name if seed == 0 else None
            axes.plot(steps, values, color=f"C{number % 10}", label=label, linewidth=1.2)
    axes.set_xlabel("step")
    axes.set_ylabel(name)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(fontsize=7)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _draw_sheet(rows: Sequence[TableRow], path: Path) -> None:
    """The pictures of each row under its name."""
    parts: list[tuple[str, Image.Image]] = []
    for row in rows:
        for shown in row.shown:
            with Image.open(shown) as picture:
                strip = picture.convert("RGB")
            name = row.row.name if shown.name != "truth.png" else "captured"
            if strip.width > _WIDEST:
                strip = strip.resize((_WIDEST, math.ceil(strip.height * _WIDEST / strip.width)))
            parts.append((name, strip))
    height = sum(strip.height + _LABEL for _, strip in parts)
    sheet = Image.new("RGB", (max(strip.width for _, strip in parts), height), "white")
    draw, top = ImageDraw.Draw(sheet), 0
    for name, strip in parts:
        draw.text((4, top + 3), name, fill="black")
        sheet.paste(strip, (0, top + _LABEL))
        top += strip.height + _LABEL
    with atomic_write(path) as temporary:
        sheet.save(temporary, "PNG")
