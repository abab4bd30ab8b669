# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a character speak, by which shape keys, and what those do in a performance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.characters.character import Character, Clip, Part, Values
from engine.core.errors import BadInputError
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.conventions import ARKIT, CONVENTIONS, Proposal, Row, propose
from engine.motion.characters.mapping import mapping_of_rows
from engine.motion.characters.mapping_file import read_mapping
from engine.motion.interchange.face_curves import FaceCurves


@dataclass(frozen=True)
class SpeakingMapping:
    """What the shape keys of a character's parts stand for.

    Attributes:
        source: the convention that the names follow, or the mapping's file.
        main: number of the part whose lips and jaw the others follow.
        tables: rows by number of the part.
        armatures: names of the rigs that a file maps, too, whose bones are Blender's to move.
    """

    source: str
    main: int
    tables: Mapping[int, tuple[Row, ...]]
    armatures: tuple[str, ...] = ()


def proposed_mapping(character: Character) -> SpeakingMapping:
    """What the names of shape keys say; VRM expressions where those of the meshes say no more.

    Raises:
        BadInputError: they say nothing.
    """
    found = find_mapping(character)
    if found is None:
        raise _speechless(character)
    return found


def find_mapping(character: Character) -> SpeakingMapping | None:
    """As :func:`proposed_mapping`; ``None`` where the names say nothing.

    Raises:
        BadInputError: there are no shape keys at all.
    """
    if not any(part.keys for part in character.parts):
        raise _speechless(character)
    parts = list(enumerate(character.parts))
    found = [(number, propose(part.keys)) for number, part in parts]
    known = [(number, proposal) for number, proposal in found if proposal is not None]
    if not known:
        return None
    main, proposal = max(known, key=lambda one: _telling(one[1], character.parts[one[0]]))
    tables = {main: proposal.rows}
    for number, part in parts:
        if character.parts[main].is_expressions or part.is_expressions or number == main:
            continue
        other = propose(part.keys, proposal.convention)
        if other is not None:
            tables[number] = other.rows
    return SpeakingMapping(proposal.convention.name, main, tables)


def _telling(proposal: Proposal, part: Part) -> tuple[bool, int, bool]:
    """By what one part's names are preferred to another's."""
    return proposal.convention.name == ARKIT, len(proposal.rows), part.is_expressions


def _speechless(character: Character) -> BadInputError:
    keys = [key for part in character.parts for key in part.keys]
    mesh = character.path.suffix.lower() in (".glb", ".gltf")
    head = f"speak with --head {character.path}, which gives a face the default head's expressions"
    if not keys:
        hint = f"Model them, or {head}." if mesh else "Give the file that they are modelled in."
        return BadInputError(f"{character.path} has no shape keys.", hint)
    names = ", ".join(keys[:4])
    known = ", ".join(one.name for one in CONVENTIONS[:4])
    return BadInputError(
        f"The shape keys of {character.path} follow no names that are known, such as {known}: "
        f"{names} ….",
        "Say with --mapping what they show, in a file of 'export mapping'"
        + (f"; or {head}." if mesh else "."),
    )


def load_mapping(character: Character, path: str | Path) -> SpeakingMapping:
    """A mapping from a file, for the objects of its names.

    The main table is also that of the part that has most of its shape keys, whatever its name.

    Raises:
        BadInputError: not such a file, or not one of this kind of character.
    """
    mapping = read_mapping(path)
    tables: dict[int, tuple[Row, ...]] = {}
    main = None
    for number, part in enumerate(character.parts):
        rows = _present(mapping.objects.get(part.name, ()), part)
        if rows and part.name not in {character.parts[other].name for other in tables}:
            tables[number] = rows
            main = number if part.name == mapping.face else main
    if main is None:
        rows, main = max(
            ((_present(mapping.objects.get(mapping.face, ()), part), number)
             for number, part in enumerate(character.parts) if number not in tables),
            key=lambda one: len(one[0]),
            default=((), None),
        )  # fmt: skip
        if main is None or not rows:
            raise BadInputError(
                f"{character.path} has none of the shape keys that {path} maps for "
                f"{(mapping.face or mapping.main)!r}.",
                "Choose the mapping of this kind of character.",
            )
        tables[main] = rows
    for rows in tables.values():
        mapping_of_rows(rows)
    return SpeakingMapping(str(path), main, tables, tuple(mapping.bones))


def _present(rows: tuple[Row, ...], part: Part) -> tuple[Row, ...]:
    return tuple(row for row in rows if row.key in part.keys)


def speak(curves: FaceCurves, mapping: SpeakingMapping, name: str) -> Clip:
    """What the shape keys of a character do while a face moves, as the animation of a name."""
    main = mapping_of_rows(mapping.tables[mapping.main])
    values = {}
    for number, rows in mapping.tables.items():
        own = mapping_of_rows(rows)
        follows = None if number == mapping.main else main
        values[number] = Values(own.keys, own.values(curves.weights, ARKIT_NAMES, follows))
    return Clip(name, curves.fps, values, curves.head_rotation)
