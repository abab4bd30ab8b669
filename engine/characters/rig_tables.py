# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows of bones a character's rigs follow: proposed by their names, or from a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.characters.character import Rig
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.bones import HEAD, BoneRow
from engine.motion.characters.conventions import Row
from engine.motion.characters.mapping import mapping_of_rows
from engine.motion.characters.poses import pose
from engine.motion.characters.rigs import RigProposal, propose_rig

Tables = dict[int, tuple[BoneRow, ...]]
"""Rows by number of the rig."""

_EYES = "eyeLook"
_MOUTH = ("jaw", "mouth")


def proposed_bones(rigs: Sequence[Rig], shapes: Iterable[tuple[Row, ...]]) -> tuple[Tables, str]:
    """What bones are proposed to show beside shape keys, and whose names they follow.

    Where shape keys speak, bones have only the eyes that those lack: a jaw would open twice.

    Args:
        rigs: of the character.
        shapes: the tables of its shape keys.
    """
    shown: set[str] = set()
    for rows in shapes:
        moving = (mapping_of_rows(rows).poses > 0).any(axis=0)
        shown |= {name for name, moves in zip(ARKIT_NAMES, moving, strict=True) if moves}
    speaking = any(name.startswith(_MOUTH) for name in shown)
    found = {number: proposal for number, rig in enumerate(rigs) if (proposal := _propose(rig))}
    if not found:
        return {}, ""
    best = max(found, key=lambda number: (found[number].speaks, len(found[number].rows)))
    if not speaking and not found[best].speaks:
        return {}, ""
    kept = tuple(
        row
        for row in found[best].rows
        if (not speaking if row.pose == HEAD else shown.isdisjoint(pose(row.pose)))
        and (not speaking or row.pose.startswith(_EYES))
    )
    return ({best: kept} if kept else {}), found[best].name


def _propose(rig: Rig) -> RigProposal | None:
    """By the names of its bones, of which a VRM gives some others."""
    named = [
        bone._replace(
            name=rig.called.get(bone.name, bone.name),
            parent=rig.called.get(bone.parent, bone.parent),
        )
        for bone in rig.bones
    ]
    # What a VRM says counts more than names alike.
    named.sort(key=lambda bone: bone.name not in rig.called.values())
    found = propose_rig(named, rig.up)
    if found is None:
        return None
    own = {given: name for name, given in rig.called.items()}
    rows = tuple(row._replace(bone=own.get(row.bone, row.bone)) for row in found.rows)
    return found._replace(name="VRM" if rig.called else found.name, rows=rows)


def kept_rows(
    rigs: Sequence[Rig], tables: Mapping[str, tuple[BoneRow, ...]]
) -> tuple[Tables, tuple[str, ...]]:
    """The rows of a file that a character's rigs have, and what they lack, a sentence each.

    A table is for the rig of its name, else for the one that has most of its bones.
    """
    kept: Tables = {}
    left_out: list[str] = []
    for name, rows in tables.items():
        free = [number for number, rig in enumerate(rigs) if number not in kept]
        named = [number for number in free if rigs[number].name == name]
        # All bones of a glTF file are one rig, whatever the number of armatures.
        number = max(
            named or free or range(len(rigs)),
            key=lambda one: sum(_has(rigs[one], row) for row in rows),
            default=None,
        )
        present = tuple(row for row in rows if number is not None and _has(rigs[number], row))
        if number is not None and present:
            kept[number] = (*kept.get(number, ()), *present)
        missing = dict.fromkeys(
            f"The {row.channel} of the bone {row.bone!r} is mapped, but not there: left out."
            for row in rows
            if row not in present
        )
        left_out += missing
    return kept, tuple(left_out)


def _has(rig: Rig, row: BoneRow) -> bool:
    return rig.has((row.bone, row.channel))
