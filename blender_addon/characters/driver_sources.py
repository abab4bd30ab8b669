# SPDX-License-Identifier: GPL-3.0-or-later
"""On which channels of rigs and other controls shape keys hang, by their drivers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import bpy

from ...engine.motion.characters.bones import AXES, OBJECT, Channel
from .properties import is_rig
from .targets import key_path

_PATH = re.compile(
    r'(?:pose\.bones\["((?:[^"\\]|\\.)*)"\])?(?:\["((?:[^"\\]|\\.)*)"\]|\.?(\w+)(?:\[(\d)\]|\.([xyz])))'
)
"""Path of what a driver reads: a bone, then its custom property or the component of a vector."""
_CUSTOM = re.compile(r'\["((?:[^"\\]|\\.)*)"\]')
_KINDS = {"location": "location", "rotation_euler": "rotation", "scale": "scale"}
_OF_TRANSFORMS = {"LOC": "location", "ROT": "rotation_euler", "SCALE": "scale"}

RigChannel = tuple[bpy.types.Object, Channel]
"""A rig or another control, and a channel of it."""
_Property = tuple[bpy.types.ID, str]
"""A datablock, and the path of a property seen from it."""


class Sources:
    """What drivers read, through what drives that."""

    def __init__(self) -> None:
        self._drivers: dict[bpy.types.ID, dict[str, list[bpy.types.FCurve]]] = {}

    def all_channels(self, keys: bpy.types.Key) -> tuple[RigChannel, ...]:
        """The channels on which any shape key of a mesh hangs."""
        found = [each for block in keys.key_blocks for each in self.channels(keys, block)]
        return tuple(dict.fromkeys(found))

    def channels(self, keys: bpy.types.Key, block: bpy.types.ShapeKey) -> tuple[RigChannel, ...]:
        """Those of a shape key, in the order in which its drivers read them."""
        found: dict[RigChannel, None] = {}
        self._follow((keys, key_path(block.name)), found, set())
        return tuple(found)

    def of(self, datablock: bpy.types.ID, path: str, index: int) -> tuple[RigChannel, ...]:
        """The channels on which a property hangs."""
        found: dict[RigChannel, None] = {}
        vector = path.rpartition(".")[2] in _KINDS
        self._follow((datablock, f"{path}[{index}]" if vector else path), found, set())
        return tuple(found)

    def all_of(self, datablock: bpy.types.ID) -> tuple[RigChannel, ...]:
        """The channels on which anything of a datablock hangs."""
        found: dict[RigChannel, None] = {}
        self._drivers_of((datablock, ""))
        for path in self._drivers[datablock]:
            self._follow((datablock, path), found, set())
        return tuple(found)

    def _follow(
        self, driven: _Property, found: dict[RigChannel, None], seen: set[_Property]
    ) -> None:
        """Add what the drivers of a property read, or what drives that."""
        if driven in seen:
            return
        seen.add(driven)
        for curve in self._drivers_of(driven):
            for variable in curve.driver.variables:
                for target in variable.targets:
                    source = _read(variable.type, target)
                    if source is None:
                        continue
                    if self._drivers_of(source):
                        self._follow(source, found, seen)
                    else:
                        found.update(dict.fromkeys(_channels_of(source)))

    def _drivers_of(self, driven: _Property) -> list[bpy.types.FCurve]:
        datablock, path = driven
        if datablock not in self._drivers:
            animation = getattr(datablock, "animation_data", None)
            known = self._drivers.setdefault(datablock, {})
            for curve in animation.drivers if animation is not None else ():
                known.setdefault(_full_path(curve), []).append(curve)
        return self._drivers[datablock].get(path, [])


def _full_path(curve: bpy.types.FCurve) -> str:
    vector = curve.data_path.rpartition(".")[2] in _KINDS
    return f"{curve.data_path}[{curve.array_index}]" if vector else curve.data_path


def _read(kind: str, target: bpy.types.DriverTarget) -> _Property | None:
    """The property that a driver's variable reads."""
    if target.id is None or kind not in ("TRANSFORMS", "SINGLE_PROP"):
        return None
    return _transform(target) if kind == "TRANSFORMS" else _property(target.id, target.data_path)


def _transform(target: bpy.types.DriverTarget) -> _Property | None:
    name, _, axis = target.transform_type.partition("_")
    if name not in _OF_TRANSFORMS or axis not in ("X", "Y", "Z"):
        return None
    bone = bpy.utils.escape_identifier(target.bone_target)
    prefix = f'pose.bones["{bone}"].' if bone else ""
    return target.id, f"{prefix}{_OF_TRANSFORMS[name]}[{'XYZ'.index(axis)}]"


def _property(datablock: bpy.types.ID, path: str) -> _Property:
    """A property by the datablock that has it, its path as drivers of that property have it."""
    if isinstance(datablock, bpy.types.Object) and datablock.data is not None:
        for prefix, rest in (("data.", ""), ('data["', '["')):
            if path.startswith(prefix):
                return datablock.data, rest + path.removeprefix(prefix)
    match = _PATH.fullmatch(path)
    if match is not None and match[3] in _KINDS:
        axis = int(match[4]) if match[4] else AXES.index(match[5])
        return datablock, f"{path[: match.start(3)]}{match[3]}[{axis}]"
    return datablock, path


def _channels_of(source: _Property) -> Iterator[RigChannel]:
    """The channels of rigs that a property is: one, or none, or of all objects of a datablock."""
    datablock, path = source
    if not isinstance(datablock, bpy.types.Object):
        match = _CUSTOM.fullmatch(path)
        name = bpy.utils.unescape_identifier(match[1]) if match else ""
        for obj in bpy.data.objects if name else ():
            if obj.data == datablock and is_rig(obj) and name not in obj:
                yield obj, (OBJECT, f"property {name}")
        return
    match = _PATH.fullmatch(path)
    if match is None or not is_rig(datablock):
        return
    bone = bpy.utils.unescape_identifier(match[1]) if match[1] else OBJECT
    if match[2] is not None:
        yield datablock, (bone, f"property {bpy.utils.unescape_identifier(match[2])}")
    elif match[3] in _KINDS and int(match[4]) <= 2:
        yield datablock, (bone, f"{_KINDS[match[3]]} {AXES[int(match[4])]}")
