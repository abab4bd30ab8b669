# SPDX-License-Identifier: GPL-3.0-or-later
"""Loss curves as a picture and a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from engine.core.files import atomic_write

_SIZE = (900, 480)
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 180, 30, 45
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f")


def save_table(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """Rows of named numbers as CSV."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)


def save_curves(path: Path, rows: Sequence[dict[str, float]], title: str) -> None:
    """Every column but ``step`` over the steps, with a logarithmic scale, as PNG.

    Args:
        path: final name.
        rows: each with ``step`` and any of the other columns.
        title: above the picture.
    """
    image = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(image)
    names = [n for n in dict.fromkeys(k for row in rows for k in row) if n != "step"]
    curves = {
        name: np.array([(r["step"], r[name]) for r in rows if r.get(name, 0.0) > 0.0])
        for name in names
    }
    curves = {name: curve for name, curve in curves.items() if len(curve)}
    draw.text((_LEFT, 10), title, fill="black")
    width, height = _SIZE[0] - _LEFT - _RIGHT, _SIZE[1] - _TOP - _BOTTOM
    draw.rectangle((_LEFT, _TOP, _LEFT + width, _TOP + height), outline="#888888")
    if curves:
        together = np.concatenate(list(curves.values()))
        last = max(float(together[:, 0].max()), 1.0)
        low = np.floor(np.log10(together[:, 1].min()))
        high = max(np.ceil(np.log10(together[:, 1].max())), low + 1)
        for decade in np.arange(low, high + 1):
            y = _TOP + height * (1 - (decade - low) / (high - low))
            draw.line((_LEFT, y, _LEFT + width, y), fill="#dddddd")
            draw.text((8, y - 6), f"{10.0**decade:g}", fill="black")
        for part in np.linspace(0, 1, 6):
            draw.text(
                (_LEFT + part * width - 10, _SIZE[1] - 35), f"{part * last:.0f}", fill="black"
            )
        for number, (name, curve) in enumerate(curves.items()):
            colour = _COLOURS[number % len(_COLOURS)]
            x = _LEFT + width * curve[:, 0] / last
            y = _TOP + height * (1 - (np.log10(curve[:, 1]) - low) / (high - low))
            points = list(zip(x.tolist(), y.tolist(), strict=True))
            if len(points) > 1:
                draw.line(points, fill=colour, width=2)
            draw.ellipse((*(np.array(points[-1]) - 2), *(np.array(points[-1]) + 2)), fill=colour)
            label = f"{name} {curve[-1, 1]:.4g}"
            draw.text((_SIZE[0] - _RIGHT + 12, _TOP + 18 * number), label, fill=colour)
    draw.text((_LEFT + width // 2 - 15, _SIZE[1] - 18), "steps", fill="black")
    with atomic_write(path) as temporary:
        image.save(temporary, "PNG")
