# SPDX-License-Identifier: GPL-3.0-or-later
"""The channels of an armature's bones that show a performance, in each bone's rotation mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import bpy
import numpy as np
from mathutils import Quaternion
from numpy.typing import NDArray

from ...engine.motion.characters.bones import AXES, property_of
from .properties import bone_mapping_of, leader_of
from .rest_pose import frame_of

Float = NDArray[np.float32]
Double = NDArray[np.float64]
Curve = tuple[str, int, Float]
"""Path seen from the object, component of a vector, and (T,) values."""

QUATERNION, AXIS_ANGLE = "QUATERNION", "AXIS_ANGLE"


def bone_channels(
    obj: bpy.types.Object, names: Sequence[str], values: Float, head_rotation: Float
) -> Iterator[Curve]:
    """What an armature animates to show expressions and the turn of the head.

    Args:
        obj: an armature of a character.
        names: N expressions.
        values: (T, N) amounts.
        head_rotation: (T, 3) rotation vectors, head space, radians.
    """
    mapping = bone_mapping_of(obj)
    rest = {channel: rest_of_property(obj, *channel) for channel in mapping.channels}
    rest = {channel: value for channel, value in rest.items() if value is not None}
    shown = mapping.values(values, names, leader_of(obj), rest)
    turns: dict[str, Double] = {}
    for (name, channel), column in zip(mapping.channels, shown.T, strict=True):
        path = bone_path(name)
        kind, _, axis = channel.partition(" ")
        if kind == "rotation":
            turn = turns.setdefault(name, np.zeros((len(values), 3)))
            turn[:, AXES.index(axis)] = column
        elif kind == "property":
            yield property_path(name, property_of(channel)), 0, column
        else:
            yield f"{path}.{kind}", AXES.index(axis), column
    for name, turn in turns.items():
        axes = [axis for axis in range(3) if (name, f"rotation {AXES[axis]}") in mapping.channels]
        yield from _rotation(obj.pose.bones[name], turn, axes)
    if mapping.head_shares and head_rotation.any():
        frame = frame_of(obj)
        for name, share in mapping.head_shares.items():
            axes = np.array(obj.data.bones[name].matrix_local.to_3x3())
            yield from _head_turn(obj.pose.bones[name], share * head_rotation @ frame.T @ axes)


def bone_path(name: str) -> str:
    """Path of a bone, seen from its object."""
    return f'pose.bones["{bpy.utils.escape_identifier(name)}"]'


def property_path(bone: str, name: str) -> str:
    """Path of a custom property of a bone, seen from its object."""
    return f'{bone_path(bone)}["{bpy.utils.escape_identifier(name)}"]'


def rest_of_property(obj: bpy.types.Object, bone: str, channel: str) -> float | None:
    """The default of a custom property; ``None`` for other channels."""
    name = property_of(channel)
    if not name:
        return None
    return float(obj.pose.bones[bone].id_properties_ui(name).as_dict().get("default", 0.0))


def _rotation(bone: bpy.types.PoseBone, turn: Double, axes: Sequence[int]) -> Iterator[Curve]:
    """(T, 3) angles about a bone's own axes, of which those in ``axes`` are meant."""
    path = f"{bone_path(bone.name)}.rotation_"
    if bone.rotation_mode == QUATERNION:
        for index, column in enumerate(_quaternions(turn).T):
            yield f"{path}quaternion", index, column
    else:
        for axis in axes:
            yield f"{path}euler", axis, turn[:, axis].astype(np.float32)


def _head_turn(bone: bpy.types.PoseBone, turn: Double) -> Iterator[Curve]:
    """(T, 3) rotation vectors in a bone's own axes."""
    path, quaternions = f"{bone_path(bone.name)}.rotation_", _quaternions(turn)
    if bone.rotation_mode == QUATERNION:
        for index, column in enumerate(quaternions.T):
            yield f"{path}quaternion", index, column
    else:
        eulers = [Quaternion(row).to_euler(bone.rotation_mode) for row in quaternions.tolist()]
        for axis, column in enumerate(np.array(eulers, np.float32).T):
            yield f"{path}euler", axis, column


def _quaternions(turn: Double) -> Float:
    """(T, 4) float32 w, x, y, z of (T, 3) rotation vectors; w is never negative below half a turn.

    q = (cos ½θ, ½ v sinc ½θ), θ = |v|.
    """
    half = 0.5 * np.linalg.norm(turn, axis=1, keepdims=True)
    vector = 0.5 * turn * np.sinc(half / np.pi)
    return np.concatenate([np.cos(half), vector], axis=1).astype(np.float32)
