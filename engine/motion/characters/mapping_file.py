# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of mappings: JSON of what the shape keys of each object of a character stand for.

``{"format": FORMAT, "main": OBJECT, "objects": {OBJECT: [[shape key, pose, amount], …]}}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...core.files import atomic_write
from ...core.json_values import JsonObject, read_json
from .conventions import Row

FORMAT = "gaussianspeech-character-mapping/1"
_REMEDY = "Choose a file that Save Mapping or 'gaussianspeech export mapping' has written."


class MappingTables(NamedTuple):
    """What a file says.

    Attributes:
        main: the object whose lips and jaw the others follow.
        objects: rows by object; ``main`` is one of them.
    """

    main: str
    objects: Mapping[str, tuple[Row, ...]]


def read_mapping(path: str | Path) -> MappingTables:
    """Read a mapping.

    Raises:
        BadInputError: not such a file, or damaged.
    """
    values = read_json(path, _REMEDY)
    if values.text("format", None) != FORMAT:
        raise values.wrong("it is no mapping of a character")
    objects = {}
    for name, entries in values.group("objects").values.items():
        if not isinstance(entries, list):
            raise values.wrong(f"the table of {name!r} is no list")
        objects[name] = tuple(_row(values, entry) for entry in entries)
    if not objects:
        raise values.wrong("it maps no object")
    main = values.text("main")
    return MappingTables(main if main in objects else next(iter(objects)), objects)


def _row(values: JsonObject, entry: object) -> Row:
    match entry:
        case [str(key), str(pose), int() | float() as amount]:
            return Row(key, pose, float(amount))
    raise values.wrong(f"{str(entry)[:40]!r} is no [shape key, pose, amount]")


def save_mapping(path: str | Path, main: str, objects: Mapping[str, Sequence[Row]]) -> None:
    """Write a mapping; :func:`read_mapping` reads back the same.

    Raises:
        BadInputError: the file cannot be written.
    """
    tables = {name: [list(row) for row in rows] for name, rows in objects.items()}
    values = {"format": FORMAT, "main": main, "objects": tables}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1, ensure_ascii=False), "utf-8")
