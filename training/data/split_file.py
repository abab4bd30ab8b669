# SPDX-License-Identifier: GPL-3.0-or-later
"""``split.json``: which recordings are for what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.core.errors import BadInputError
from engine.core.json_values import read_json

SPLIT = "split.json"
PARTS = ("training", "validation", "test")


def listed(path: Path) -> dict[str, list[str]]:
    """The names that a ``split.json`` has for each of :data:`PARTS`.

    Raises:
        BadInputError: the file is damaged.
    """
    given = read_json(path, f"It must be an object with lists of names under {', '.join(PARTS)}.")
    return {part: list(given.texts(part)) if part in given else [] for part in PARTS}


def checked(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """The same, of recordings that there are.

    Args:
        path: the file.
        names: of all recordings.

    Raises:
        BadInputError: the file is damaged, or names what is not there or one name twice.
    """
    split = listed(path)
    seen: dict[str, str] = {}
    for part, chosen in split.items():
        for name in chosen:
            if name not in names:
                raise BadInputError(
                    f"{path} names {name!r} for {part}, but there is no such recording.",
                    "Correct the name or add the recording.",
                )
            if name in seen:
                raise BadInputError(
                    f"{path} names {name!r} for {seen[name]} and for {part}.",
                    "Let each recording be in one part.",
                )
            seen[name] = part
    return split
