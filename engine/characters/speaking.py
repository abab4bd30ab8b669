# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts and bones of a character speak, and what those do in a performance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.characters.character import BoneValues, Character, Clip, Part, Rig, Values
from engine.characters.rig_tables import kept_rows, proposed_bones
from engine.core.errors import BadInputError
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.bones import BoneRow, mapping_of_bones
from engine.motion.characters.conventions import ARKIT, CONVENTIONS, Proposal, Row, propose
from engine.motion.characters.mapping import CharacterMapping, mapping_of_rows
from engine.motion.characters.mapping_file import MappingTables, read_mapping
from engine.motion.interchange.face_curves import FaceCurves


@dataclass(frozen=True)
class SpeakingMapping:
    """What the shape keys and bones of a character stand for.

    Attributes:
        source: the convention that the names follow, or the mapping's file.
        main: number of the part whose lips and jaw the others follow; ``None`` where bones alone
            speak.
        tables: rows by number of the part.
        bones: rows by number of the rig.
        left_out: what of a file's rows the character does not have, a sentence each.
    """

    source: str
    main: int | None
    tables: Mapping[int, tuple[Row, ...]]
    bones: Mapping[int, tuple[BoneRow, ...]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def proposed_mapping(character: Character) -> SpeakingMapping:
    """What the names of shape keys say; VRM expressions where those of the meshes say no more.

    What no shape key shows is left to bones, by their names.

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
        BadInputError: there are neither shape keys nor bones at all.
    """
    if not character.rigs and not any(part.keys for part in character.parts):
        raise _speechless(character)
    shapes = _proposed_shapes(character)
    tables = {} if shapes is None else shapes.tables
    bones, source = proposed_bones(character.rigs, tables.values())
    if shapes is None:
        return SpeakingMapping(source, None, {}, bones) if bones else None
    return SpeakingMapping(shapes.source, shapes.main, tables, bones)


def _proposed_shapes(character: Character) -> SpeakingMapping | None:
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
    bones = [bone.name for rig in character.rigs for bone in rig.bones]
    if not keys and not bones:
        hint = f"Model them, or {head}." if mesh else "Give the file that they are modelled in."
        return BadInputError(f"{character.path} has no shape keys and no bones.", hint)
    names = ", ".join((keys or bones)[:4])
    known = ", ".join(one.name for one in CONVENTIONS[:4])
    what = (
        f"The shape keys of {character.path} follow no names that are known, such as {known}"
        if keys
        else f"{character.path} has no shape keys, and no bone that is called as a jaw is"
    )
    return BadInputError(
        f"{what}: {names} ….",
        "Say with --mapping what they show, in a file of 'export mapping'"
        + (f"; or {head}." if mesh else "."),
    )


def load_mapping(character: Character, path: str | Path) -> SpeakingMapping:
    """A mapping from a file, for the objects of its names.

    The main table is also that of the part that has most of its shape keys, whatever its name; a
    table of bones that of the only rig.

    Raises:
        BadInputError: not such a file, or not one of this kind of character.
    """
    mapping = read_mapping(path)
    bones, left_out = kept_rows(character.rigs, mapping.bones)
    tables: dict[int, tuple[Row, ...]] = {}
    main = None
    for number, part in enumerate(character.parts):
        rows = _present(mapping.objects.get(part.name, ()), part)
        if rows and part.name not in {character.parts[other].name for other in tables}:
            tables[number] = rows
            main = number if part.name == mapping.face else main
    if main is None:
        main, rows = _fitting(character, mapping, tables)
        if rows:
            tables[main] = rows
        elif tables:
            main = max(tables, key=lambda number: len(tables[number]))
        elif not bones:
            what = "shape keys" if mapping.face else "bones"
            raise BadInputError(
                f"{character.path} has none of the {what} that {path} maps for "
                f"{(mapping.face or mapping.main)!r}.",
                "Choose the mapping of this kind of character.",
            )
    for shapes in tables.values():
        mapping_of_rows(shapes)
    for rig in bones.values():
        mapping_of_bones(rig)
    return SpeakingMapping(str(path), main if tables else None, tables, bones, left_out)


def _fitting(
    character: Character, mapping: MappingTables, tables: Mapping[int, tuple[Row, ...]]
) -> tuple[int, tuple[Row, ...]]:
    """The part that has most of the main table's shape keys, and those rows."""
    rows = mapping.objects.get(mapping.face, ())
    free = [number for number in range(len(character.parts)) if number not in tables]
    found = [(number, _present(rows, character.parts[number])) for number in free]
    return max(found, key=lambda one: len(one[1]), default=(-1, ()))


def _present(rows: tuple[Row, ...], part: Part) -> tuple[Row, ...]:
    return tuple(row for row in rows if row.key in part.keys)


def speak(
    curves: FaceCurves, mapping: SpeakingMapping, name: str, rigs: tuple[Rig, ...] = ()
) -> Clip:
    """What a character's shape keys and bones do while a face moves.

    Args:
        curves: of the face.
        mapping: what they stand for.
        name: of the animation.
        rigs: of the character.
    """
    shapes = {number: mapping_of_rows(rows) for number, rows in mapping.tables.items()}
    bones = {number: mapping_of_bones(rows) for number, rows in mapping.bones.items()}
    leader = None if mapping.main is None else shapes[mapping.main]
    for rig in bones.values():
        # Where lips have bones of their own, the teeth go with those.
        leader = rig.poses if leader is None or _shown(rig.poses) > _shown(leader) else leader
    values = {}
    for number, own in shapes.items():
        follows = None if own is leader else leader
        values[number] = Values(own.keys, own.values(curves.weights, ARKIT_NAMES, follows))
    moved = {}
    for number, rig in bones.items():
        follows = None if rig.poses is leader else leader
        shown = rig.values(curves.weights, ARKIT_NAMES, follows, rigs[number].properties)
        moved[number] = BoneValues(rig.channels, shown, rig.head_shares)
    return Clip(name, curves.fps, values, curves.head_rotation, moved)


def _shown(mapping: CharacterMapping) -> int:
    return int((mapping.poses > 0).any(axis=0).sum())
