# SPDX-License-Identifier: GPL-3.0-or-later
"""Which channels of which datablock an object of a character speaks by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from .properties import character_objects, mapping_of

Float = NDArray[np.float32]
Channel = tuple[str, int, Float]
"""Path seen from the datablock, component of a vector, and (T,) values."""


@dataclass(frozen=True)
class AnimatedChannels:
    """What an object of a character animates.

    Attributes:
        datablock: what the Action is for.
        channels: those that ever leave rest.
    """

    datablock: bpy.types.ID
    channels: tuple[Channel, ...]


def animated_datablock(obj: bpy.types.Object) -> bpy.types.ID:
    """The datablock that an object of a character animates: the keys of a mesh."""
    return obj.data.shape_keys


def animated_channels(
    obj: bpy.types.Object, names: Sequence[str], values: Float
) -> AnimatedChannels:
    """What an object of a character animates to show expressions.

    Args:
        obj: a head, or an object of a character.
        names: N expressions, and corrective shape keys of heads.
        values: (T, N) amounts.
    """
    mapping = mapping_of(obj)
    if mapping is not None:
        main = character_objects(obj)[0]
        leader = None if main == obj else mapping_of(main)
        values, names = mapping.values(values, names, leader), mapping.keys
    moving = [column for column in range(len(names)) if values[:, column].any()]
    channels = tuple((key_path(names[column]), 0, values[:, column]) for column in moving)
    return AnimatedChannels(animated_datablock(obj), channels)


def key_path(key_name: str) -> str:
    """Path of a shape key's value, seen from the key datablock."""
    return f'key_blocks["{bpy.utils.escape_identifier(key_name)}"].value'


def rest_value(datablock: bpy.types.ID, path: str, index: int) -> float:
    """Value of a channel at rest: 0 of shape keys, Blender's default of other properties."""
    if isinstance(datablock, bpy.types.Key):
        return 0.0  # Blender 5.0 begins them at 1.
    owner, name = _owner(datablock, path)
    known = owner.bl_rna.properties[name]
    return float(known.default_array[index] if known.is_array else known.default)


def set_value(datablock: bpy.types.ID, path: str, index: int, value: float) -> None:
    """Set the property of a channel; one that is gone is left out."""
    try:
        owner, name = _owner(datablock, path)
    except ValueError:  # Blender's way to say that the path leads nowhere.
        return
    if owner.bl_rna.properties[name].is_array:
        getattr(owner, name)[index] = value
    else:
        setattr(owner, name, value)


def _owner(datablock: bpy.types.ID, path: str) -> tuple[bpy.types.bpy_struct, str]:
    """What has the property of a path, and the property's name.

    Raises:
        ValueError: the path leads nowhere.
    """
    prefix, dot, name = path.rpartition(".")
    return (datablock.path_resolve(prefix) if dot else datablock), name
