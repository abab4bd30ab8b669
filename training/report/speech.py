# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on lip sync: a JSON file and a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from engine.files import written_whole
from training.metrics.lip_sync import CLOSED_BELOW, TOUCHING, WITHIN, LipSync, combined

MODES: dict[str, str] = {
    "aligned": "true sounds",
    "without_transcript": "without transcript",
    "with_transcript": "with transcript",
}
"""What the mouth was driven by: the alignment itself, recognised sounds, or aligned words."""

REFERENCES: tuple[dict[str, Any], ...] = (
    {
        "name": "Rhubarb 1.14, words",
        "bilabials": 29,
        "closed": 26,
        "open_vowels": 52,
        "falsely_closed": 7,
    },
    {
        "name": "Rhubarb 1.14, phonetic",
        "bilabials": 29,
        "closed": 21,
        "open_vowels": 52,
        "falsely_closed": 8,
    },
)
"""Measured on five clips of the same recordings, of which the test clips are three; its mouth is
closed where it shows shape A or X."""
_REFERENCE_NOTE = (
    "True sounds: articulation alone. Rhubarb Lip Sync: on five clips of these recordings, closed "
    "= shape A or X."
)


@dataclass(frozen=True)
class ClipResult:
    """One clip in one mode.

    Attributes:
        name: the clip.
        mode: key of :data:`MODES`.
        lip_sync: the measures.
        phones_right: part of the 10 ms steps in which the sound used is the true one.
    """

    name: str
    mode: str
    lip_sync: LipSync
    phones_right: float


@dataclass(frozen=True)
class SpeechReport:
    """Lip sync of clips in one or more modes.

    Attributes:
        head, model: ids.
        fps: frames per second.
        clips: results, by mode and clip.
    """

    head: str
    model: str
    fps: float
    clips: tuple[ClipResult, ...]

    def totals(self) -> dict[str, ClipResult]:
        """All clips of each mode as one."""
        modes = dict.fromkeys(result.mode for result in self.clips)
        return {mode: self._total(mode) for mode in modes}

    def _total(self, mode: str) -> ClipResult:
        of_mode = [result for result in self.clips if result.mode == mode]
        seconds = [result.lip_sync.seconds for result in of_mode]
        right = sum(r.phones_right * s for r, s in zip(of_mode, seconds, strict=True))
        return ClipResult(
            "total", mode, combined([r.lip_sync for r in of_mode]), right / sum(seconds)
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values, as written to ``report.json``; ``null`` where there was no such sound."""
        return {
            "head": self.head,
            "model": self.model,
            "fps": self.fps,
            "definitions": {
                "closed_below_mean_open_gap": CLOSED_BELOW,
                "within_seconds": WITHIN,
                "touching_mm": TOUCHING,
                "lag": "positive where the mouth is later than the sound",
                "jitter": "mean second difference of the lip vertices, mm/frame^2",
            },
            "clips": [_plain(result) for result in self.clips],
            "totals": [_plain(result) for result in self.totals().values()],
            "references": list(REFERENCES),
            "references_note": _REFERENCE_NOTE,
        }

    def save(self, path: str | Path) -> None:
        """Write the JSON; appears only when it is complete."""
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(self.as_json(), indent=1) + "\n", encoding="utf-8")

    def show(self, console: Console | None = None) -> None:
        """Print the table: a row per clip, a total per mode, and the reference."""
        console = console or Console(width=_WIDTH)
        table = Table(
            title=f"Lip sync: {self.model} on head {self.head} at {self.fps:g} fps",
            caption=_REFERENCE_NOTE,
        )
        table.add_column("clip", no_wrap=True)
        for column in _COLUMNS:
            table.add_column(column, justify="right", no_wrap=True)
        for mode, total in self.totals().items():
            table.add_section()
            table.add_row(f"[bold]{MODES[mode]}")
            for result in self.clips:
                if result.mode == mode:
                    table.add_row(result.name, *_cells(result))
            table.add_row("total", *_cells(total), style="bold")
        table.add_section()
        for reference in REFERENCES:
            table.add_row(
                reference["name"],
                _counted(reference["closed"], reference["bilabials"]),
                _counted(reference["falsely_closed"], reference["open_vowels"]),
            )
        console.print(table)


_WIDTH = 136
_COLUMNS = (
    "p b m\nclosed",
    "open vow.\nshut",
    "f v\ntouch",
    "rounding\nmm",
    "lag\nms",
    "silence\nmm",
    "jitter\nmm/f²",
    "open\nmm",
    "overlap\nmm",
    "sounds\nright",
)


def _cells(result: ClipResult) -> Sequence[str]:
    sync = result.lip_sync
    return (
        _counted(sync.closed, sync.bilabials),
        _counted(sync.falsely_closed, sync.open_vowels),
        _counted(sync.touching, sync.labiodentals),
        _number(sync.rounding_contrast, 1),
        _number(sync.lag_ms, 0),
        _number(sync.silence_motion if sync.silence else None, 3),
        _number(sync.jitter, 3),
        _number(sync.open_gap, 1),
        _number(sync.overlap, 1),
        f"{result.phones_right:.0%}",
    )


def _counted(part: int, whole: int) -> str:
    return f"{part}/{whole} {part / whole:4.0%}" if whole else "–"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _plain(result: ClipResult) -> dict[str, Any]:
    sync = result.lip_sync
    counts = ("bilabials", "closed", "open_vowels", "falsely_closed", "labiodentals", "touching")
    rates = ("closure_rate", "false_closure_rate", "contact_rate")
    return {
        "name": result.name,
        "mode": result.mode,
        "seconds": sync.seconds,
        **{name: getattr(sync, name) for name in (*counts, *rates)},
        "rounding_contrast_mm": sync.rounding_contrast,
        "rounded_width_mm": sync.rounded_width if sync.rounded else None,
        "spread_width_mm": sync.spread_width if sync.spread else None,
        "lag_ms": sync.lag_ms,
        "lag_correlation": sync.synchrony.strength,
        "silence_seconds": sync.silence,
        "silence_motion_mm": sync.silence_motion if sync.silence else None,
        "silence_gap_mm": sync.silence_gap if sync.silence else None,
        "jitter_mm_per_frame2": sync.jitter,
        "open_gap_mm": sync.open_gap,
        "overlap_mm": sync.overlap,
        "phones_right": result.phones_right,
    }
