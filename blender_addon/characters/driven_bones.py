# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces of bones that custom properties and other controls of a rig drive.

Properties that are called as visemes or expressions show what their names say. A bone that a
control moves is left to the control.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import bpy
import numpy as np

from ...engine.core.arrays import Double
from ...engine.motion.characters.blender_bones import PosedBones, channel_curves, posed_bones
from ...engine.motion.characters.bones import BoneRow, Channel, property_of
from ...engine.motion.characters.conventions import Row, propose
from ...engine.motion.characters.poses import VISEMES
from .driven import (
    Driven,
    as_they_were,
    is_there,
    rest_in_blender,
    rows_tried,
    set_channels,
    within,
)
from .driver_sources import Sources

_MOVES = 0.005
"""Change of a bone's axes, or share of its length by which it is moved, that is more than none."""
_OF_MOUTH = ("jaw", "mouth", "tongue")
_ONE_BONE = ("jaw", "eye")
"""Beginnings of poses that a bone shows by itself, so that what drives it shows them."""


def speaks(rows: Sequence[BoneRow]) -> bool:
    """Whether rows show a mouth."""
    return any(row.pose in VISEMES or row.pose.startswith(_OF_MOUTH) for row in rows)


def rows_of_properties(rig: bpy.types.Object) -> tuple[BoneRow, ...]:
    """What custom properties of a rig that drive something show by their names.

    Returns:
        Nothing where they do not say how to speak.
    """
    sources = Sources()
    read = [*sources.all_of(rig), *(sources.all_of(rig.data) if rig.data is not None else ())]
    named: dict[str, Channel] = {}
    for known, channel in read:
        if known == rig and is_there(rig, channel):
            named.setdefault(property_of(channel[1]), channel)
    proposal = propose([name for name in named if name])
    rows = tuple(
        BoneRow(*named[row.key], row.pose, within(rig, named[row.key], row.amount))
        for row in (proposal.rows if proposal is not None else ())
    )
    return rows if speaks(rows) else ()


def left_to_controls(
    rig: bpy.types.Object, named: Sequence[BoneRow], driving: Sequence[BoneRow]
) -> tuple[tuple[BoneRow, ...], tuple[BoneRow, ...]]:
    """Of rows of bones those that no control moves, and rows of what drives the others.

    Args:
        rig: an armature object.
        named: rows by the names of its bones.
        driving: rows of channels that show what they drive.
    """
    moved = _moved_by(rig, driving, {row.bone for row in named}) if driving else ()
    kept = [row for row in named if row.bone not in moved]
    posed = posed_bones(rig, {row.bone for row in kept}, ())
    sources, free, driven = Sources(), [], []
    for row in kept:
        hung = tuple(_hung(rig, sources, row, posed))
        if not hung:
            free.append(row)
        elif row.pose.startswith(_ONE_BONE):
            driven += [each for each in hung if not each.path.endswith("quaternion")]
    return tuple(free), tuple(rows_tried(rig, driven))


def _hung(
    rig: bpy.types.Object, sources: Sources, row: BoneRow, posed: PosedBones
) -> Iterator[Driven]:
    """What drives a channel of a bone: its row as one of what is driven."""
    if not row.channel.startswith(("location ", "rotation ", "scale ")):
        return
    for path, index, _ in channel_curves([(row.bone, row.channel)], np.zeros((1, 1)), posed):
        channels = sources.of(rig, path, index)
        own = tuple(
            channel for known, channel in channels if known == rig and is_there(rig, channel)
        )
        if own:
            rest = 1.0 if row.channel.startswith("scale") else 0.0
            shown = Row(row.bone, row.pose, row.value - rest)
            yield Driven(rig, path, index, shown, own)


def _moved_by(
    rig: bpy.types.Object, driving: Sequence[BoneRow], bones: Collection[str]
) -> set[str]:
    """Bones that move when channels do, in what else of these they hang on."""
    halves = {}
    for row in driving:
        rest = rest_in_blender(rig, (row.bone, row.channel))
        halves[row.bone, row.channel] = 0.5 * (rest + row.value)
    with as_they_were(rig, tuple(halves)):
        set_channels(rig, {channel: rest_in_blender(rig, channel) for channel in halves})
        before = _placed(rig, bones)
        set_channels(rig, halves)
        after = _placed(rig, bones)
    return {bone for bone in bones if np.abs(after[bone] - before[bone]).max() > _MOVES}


def _placed(rig: bpy.types.Object, bones: Collection[str]) -> dict[str, Double]:
    """(3, 4) axes of bones, and places in their lengths, in those that they hang on."""
    pose = rig.evaluated_get(bpy.context.evaluated_depsgraph_get()).pose
    placed = {}
    for name in bones:
        bone = pose.bones[name]
        above = next((known for known in bone.parent_recursive if known.name in bones), None)
        matrix = bone.matrix if above is None else above.matrix.inverted_safe() @ bone.matrix
        known = np.array(matrix)[:3]
        known[:, 3] /= max(bone.length, 1e-9)
        placed[name] = known
    return placed
