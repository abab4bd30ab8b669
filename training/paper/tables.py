# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables from the results that there are."""

from __future__ import annotations

import os
from collections.abc import Sequence

from training.paper import videos
from training.paper.published import JOINT, TABLE_2, TABLE_3, TABLE_4, UNTUNED, PaperRow
from training.paper.report import Report, TableRow
from training.paper.rows import PICTURES, RESULT, Result, file_of, folder_of, stored
from training.paper.scope import Scope
from training.run.machine import processor
from training.run.record import read_curves

_MEASURED = (
    "Motion is measured on the test recordings, which no step saw: as it is used, with the lips "
    "closed where p, b or m was recognised and the like, and of the network alone; with several "
    "seeds, ± is their standard deviation."
)
_LVE, _TEST_PSNR = "validation LVE (mm)", "test PSNR (dB)"


def report_of(scope: Scope, others: Sequence[TableRow]) -> Report:
    """All that is done so far.

    Args:
        scope: what is run.
        others: rows of other systems' videos.
    """
    made = {
        2: [_avatar_row(scope, row) for row in TABLE_2],
        3: [*others, *(_speech_row(scope, row, first=not i) for i, row in enumerate(TABLE_3))],
        4: [_ablation_row(scope, row, first=not i) for i, row in enumerate(TABLE_4)],
    }
    return Report(
        _about(scope),
        {number: made[number] for number in scope.plan.tables},
        {2: _TEST_PSNR, 3: _LVE, 4: _LVE},
        scope.not_run({row.row.name for row in others}),
    )


def _about(scope: Scope) -> list[str]:
    plan = scope.plan
    size = ", ".join(f"{name} {value:g}" for name, value in vars(plan.size).items())
    seen = [_results(scope, "speech", key, PICTURES) for key in scope.presets]
    notes = sorted({note for found in seen for result in found for note in result.notes})
    return [
        f"Capture {plan.data.name}{_about_recordings(scope)}.",
        f"Size: {size}; {plan.seeds} seed(s).",
        f"Made on {processor()}, {os.cpu_count()} logical processors.",
        *([_MEASURED] if scope.recordings else []),
        "The paper's figures, where they were available, are of real people at full size.",
        *(f"Tables 3 and 4, {note}." for note in notes),
    ]


def _about_recordings(scope: Scope) -> str:
    if scope.recordings is None:
        return ""
    split = scope.recordings.found.split()
    parts = ", ".join(f"{len(names)} {part}" for part, names in split.items())
    return f": recordings {parts}; encoder {scope.plan.encoder}"


def _results(scope: Scope, kind: str, key: str, name: str = RESULT) -> list[Result]:
    folders = (folder_of(scope.plan.out, kind, key, seed) for seed in range(scope.plan.seeds))
    return [found for folder in folders if (found := stored(folder, name)) is not None]


def _curves(scope: Scope, kind: str, key: str, name: str) -> list[list[tuple[float, float]]]:
    folders = (folder_of(scope.plan.out, kind, key, seed) for seed in range(scope.plan.seeds))
    return [read_curves(folder).get(name, []) for folder in folders]


def _avatar_row(scope: Scope, row: PaperRow) -> TableRow:
    first = folder_of(scope.plan.out, "avatars", row.key, 0)
    curves = _curves(scope, "avatars", row.key, _TEST_PSNR)
    shown = sorted(first.glob("view-*.png"))
    return TableRow(row, _results(scope, "avatars", row.key), curves, shown)


def _speech_row(scope: Scope, row: PaperRow, *, first: bool) -> TableRow:
    """A row of a speech model; above the first one the captured motion is shown."""
    folder = folder_of(scope.plan.out, "speech", row.key, 0)
    motion = _results(scope, "speech", row.key)
    seen = _results(scope, "speech", row.key, PICTURES)
    results = [
        Result(m.figures | (seen[i].figures if i < len(seen) else {}), m.parameters, m.seconds)
        for i, m in enumerate(motion)
    ]
    strips = [folder / videos.TRUTH] if first else []
    shown = [path for path in [*strips, folder / videos.STILLS] if path.is_file()]
    film = folder / videos.VIDEO
    curves = _curves(scope, "speech", row.key, _LVE)
    return TableRow(row, results, curves, shown, film if film.is_file() else None)


def _ablation_row(scope: Scope, row: PaperRow, *, first: bool) -> TableRow:
    if row.name != UNTUNED and row.key != JOINT:
        return _speech_row(scope, row, first=first)
    if scope.joint:
        file = file_of(UNTUNED if row.name == UNTUNED else JOINT)
        return TableRow(row, _results(scope, "joint", "paper", file))
    if row.name == UNTUNED:
        return TableRow(row, [])
    # Without pictures no colours are tuned, and the full method is its sequence model.
    return _speech_row(scope, PaperRow(row.name, "paper"), first=False)
