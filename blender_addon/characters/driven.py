# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a rig drives the shape keys of its meshes, and how far: controls of faces, by drivers.

Which channels a key hangs on is read off its drivers, through those that drive what drives it. What
value of a channel shows the key is tried out: drivers hold expressions, curves and limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import bpy
import numpy as np

from ...engine.motion.characters.blender_bones import (
    AXIS_ANGLE,
    channel_curves,
    owner_of,
    posed_bones,
    property_path,
)
from ...engine.motion.characters.bones import AXES, OBJECT, BoneRow, Channel, property_of, rest_of
from ...engine.motion.characters.conventions import Convention, Row, propose
from .targets import get_value, key_path, rest_value, set_value

_PATH = re.compile(
    r'(?:pose\.bones\["((?:[^"\\]|\\.)*)"\])?(?:\["((?:[^"\\]|\\.)*)"\]|\.(\w+)(?:\[(\d)\]|\.([xyz])))'
)
"""Path of what a driver reads: a bone, then its custom property or the component of a vector."""
_KINDS = {"location": "location", "rotation_euler": "rotation", "scale": "scale"}
_OF_TRANSFORMS = {"LOC": "location", "ROT": "rotation", "SCALE": "scale"}

_TRIED = (0.5, 0.1, 0.02, 0.004, 1.0, 2.5, 12.5, 60.0)
"""Changes of a channel that are tried, and then the same to the other side."""
_LEAST, _MOST = 0.02, 0.98
"""Shares of a shape key's amount between which what a change shows says how far to go."""


class _Key(NamedTuple):
    """A shape key that something of the rig drives.

    Attributes:
        keys: its datablock.
        row: what it shows.
        channels: of the rig, on which it hangs.
    """

    keys: bpy.types.Key
    row: Row
    channels: tuple[Channel, ...]


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
    return tuple(_tried(rig, [each for each in found if each.channels]))


def rigs_that_drive(keys: bpy.types.Key) -> list[bpy.types.Object]:
    """The armature objects some of whose channels drive shape keys."""
    rigs = [obj for obj in bpy.data.objects if obj.type == "ARMATURE" and obj.users_scene]
    sources = [(rig, _Sources(rig)) for rig in rigs]
    return [rig for rig, of in sources if any(of.channels(keys, key) for key in keys.key_blocks)]


def _driven(rig: bpy.types.Object, convention: Convention | None) -> Iterator[_Key]:
    """The shape keys of all meshes that a rig drives, and that show something."""
    meshes = [obj.data for obj in bpy.data.objects if obj.type == "MESH" and obj.users_scene]
    sources = _Sources(rig)
    for keys in dict.fromkeys(mesh.shape_keys for mesh in meshes):
        blocks = () if keys is None else keys.key_blocks
        hung = {block.name: sources.channels(keys, block) for block in blocks}
        if any(hung.values()):
            yield from _shown(keys, hung, convention)


def _shown(
    keys: bpy.types.Key, hung: Mapping[str, tuple[Channel, ...]], convention: Convention | None
) -> Iterator[_Key]:
    """What the shape keys of a mesh show, of those that hang on channels."""
    names = [name for name in hung if name != keys.reference_key.name]
    by_face = propose(names, convention) if convention is not None else None
    if (proposal := by_face or propose(names)) is not None:
        yield from (_Key(keys, row, hung[row.key]) for row in proposal.rows if hung[row.key])
        return
    # Keys of names that say nothing may hang on properties that are called as expressions are.
    called = {property_of(name): key for key, found in hung.items() for _, name in found}
    proposal = propose([name for name in called if name])
    for row in proposal.rows if proposal is not None else ():
        key = called[row.key]
        yield _Key(keys, row._replace(key=key), hung[key])


class _Sources:
    """On which channels of a rig properties hang, by their drivers."""

    def __init__(self, rig: bpy.types.Object) -> None:
        self._rig = rig
        self._drivers: dict[bpy.types.ID, dict[str, list[bpy.types.FCurve]]] = {}

    def channels(self, keys: bpy.types.Key, block: bpy.types.ShapeKey) -> tuple[Channel, ...]:
        """Those of a shape key."""
        found: dict[Channel, None] = {}
        self._follow(keys, key_path(block.name), found, set())
        return tuple(found)

    def _follow(
        self,
        datablock: bpy.types.ID,
        path: str,
        found: dict[Channel, None],
        seen: set[tuple[bpy.types.ID, str]],
    ) -> None:
        """Add what the drivers of a property read, or what drives that."""
        if (datablock, path) in seen:
            return
        seen.add((datablock, path))
        for curve in self._drivers_of(datablock, path):
            for variable in curve.driver.variables:
                read = [_read(self._rig, variable.type, target) for target in variable.targets]
                for source, source_path, channel in filter(None, read):
                    if self._drivers_of(source, source_path):
                        self._follow(source, source_path, found, seen)
                    elif channel is not None and _is_there(self._rig, channel):
                        found[channel] = None

    def _drivers_of(self, datablock: bpy.types.ID, path: str) -> list[bpy.types.FCurve]:
        if datablock not in self._drivers:
            animation = getattr(datablock, "animation_data", None)
            known = self._drivers.setdefault(datablock, {})
            for curve in animation.drivers if animation is not None else ():
                known.setdefault(_full_path(curve), []).append(curve)
        return self._drivers[datablock].get(path, [])


def _full_path(curve: bpy.types.FCurve) -> str:
    vector = curve.data_path.rpartition(".")[2] in _KINDS
    return f"{curve.data_path}[{curve.array_index}]" if vector else curve.data_path


def _read(
    rig: bpy.types.Object, kind: str, target: bpy.types.DriverTarget
) -> tuple[bpy.types.ID, str, Channel | None] | None:
    """Datablock and path that a driver's variable reads, and which channel of a rig that is."""
    if kind == "TRANSFORMS" and target.id == rig and target.bone_target:
        name, _, axis = target.transform_type.partition("_")
        if name in _OF_TRANSFORMS and axis in ("X", "Y", "Z"):
            bone = f'pose.bones["{bpy.utils.escape_identifier(target.bone_target)}"]'
            part = {"ROT": "rotation_euler", "LOC": "location", "SCALE": "scale"}[name]
            channel = target.bone_target, f"{_OF_TRANSFORMS[name]} {axis.lower()}"
            return rig, f"{bone}.{part}[{'XYZ'.index(axis)}]", channel
    if kind != "SINGLE_PROP" or target.id is None:
        return None
    datablock, path = target.id, target.data_path
    if isinstance(datablock, bpy.types.Object) and path.startswith("data."):
        datablock, path = datablock.data, path.removeprefix("data.")
    elif isinstance(datablock, bpy.types.Object) and path.startswith('data["'):
        datablock, path = datablock.data, path.removeprefix("data")
    match = _PATH.fullmatch(path)
    if datablock != rig or match is None:
        return datablock, path, None
    bone = bpy.utils.unescape_identifier(match[1]) if match[1] else OBJECT
    if match[2] is not None:
        return rig, path, (bone, f"property {bpy.utils.unescape_identifier(match[2])}")
    axis = int(match[4]) if match[4] else "xyz".index(match[5])
    if bone == OBJECT or match[3] not in _KINDS or axis > 2:
        return rig, path, None
    prefix = path[: match.start(3)]
    return rig, f"{prefix}{match[3]}[{axis}]", (bone, f"{_KINDS[match[3]]} {AXES[axis]}")


def _is_there(rig: bpy.types.Object, channel: Channel) -> bool:
    owner, name = owner_of(rig, channel[0]), property_of(channel[1])
    if owner is None:
        return False
    if name:
        return isinstance(owner.get(name), bool | int | float)
    return not channel[1].startswith("rotation") or owner.rotation_mode != AXIS_ANGLE


def _tried(rig: bpy.types.Object, driven: Sequence[_Key]) -> Iterator[BoneRow]:
    """The rows: how far the first channel goes that moves a key."""
    left, shown = list(driven), dict[tuple[Channel, str], float]()
    while left:
        # Of no key two channels at once.
        together: dict[Channel, list[_Key]] = {}
        for each in left:
            if not any(channel in together for channel in each.channels[1:]):
                together.setdefault(each.channels[0], []).append(each)
        tried = [each for keys in together.values() for each in keys]
        found = _reached(rig, together)
        for each, value in found:
            shown.setdefault((each.channels[0], each.row.pose), value)
        done = [each for each, _ in found]
        left = [each for each in left if each not in tried] + [
            each._replace(channels=each.channels[1:])
            for each in tried
            if each not in done and len(each.channels) > 1
        ]
    for ((bone, channel), pose), value in shown.items():
        yield BoneRow(bone, channel, pose, value)


def _reached(
    rig: bpy.types.Object, together: dict[Channel, list[_Key]]
) -> list[tuple[_Key, float]]:
    """Keys that move, and the values of their channels at which they have their rows' amounts."""
    waiting = [each for keys in together.values() for each in keys]
    rest = {channel: _rest(rig, channel) for channel in together}
    found = []
    with _as_they_were(rig, tuple(together)):
        _set(rig, rest)
        base = [_value(each) for each in waiting]
        start = dict(zip(waiting, base, strict=True))
        for change in [sign * step for sign in (1.0, -1.0) for step in _TRIED]:
            if not waiting:
                break
            went = _set(rig, {channel: value + change for channel, value in rest.items()})
            for each in list(waiting):
                channel = each.channels[0]
                by = (_value(each) - start[each]) / each.row.amount
                whole = _is_whole(rig, channel) and by > 0.0
                if _LEAST <= by <= _MOST or whole:
                    value = rest[channel] + (went[channel] - rest[channel]) / by
                    found.append((each, _within(rig, channel, round(value, 6))))
                    waiting.remove(each)
    return found


def _value(each: _Key) -> float:
    """What drivers make of a key."""
    evaluated = each.keys.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return float(evaluated.key_blocks[each.row.key].value)


def _rest(rig: bpy.types.Object, channel: Channel) -> float:
    name = property_of(channel[1])
    if not name:
        return rest_of(channel, {})
    return rest_value(rig, property_path(channel[0], name), 0)


def _is_whole(rig: bpy.types.Object, channel: Channel) -> bool:
    """Whether a channel has no values between whole numbers."""
    name = property_of(channel[1])
    return bool(name) and isinstance(owner_of(rig, channel[0])[name], int)


def _within(rig: bpy.types.Object, channel: Channel, value: float) -> float:
    """A value in the range of a custom property."""
    name = property_of(channel[1])
    if not name:
        return value
    ends = owner_of(rig, channel[0]).id_properties_ui(name).as_dict()
    return min(max(value, float(ends.get("min", value))), float(ends.get("max", value)))


def _curves(
    rig: bpy.types.Object, values: Mapping[Channel, float]
) -> Iterator[tuple[str, int, float]]:
    """Paths, components and values of Blender's that show values of channels."""
    posed = posed_bones(rig, {bone for bone, _ in values}, ())
    row = np.array([[*values.values()]], np.float32)
    for path, index, column in channel_curves(tuple(values), row, posed):
        yield path, index, float(column[0])


def _set(rig: bpy.types.Object, values: Mapping[Channel, float]) -> dict[Channel, float]:
    """Give channels values, let drivers follow; returns what they have, whole numbers whole."""
    for path, index, value in _curves(rig, values):
        set_value(rig, path, index, value)
    rig.update_tag()
    bpy.context.view_layer.update()
    names = {channel: property_of(channel[1]) for channel in values}
    return {
        channel: float(owner_of(rig, channel[0])[name]) if name else values[channel]
        for channel, name in names.items()
    }


@contextmanager
def _as_they_were(rig: bpy.types.Object, channels: Sequence[Channel]) -> Iterator[None]:
    """Give channels back what they have."""
    at = [(path, index) for path, index, _ in _curves(rig, dict.fromkeys(channels, 0.0))]
    before = [get_value(rig, path, index) for path, index in at]
    try:
        yield
    finally:
        for (path, index), value in zip(at, before, strict=True):
            set_value(rig, path, index, value)
        rig.update_tag()
        bpy.context.view_layer.update()
