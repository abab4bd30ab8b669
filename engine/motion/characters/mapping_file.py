# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of mappings: JSON of what the shape keys and bones of a character's objects stand for.

``{"format": FORMAT, "main": OBJECT, "objects": {OBJECT: [[shape key, pose, amount], …],
ARMATURE: [[bone, channel, pose, value], …]}}``; rotations are in degrees.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...core.checks import check_range, shown
from ...core.files import write_text
from ...core.json_values import JsonObject, read_json
from .bones import BoneRow
from .conventions import Row

FORMAT = "gaussianspeech-character-mapping/1"
_REMEDY = "Choose a file that Save Mapping or 'gaussianspeech export mapping' has written."


class MappingTables(NamedTuple):
    """What a file says.

    Attributes:
        main: the object whose lips and jaw the others follow; of ``objects`` or ``bones``.
        objects: rows of shape keys by object.
        bones: rows of bones by armature.
    """

    main: str
    objects: Mapping[str, tuple[Row, ...]]
    bones: Mapping[str, tuple[BoneRow, ...]]

    @property
    def face(self) -> str:
        """The mesh that speaks most, where the main object is a rig; empty where all are."""
        if self.main in self.objects:
            return self.main
        return max(self.objects, key=lambda name: len(self.objects[name]), default="")


def read_mapping(path: str | Path) -> MappingTables:
    """Read a mapping.

    Raises:
        BadInputError: not such a file, or damaged.
    """
    values = read_json(path, _REMEDY)
    if values.text("format", None) != FORMAT:
        raise values.wrong("it is no mapping of a character")
    objects: dict[str, tuple[Row, ...]] = {}
    bones: dict[str, tuple[BoneRow, ...]] = {}
    for name, entries in values.group("objects").values.items():
        if not isinstance(entries, list):
            raise values.wrong(f"the table of {name!r} is no list")
        if entries and isinstance(entries[0], list) and len(entries[0]) == 4:
            bones[name] = tuple(_bone_row(values, entry) for entry in entries)
        else:
            objects[name] = tuple(_row(values, entry) for entry in entries)
    if not objects and not bones:
        raise values.wrong("it maps no object")
    main, known = values.text("main"), [*objects, *bones]
    return MappingTables(main if main in known else known[0], objects, bones)


def _row(values: JsonObject, entry: object) -> Row:
    match entry:
        case [str(key), str(pose), amount]:
            return Row(key, pose, _finite(values, entry, amount))
    raise values.wrong(f"{str(entry)[:40]!r} is no [shape key, pose, amount]")


def _bone_row(values: JsonObject, entry: object) -> BoneRow:
    match entry:
        case [str(bone), str(channel), str(pose), value]:
            number = _finite(values, entry, value)
            turned = math.radians(number) if _is_angle(channel) else number
            return BoneRow(bone, channel, pose, turned)
    raise values.wrong(f"{str(entry)[:40]!r} is no [bone, channel, pose, value]")


def _finite(values: JsonObject, entry: object, number: object) -> float:
    return check_range(f"{values.where}: the number of {shown(entry)}", number, hint=_REMEDY)


def _is_angle(channel: str) -> bool:
    return channel.startswith("rotation ")


def save_mapping(
    path: str | Path,
    main: str,
    objects: Mapping[str, Sequence[Row]],
    bones: Mapping[str, Sequence[BoneRow]] | None = None,
    notes: Mapping[str, object] | None = None,
) -> None:
    """Write a mapping; :func:`read_mapping` reads back the same.

    Args:
        path: the file.
        main: see :class:`MappingTables`.
        objects: rows of shape keys by object.
        bones: rows of bones by armature.
        notes: more entries, for who edits the file; they are not read back.

    Raises:
        BadInputError: the file cannot be written.
    """
    tables: dict[str, list[list[str | float]]] = {
        name: [list(row) for row in rows] for name, rows in objects.items()
    }
    for name, rows in (bones or {}).items():
        tables[name] = [
            [bone, channel, pose, math.degrees(value) if _is_angle(channel) else value]
            for bone, channel, pose, value in rows
        ]
    values = {"format": FORMAT, "main": main, "objects": tables, **(notes or {})}
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False))
