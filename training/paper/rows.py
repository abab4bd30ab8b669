# SPDX-License-Identifier: GPL-3.0-or-later
"""What was trained and measured, one file each: what is done is not done again."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from engine.core.json_values import read_json
from training.run.checkpoints import write_json

RESULT, PICTURES = "row.json", "pictures.json"


@dataclass(frozen=True)
class Result:
    """A training that was measured.

    Attributes:
        figures: by name, with units.
        parameters: numbers that were learned; 0 where that means nothing.
        seconds: of the training, on the clock.
        notes: what one has to know of it.
    """

    figures: dict[str, float] = field(default_factory=dict)
    parameters: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


def folder_of(out: Path, kind: str, name: str, seed: int) -> Path:
    """Where a training and its result lie."""
    return out / kind / _plain(name) / f"seed-{seed}"


def file_of(name: str) -> str:
    """The file of one of several results of a training."""
    return f"{_plain(name)}.json"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")


def stored(folder: Path, name: str = RESULT) -> Result | None:
    """The result of a folder; ``None`` where there is none yet.

    Raises:
        BadInputError: the file is damaged.
    """
    path = folder / name
    if not path.is_file():
        return None
    content = read_json(path, "Remove it: it is measured again.")
    figures = content.group("figures")
    return Result(
        {name: figures.number(name) for name in figures.values},
        content.whole("parameters", 0),
        content.number("seconds", 0.0),
        list(content.texts("notes")) if "notes" in content else [],
    )


def store(folder: Path, result: Result, name: str = RESULT) -> None:
    """Write a result, whole or not at all; a figure that is no number is none."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {key: value for key, value in result.figures.items() if math.isfinite(value)}
    write_json(folder / name, asdict(replace(result, figures=figures)))
