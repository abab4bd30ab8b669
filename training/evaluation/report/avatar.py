# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on an avatar: a JSON file, a table, and a page with pictures."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.core.files import write_text
from training.metrics.image_scores import REGION_NAMES, Scores, ViewScores, together

REPORT_NAME = "report.json"
PAGE_NAME = "report.html"
TURNTABLE_NAME = "turntable.mp4"
_WIDTH = 100


@dataclass(frozen=True)
class AvatarReport:
    """An avatar on the test camera of a capture.

    Attributes:
        avatar: file or id.
        capture: name of the capture.
        camera: id of the test camera.
        size: (width, height) pixels.
        gaussians: G.
        color: kind of the colour model.
        file_bytes: size of the file; ``None`` for the shipped avatar.
        backend: rasteriser.
        frame_seconds: median time of a frame: placing, colours and rasterising.
        lpips_net: network of LPIPS.
        lpips_missing: why there is no LPIPS; empty where there is.
        losses_off: terms of the loss that the avatar was trained without, for want of weights.
        cameras_tuned: whether the training gave each of its cameras a map of colours, which the
            test camera has none of.
        views: scores view by view.
    """

    avatar: str
    capture: str
    camera: str
    size: tuple[int, int]
    gaussians: int
    color: str
    file_bytes: int | None
    backend: str
    frame_seconds: float
    lpips_net: str
    lpips_missing: str
    losses_off: str
    cameras_tuned: bool
    views: tuple[ViewScores, ...]

    @property
    def scores(self) -> Scores:
        """Of all views together."""
        return together(self.views)

    def rows(self) -> list[tuple[str, str]]:
        """Names and values of what the table shows."""
        scores = self.scores
        rows = [
            ("PSNR", decibel_text(scores.psnr)),
            *(
                [("PSNR, colours corrected", decibel_text(scores.corrected))]
                if self.cameras_tuned
                else []
            ),
            ("SSIM", f"{scores.ssim:.4f}"),
            (f"LPIPS ({self.lpips_net})", _number(scores.lpips, 4)),
            *((f"PSNR, {name}", decibel_text(scores.regions[name])) for name in REGION_NAMES),
            ("Gaussians", f"{self.gaussians:,}"),
        ]
        if self.file_bytes is not None:
            rows.append(("file", f"{self.file_bytes / 1e6:.2f} MB"))
        rows.append((f"frame, {self.backend}", f"{1000 * self.frame_seconds:.1f} ms"))
        return rows

    def notes(self) -> list[str]:
        """What one has to know to read the numbers."""
        width, height = self.size
        notes = [
            (
                f"{len(self.views)} views of camera '{self.camera}', which training did not see, "
                f"at {width}×{height}, on black."
            ),
            (
                "PSNR, SSIM and LPIPS are means over views; PSNR of a region is over its pixels in "
                "all views together."
            ),
            "Wrinkles: the tenth of the facial skin with the deepest furrows in the true picture.",
        ]
        if self.cameras_tuned:
            notes.append(
                "Colours corrected: under the affine map of colours that fits each view best, for "
                "what the training learned of its cameras' colours says nothing of this one."
            )
        if self.losses_off not in ("", "none"):
            notes.append(
                f"Trained without the perceptual losses {self.losses_off}: their weights were not "
                "found (docs/weights.md)."
            )
        if self.lpips_missing:
            notes.append(f"No LPIPS: {self.lpips_missing}")
        return notes

    def as_json(self) -> dict[str, Any]:
        """Plain values; ``null`` where there is no number."""
        scores = self.scores
        return {
            "avatar": self.avatar,
            "capture": self.capture,
            "camera": self.camera,
            "size": list(self.size),
            "gaussians": self.gaussians,
            "color": self.color,
            "file_bytes": self.file_bytes,
            "backend": self.backend,
            "frame_seconds": self.frame_seconds,
            "psnr": finite(scores.psnr),
            "psnr_corrected": finite(scores.corrected) if self.cameras_tuned else None,
            "ssim": scores.ssim,
            "lpips": scores.lpips,
            "lpips_net": self.lpips_net,
            "losses_off": self.losses_off,
            "regions_psnr": {name: finite(scores.regions[name]) for name in REGION_NAMES},
            "notes": self.notes(),
            "views": [
                {
                    "camera": view.camera_id,
                    "timestep": view.timestep,
                    "psnr": finite(view.psnr),
                    "ssim": view.ssim,
                    "lpips": view.lpips,
                    "regions_psnr": {
                        name: finite(view.regions[name].psnr) for name in REGION_NAMES
                    },
                    "regions_pixels": {name: view.regions[name].pixels for name in REGION_NAMES},
                }
                for view in self.views
            ],
        }

    def save(self, path: str | Path) -> None:
        """Write the JSON; appears only when it is complete."""
        write_text(path, json.dumps(self.as_json(), indent=1) + "\n")

    def show(self, console: Console | None = None) -> None:
        """Print the table."""
        console = console or Console(width=_WIDTH)
        title = Text(f"{Path(self.avatar).name} on {self.capture}")
        table = Table(title=title, show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for name, value in self.rows():
            table.add_row(name, Text(value))
        console.print(table)
        for note in self.notes():
            console.print(note, highlight=False, markup=False)


def decibel_text(value: float | None) -> str:
    """``27.31 dB``, or n/a."""
    return "n/a" if value is None or math.isnan(value) else f"{value:.2f} dB"


def finite(value: float | None) -> float | None:
    """JSON has neither infinity nor NaN."""
    return value if value is not None and math.isfinite(value) else None


def _number(value: float | None, digits: int) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"
