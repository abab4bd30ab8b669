# SPDX-License-Identifier: GPL-3.0-or-later
"""Emotion over time from a file that any spreadsheet writes."""

from __future__ import annotations

import csv
from itertools import pairwise
from math import isfinite
from pathlib import Path

from ...core.errors import BadInputError
from .emotion import EMOTIONS, EmotionKey

_TIME = "seconds"
_REMEDY = (
    f"Give a CSV file with a line of names, '{_TIME}' and any of {', '.join(EMOTIONS)}, and below "
    "it a line for each key, its amounts from 0 to 1."
)
_MOST_BYTES = 10_000_000


def read_emotion_curve(path: str | Path) -> tuple[EmotionKey, ...]:
    """The keys of a CSV file: ``seconds,joy,surprise`` and a line of numbers for each key.

    Args:
        path: UTF-8 text with commas; emotions that have no column stay at 0.

    Raises:
        BadInputError: no such file, other names, or lines that are not numbers in the order of
            time.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BadInputError(f"{path} is too large for a curve of emotions.", _REMEDY)
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"{path} cannot be read: {error}.", _REMEDY) from error
    names = [name.strip().lower() for name in rows[0]] if rows else []
    known = names[:1] == [_TIME] and set(names[1:]) <= set(EMOTIONS)
    if not known or len(names) < 2 or len(set(names)) < len(names):
        raise BadInputError(f"{path} begins with the names {', '.join(names) or 'none'}.", _REMEDY)
    keys = tuple(_key(path, number, names, row) for number, row in enumerate(rows[1:], 2))
    if not keys:
        raise BadInputError(f"{path} holds no key.", _REMEDY)
    if any(after.time <= before.time for before, after in pairwise(keys)):
        raise BadInputError(f"The times in {path} do not rise.", _REMEDY)
    return keys


def _key(path: Path, number: int, names: list[str], row: list[str]) -> EmotionKey:
    try:
        values = dict(zip(names, map(float, row), strict=True))
    except ValueError:
        values = {}
    time = values.pop(_TIME, float("nan"))
    if not isfinite(time) or not all(0 <= amount <= 1 for amount in values.values()):
        raise BadInputError(f"Line {number} of {path} is {','.join(row)[:60]!r}.", _REMEDY)
    return EmotionKey(time, tuple(values.get(name, 0.0) for name in EMOTIONS))
