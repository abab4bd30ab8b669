# SPDX-License-Identifier: GPL-3.0-or-later
"""The channels of an armature's bones that show a performance, in each bone's rotation mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Quaternion
from numpy.typing import NDArray

from ...engine.motion.characters.bones import AXES, BoneMapping, Channel, property_of
from ...engine.motion.characters.mapping import CharacterMapping
from .properties import bone_mapping_of
from .rest_pose import frame_of

Float = NDArray[np.float32]
Double = NDArray[np.float64]
Curve = tuple[str, int, Float]
"""Path seen from the object, component of a vector, and (T,) values."""

QUATERNION, AXIS_ANGLE = "QUATERNION", "AXIS_ANGLE"


@dataclass(frozen=True, eq=False)
class RigTarget:
    """What of an armature speaks, without the armature: it may be used while undo replaces that.

    Attributes:
        mapping: what its bones stand for.
        rest: defaults of the custom properties among its channels.
        modes: rotation mode of each bone.
        to_bone: (3, 3) from head space to the axes of each bone that turns with the head, for rows.
    """

    mapping: BoneMapping
    rest: Mapping[Channel, float]
    modes: Mapping[str, str]
    to_bone: Mapping[str, Double]


def rig_target(obj: bpy.types.Object) -> RigTarget:
    """What of an armature speaks.

    Raises:
        BadInputError: its table cannot be used.
    """
    mapping = bone_mapping_of(obj)
    named = {name for name, _ in mapping.channels} | mapping.head_shares.keys()
    frame = frame_of(obj) if mapping.head_shares else np.eye(3)
    return RigTarget(
        mapping=mapping,
        rest={known: _default(obj, *known) for known in mapping.channels if property_of(known[1])},
        modes={name: obj.pose.bones[name].rotation_mode for name in named},
        to_bone={
            name: frame.T @ np.array(obj.data.bones[name].matrix_local.to_3x3())
            for name in mapping.head_shares
        },
    )


def bone_channels(
    rig: RigTarget,
    names: Sequence[str],
    values: Float,
    head_rotation: Float,
    leader: CharacterMapping | None = None,
) -> Iterator[Curve]:
    """What an armature animates to show expressions and the turn of the head.

    Args:
        rig: an armature of a character.
        names: N expressions.
        values: (T, N) amounts.
        head_rotation: (T, 3) rotation vectors, head space, radians.
        leader: of the character's object that shows most.
    """
    channels = rig.mapping.channels
    shown = rig.mapping.values(values, names, leader, rig.rest)
    turns: dict[str, Double] = {}
    for (name, channel), column in zip(channels, shown.T, strict=True):
        kind, _, axis = channel.partition(" ")
        if kind == "rotation":
            turn = turns.setdefault(name, np.zeros((len(values), 3)))
            turn[:, AXES.index(axis)] = column
        elif kind == "property":
            yield property_path(name, property_of(channel)), 0, column
        else:
            yield f"{bone_path(name)}.{kind}", AXES.index(axis), column
    for name, turn in turns.items():
        axes = [axis for axis in range(3) if (name, f"rotation {AXES[axis]}") in channels]
        yield from _rotation(name, rig.modes[name], turn, axes)
    if head_rotation.any():
        for name, share in rig.mapping.head_shares.items():
            turn = share * head_rotation @ rig.to_bone[name]
            yield from _head_turn(name, rig.modes[name], turn)


def bone_path(name: str) -> str:
    """Path of a bone, seen from its object."""
    return f'pose.bones["{bpy.utils.escape_identifier(name)}"]'


def property_path(bone: str, name: str) -> str:
    """Path of a custom property of a bone, seen from its object."""
    return f'{bone_path(bone)}["{bpy.utils.escape_identifier(name)}"]'


def _default(obj: bpy.types.Object, bone: str, channel: str) -> float:
    """The default of a custom property."""
    known = obj.pose.bones[bone].id_properties_ui(property_of(channel)).as_dict()
    return float(known.get("default", 0.0))


def _rotation(bone: str, mode: str, turn: Double, axes: Sequence[int]) -> Iterator[Curve]:
    """(T, 3) angles about a bone's own axes, of which those in ``axes`` are meant."""
    path = f"{bone_path(bone)}.rotation_"
    if mode == QUATERNION:
        for index, column in enumerate(_quaternions(turn).T):
            yield f"{path}quaternion", index, column
    else:
        for axis in axes:
            yield f"{path}euler", axis, turn[:, axis].astype(np.float32)


def _head_turn(bone: str, mode: str, turn: Double) -> Iterator[Curve]:
    """(T, 3) rotation vectors in a bone's own axes."""
    path, quaternions = f"{bone_path(bone)}.rotation_", _quaternions(turn)
    if mode == QUATERNION:
        for index, column in enumerate(quaternions.T):
            yield f"{path}quaternion", index, column
    else:
        eulers = [Quaternion(row).to_euler(mode) for row in quaternions.tolist()]
        for axis, column in enumerate(np.array(eulers, np.float32).T):
            yield f"{path}euler", axis, column


def _quaternions(turn: Double) -> Float:
    """(T, 4) float32 w, x, y, z of (T, 3) rotation vectors; w is never negative below half a turn.

    q = (cos ½θ, ½ v sinc ½θ), θ = |v|.
    """
    half = 0.5 * np.linalg.norm(turn, axis=1, keepdims=True)
    vector = 0.5 * turn * np.sinc(half / np.pi)
    return np.concatenate([np.cos(half), vector], axis=1).astype(np.float32)
