# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a rig drives the shape keys of its meshes, and how far: controls of faces, by drivers.

Which channels a key hangs on is read off its drivers, through those that drive what drives it. What
value of a channel shows the key is tried out: drivers hold expressions, curves and limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import bpy
import numpy as np

from ...engine.motion.characters.blender_bones import (
    AXIS_ANGLE,
    QUATERNION,
    channel_curves,
    owner_of,
    posed_bones,
    property_default,
)
from ...engine.motion.characters.bones import (
    OBJECT,
    REST,
    BoneRow,
    Channel,
    property_of,
    rest_of,
)
from ...engine.motion.characters.conventions import Convention, Row, propose
from .driver_sources import Sources
from .properties import CONTROLS, at_rest_of
from .targets import get_value, key_path, set_value

_TRIED = (0.5, 0.1, 0.02, 0.004, 1.0, 2.5, 12.5, 60.0)
"""Changes of a channel that are tried, and then the same to the other side."""
_STANDS = 1e-6
"""Distance from where a channel begins that is none."""
_LEAST, _MOST = 0.02, 0.98
"""Shares of a shape key's amount between which what a change shows says how far to go."""


class Driven(NamedTuple):
    """What something of a rig drives: a shape key, or a channel of a bone.

    Attributes:
        datablock: the keys, or the rig.
        path: of the property.
        index: of a vector's component.
        row: what it shows, and its change at which it does.
        channels: of the rig, on which it hangs.
    """

    datablock: bpy.types.ID
    path: str
    index: int
    row: Row
    channels: tuple[Channel, ...]


def _key(keys: bpy.types.Key, row: Row, channels: tuple[Channel, ...]) -> Driven:
    return Driven(keys, key_path(row.key), 0, row, channels)


def rows_of_drivers(
    rig: bpy.types.Object, convention: Convention | None, besides: Sequence[BoneRow] = ()
) -> tuple[BoneRow, ...]:
    """What channels of a rig stand for, by the shape keys that they drive.

    Args:
        rig: an armature object.
        convention: the one that the character's shape keys follow; else that of each mesh.
        besides: rows that the names of the bones propose already: these bones are left out.
    """
    known = {row.bone for row in besides}
    found = [
        each._replace(channels=tuple(one for one in each.channels if one[0] not in known))
        for each in _driven(rig, convention)
    ]
    rows = tuple(rows_tried(rig, [each for each in found if each.channels]))
    own = dict.fromkeys((row.bone, row.channel) for row in rows)
    return (*rows, *_rests(rig, own))


def _rests(rig: bpy.types.Object, channels: Iterable[Channel]) -> Iterator[BoneRow]:
    """Rows that say where a control stands that is not where channels begin."""
    for channel in channels:
        if channel[0] == OBJECT and not property_of(channel[1]):
            rest = rest_in_blender(rig, channel)
            if abs(rest - rest_of(channel, {})) > _STANDS:
                yield BoneRow(*channel, REST, rest)


def rigs_that_drive(keys: bpy.types.Key) -> list[bpy.types.Object]:
    """The armatures and other controls some of whose channels drive shape keys."""
    found = Sources().all_channels(keys)
    driving = [rig for rig, channel in found if rig.users_scene and is_there(rig, channel)]
    return list(dict.fromkeys(driving))


def controls_that_drive() -> set[bpy.types.Object]:
    """The rigs that drive shape keys of the file."""
    meshes = [obj.data for obj in bpy.data.objects if obj.type == "MESH" and obj.users_scene]
    keys = {mesh.shape_keys for mesh in meshes} - {None}
    return {rig for known in keys for rig in rigs_that_drive(known)}


def _driven(rig: bpy.types.Object, convention: Convention | None) -> Iterator[Driven]:
    """The shape keys of all meshes that a rig drives, and that show something."""
    meshes = [obj.data for obj in bpy.data.objects if obj.type == "MESH" and obj.users_scene]
    sources = Sources()
    for keys in dict.fromkeys(mesh.shape_keys for mesh in meshes):
        blocks = () if keys is None else keys.key_blocks
        hung = {
            block.name: tuple(
                channel
                for known, channel in sources.channels(keys, block)
                if known == rig and is_there(rig, channel)
            )
            for block in blocks
        }
        if any(hung.values()):
            yield from _shown(keys, hung, convention)


def _shown(
    keys: bpy.types.Key, hung: Mapping[str, tuple[Channel, ...]], convention: Convention | None
) -> Iterator[Driven]:
    """What the shape keys of a mesh show, of those that hang on channels."""
    names = [name for name in hung if name != keys.reference_key.name]
    by_face = propose(names, convention) if convention is not None else None
    if (proposal := by_face or propose(names)) is not None:
        yield from (_key(keys, row, hung[row.key]) for row in proposal.rows if hung[row.key])
        return
    # Keys of names that say nothing may hang on properties that are called as expressions are.
    called = {property_of(name): key for key, found in hung.items() for _, name in found}
    proposal = propose([name for name in called if name])
    for row in proposal.rows if proposal is not None else ():
        key = called[row.key]
        yield _key(keys, row._replace(key=key), hung[key])


def is_there(rig: bpy.types.Object, channel: Channel) -> bool:
    """Whether a rig has a channel, and it can be animated as numbers of their own."""
    name = property_of(channel[1])
    owner = owner_of(rig, channel[0], name)
    if owner is None:
        return False
    if name:
        return isinstance(owner.get(name), bool | int | float)
    if channel[0] == OBJECT and rig.type not in CONTROLS:
        return False  # It would move the whole character.
    other = QUATERNION if channel[0] == OBJECT else AXIS_ANGLE
    return not channel[1].startswith("rotation") or owner.rotation_mode not in (AXIS_ANGLE, other)


def rows_tried(rig: bpy.types.Object, driven: Sequence[Driven]) -> Iterator[BoneRow]:
    """The rows: how far the first channel goes that moves a key."""
    left, shown = list(driven), dict[tuple[Channel, str], float]()
    while left:
        # Of no key two channels at once.
        together: dict[Channel, list[Driven]] = {}
        for each in left:
            if not any(channel in together for channel in each.channels[1:]):
                together.setdefault(each.channels[0], []).append(each)
        at_once = [each for keys in together.values() for each in keys]
        found = _reached(rig, together)
        for each, value in found:
            shown.setdefault((each.channels[0], each.row.pose), value)
        done = [each for each, _ in found]
        left = [each for each in left if each not in at_once] + [
            each._replace(channels=each.channels[1:])
            for each in at_once
            if each not in done and len(each.channels) > 1
        ]
    for ((bone, channel), pose), value in shown.items():
        yield BoneRow(bone, channel, pose, value)


def _reached(
    rig: bpy.types.Object, together: dict[Channel, list[Driven]]
) -> list[tuple[Driven, float]]:
    """Keys that move, and the values of their channels at which they have their rows' amounts."""
    waiting = [each for keys in together.values() for each in keys]
    rest = {channel: rest_in_blender(rig, channel) for channel in together}
    found = []
    with as_they_were(rig, tuple(together)):
        set_channels(rig, rest)
        base = [_value(each) for each in waiting]
        start = dict(zip(waiting, base, strict=True))
        for change in [sign * step for sign in (1.0, -1.0) for step in _TRIED]:
            if not waiting:
                break
            went = set_channels(rig, {channel: value + change for channel, value in rest.items()})
            for each in list(waiting):
                channel = each.channels[0]
                by = (_value(each) - start[each]) / each.row.amount
                whole = _is_whole(rig, channel) and by > 0.0
                if _LEAST <= by <= _MOST or whole:
                    value = rest[channel] + (went[channel] - rest[channel]) / by
                    found.append((each, within(rig, channel, round(value, 6))))
                    waiting.remove(each)
    return found


def _value(each: Driven) -> float:
    """What drivers make of it."""
    evaluated = each.datablock.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return float(get_value(evaluated, each.path, each.index))


def rest_in_blender(rig: bpy.types.Object, channel: Channel) -> float:
    """Value of a channel at rest."""
    name = property_of(channel[1])
    if name:
        return property_default(owner_of(rig, channel[0], name), name)
    if channel[0] == OBJECT:
        (path, index, _), *_ = _curves(rig, {channel: 0.0})
        known = at_rest_of(rig, path, index)
        return get_value(rig, path, index) if known is None else known
    return rest_of(channel, {})


def _is_whole(rig: bpy.types.Object, channel: Channel) -> bool:
    """Whether a channel has no values between whole numbers."""
    name = property_of(channel[1])
    return bool(name) and isinstance(owner_of(rig, channel[0], name)[name], int)


def within(rig: bpy.types.Object, channel: Channel, value: float) -> float:
    """A value in the range of a custom property."""
    name = property_of(channel[1])
    if not name:
        return value
    ends = owner_of(rig, channel[0], name).id_properties_ui(name).as_dict()
    return min(max(value, float(ends.get("min", value))), float(ends.get("max", value)))


def _curves(
    rig: bpy.types.Object, values: Mapping[Channel, float]
) -> Iterator[tuple[str, int, float]]:
    """Paths, components and values of Blender's that show values of channels."""
    posed = posed_bones(rig, {bone for bone, _ in values}, ())
    row = np.array([[*values.values()]], np.float32)
    for path, index, column in channel_curves(tuple(values), row, posed):
        yield path, index, float(column[0])


def set_channels(rig: bpy.types.Object, values: Mapping[Channel, float]) -> dict[Channel, float]:
    """Give channels values, let drivers follow; returns what they have, whole numbers whole."""
    for path, index, value in _curves(rig, values):
        set_value(rig, path, index, value)
    _tag(rig)
    names = {channel: property_of(channel[1]) for channel in values}
    return {
        channel: float(owner_of(rig, channel[0], name)[name]) if name else values[channel]
        for channel, name in names.items()
    }


@contextmanager
def as_they_were(rig: bpy.types.Object, channels: Sequence[Channel]) -> Iterator[None]:
    """Give channels back what they have."""
    at = [(path, index) for path, index, _ in _curves(rig, dict.fromkeys(channels, 0.0))]
    before = [get_value(rig, path, index) for path, index in at]
    try:
        yield
    finally:
        for (path, index), value in zip(at, before, strict=True):
            set_value(rig, path, index, value)
        _tag(rig)


def _tag(rig: bpy.types.Object) -> None:
    """Let drivers follow."""
    rig.update_tag()
    if rig.data is not None:
        rig.data.update_tag()
    bpy.context.view_layer.update()
