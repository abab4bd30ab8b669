# SPDX-License-Identifier: GPL-3.0-or-later
"""Which channels of which datablock an object of a character speaks by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ...engine.core.arrays import Float
from ...engine.motion.characters.blender_bones import RigTarget, bone_channels, rig_target
from ...engine.motion.characters.mapping import CharacterMapping
from ..heads.properties import head_of_rig
from .head_joints import HeadPose, JointTarget, joint_target
from .properties import at_rest_of, bone_mapping_of, is_rig, leader_of, mapping_of

Channel = tuple[str, int, Float]
"""Path seen from the datablock, component of a vector, and (T,) values."""

_CUSTOM = re.compile(r'(.*)\["((?:[^"\\]|\\.)*)"\]', re.DOTALL)
"""Path of a custom property: what has it, and its name."""

_STILL = 1e-6
"""Change of a channel from rest that is none."""


@dataclass(frozen=True, eq=False)
class Target:
    """What an object of a character speaks by, without the object.

    Attributes:
        mapping: what a mesh's shape keys stand for; ``None`` for a head.
        leader: of the character's object that shows most, see :func:`properties.leader_of`.
        rig: of an armature.
        joints: of the armature of a head.
    """

    mapping: CharacterMapping | None
    leader: CharacterMapping | None
    rig: RigTarget | None
    joints: JointTarget | None = None

    def channels(
        self,
        names: Sequence[str],
        values: Float,
        head_rotation: Float,
        pose: HeadPose | None = None,
    ) -> Iterator[Channel]:
        """All that the object has for expressions, moving or not.

        Args:
            names: N expressions, and corrective shape keys of heads.
            values: (T, N) amounts.
            head_rotation: (T, 3) rotation vectors, head space, radians.
            pose: of a head's joints, where that is known.
        """
        if self.joints is not None:
            yield from () if pose is None else self.joints.channels(pose)
            return
        if self.rig is not None:
            yield from bone_channels(self.rig, names, values, head_rotation, self.leader)
            return
        if self.mapping is not None:
            values = self.mapping.values(values, names, self.leader)
            names = self.mapping.keys
        for column, name in enumerate(names):
            yield key_path(name), 0, values[:, column]


def target_of(obj: bpy.types.Object) -> Target:
    """What a head, or an object of a character, speaks by.

    Raises:
        BadInputError: its table cannot be used.
    """
    if head_of_rig(obj) is not None:
        return Target(None, None, None, joint_target(obj))
    rig = rig_target(obj, bone_mapping_of(obj)) if is_rig(obj) else None
    return Target(mapping_of(obj), leader_of(obj), rig)


@dataclass(frozen=True)
class AnimatedChannels:
    """What an object of a character animates.

    Attributes:
        datablock: what the Action is for.
        channels: those that ever leave rest.
        driven: paths of those that are left to drivers.
    """

    datablock: bpy.types.ID
    channels: tuple[Channel, ...]
    driven: tuple[str, ...] = ()


def animated_datablock(obj: bpy.types.Object) -> bpy.types.ID:
    """The datablock that an object animates: the keys of a mesh, or a rig's object itself."""
    return obj if is_rig(obj) else obj.data.shape_keys


def animated_channels(datablock: bpy.types.ID, channels: Sequence[Channel]) -> AnimatedChannels:
    """What an object of a character animates of all that it has.

    Args:
        datablock: that the object animates.
        channels: of :meth:`Target.channels`.
    """
    moving = {
        _unit(path, index)
        for path, index, known in channels
        if np.abs(known - rest_value(datablock, path, index)).max(initial=0.0) > _STILL
    }
    found = [each for each in channels if _unit(*each[:2]) in moving]
    drivers = datablock.animation_data.drivers if datablock.animation_data is not None else ()
    kept = {(driver.data_path, driver.array_index) for driver in drivers}
    return AnimatedChannels(
        datablock,
        tuple(each for each in found if each[:2] not in kept),
        tuple(path for path, index, _ in found if (path, index) in kept),
    )


def _unit(path: str, index: int) -> tuple[str, int]:
    """What is animated as a whole: a quaternion with all its components."""
    return (path, 0) if path.endswith("rotation_quaternion") else (path, index)


def key_path(key_name: str) -> str:
    """Path of a shape key's value, seen from the key datablock."""
    return f'key_blocks["{bpy.utils.escape_identifier(key_name)}"].value'


def rest_value(datablock: bpy.types.ID, path: str, index: int) -> float:
    """Value of a channel at rest: 0 of shape keys, what a control's table says, or the default."""
    if isinstance(datablock, bpy.types.Key):
        return 0.0  # Blender 5.0 begins them at 1.
    if (known := at_rest_of(datablock, path, index)) is not None:
        return known
    owner, name = _owner(datablock, path)
    if _CUSTOM.fullmatch(path):
        return float(owner.id_properties_ui(name).as_dict().get("default", 0.0))
    known = owner.bl_rna.properties[name]
    return float(known.default_array[index] if known.is_array else known.default)


def get_value(datablock: bpy.types.ID, path: str, index: int) -> float | None:
    """The value of a channel now; ``None`` of one that is gone."""
    try:
        owner, name = _owner(datablock, path)
    except ValueError:  # Blender's way to say that the path leads nowhere.
        return None
    if _CUSTOM.fullmatch(path):
        return owner.get(name)
    value: Any = getattr(owner, name)
    return value[index] if owner.bl_rna.properties[name].is_array else value


def set_value(datablock: bpy.types.ID, path: str, index: int, value: float) -> None:
    """Set the property of a channel; one that is gone is left out."""
    before = get_value(datablock, path, index)
    if before is None:
        return
    owner, name = _owner(datablock, path)
    if _CUSTOM.fullmatch(path):
        owner[name] = type(before)(value)
    elif owner.bl_rna.properties[name].is_array:
        getattr(owner, name)[index] = value
    else:
        setattr(owner, name, value)


def _owner(datablock: bpy.types.ID, path: str) -> tuple[bpy.types.bpy_struct, str]:
    """What has the property of a path, and the property's name.

    Raises:
        ValueError: the path leads nowhere.
    """
    if custom := _CUSTOM.fullmatch(path):
        owner = datablock.path_resolve(custom[1]) if custom[1] else datablock
        return owner, bpy.utils.unescape_identifier(custom[2])
    prefix, dot, name = path.rpartition(".")
    return (datablock.path_resolve(prefix) if dot else datablock), name
