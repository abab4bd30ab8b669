# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's armatures: their rest poses, and the channels of their bones that show a performance.

For the add-on, and for the process in which Blender works on a character's file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Quaternion

from ...core.arrays import Double, Float
from .bones import AXES, OBJECT, BoneMapping, Channel, property_of
from .mapping import CharacterMapping
from .rigs import RestBone, RigProposal, character_frame, propose_rig

Curve = tuple[str, int, Float]
"""Path seen from the object, component of a vector, and (T,) values."""

QUATERNION, AXIS_ANGLE = "QUATERNION", "AXIS_ANGLE"


def rest_bones(obj: bpy.types.Object) -> tuple[RestBone, ...]:
    """The bones of an armature object at rest; other objects have none."""
    bones = obj.data.bones if obj.type == "ARMATURE" else ()
    return tuple(_rest_bone(bone) for bone in bones)


def up_of(obj: bpy.types.Object) -> Double:
    """(3,) upwards in the world, in armature space; as long there as a metre."""
    return np.array(obj.matrix_world.to_3x3().inverted_safe().col[2])


def propose_armature(obj: bpy.types.Object) -> RigProposal | None:
    """What the bones of an armature stand for; ``None`` where no name is known."""
    return propose_rig(rest_bones(obj), up_of(obj))


def _rest_bone(bone: bpy.types.Bone) -> RestBone:
    axes = np.array(bone.matrix_local.to_3x3())
    return RestBone(
        name=bone.name,
        parent=bone.parent.name if bone.parent is not None else "",
        head=np.array(bone.head_local),
        tail=np.array(bone.tail_local),
        axes=axes,
        location_axes=axes if bone.use_local_location else np.eye(3),
        connected=bone.use_connect and bone.parent is not None,
    )


@dataclass(frozen=True, eq=False)
class PosedBones:
    """How the bones of an armature are posed, without the armature.

    Attributes:
        modes: rotation mode of each bone.
        to_bone: (3, 3) from head space to the axes of each bone that turns with the head, for rows.
        of_data: custom properties without a bone that the object's data has.
    """

    modes: Mapping[str, str]
    to_bone: Mapping[str, Double]
    of_data: frozenset[str]


def posed_bones(
    obj: bpy.types.Object, names: Collection[str], turning: Collection[str]
) -> PosedBones:
    """How bones of an armature, or another control, are posed.

    Args:
        obj: the object.
        names: of all bones that move.
        turning: those that turn with the head.
    """
    frame = character_frame(rest_bones(obj), up_of(obj)) if turning else np.eye(3)
    return PosedBones(
        modes={
            name: obj.rotation_mode if name == OBJECT else obj.pose.bones[name].rotation_mode
            for name in names
        },
        to_bone={
            name: frame.T @ np.array(obj.data.bones[name].matrix_local.to_3x3()) for name in turning
        },
        of_data=frozenset() if obj.data is None else frozenset({*obj.data.keys()} - {*obj.keys()}),
    )


@dataclass(frozen=True, eq=False)
class RigTarget:
    """What of an armature speaks, without the armature: it may be used while undo replaces that.

    Attributes:
        mapping: what its bones stand for.
        rest: defaults of the custom properties among its channels.
        posed: how they are posed.
    """

    mapping: BoneMapping
    rest: Mapping[Channel, float]
    posed: PosedBones


def rig_target(obj: bpy.types.Object, mapping: BoneMapping) -> RigTarget:
    """What of an armature speaks by a mapping."""
    named = {name for name, _ in mapping.channels} | mapping.head_shares.keys()
    return RigTarget(
        mapping=mapping,
        rest={
            (bone, channel): property_default(owner_of(obj, bone, name), name)
            for bone, channel in mapping.channels
            if (name := property_of(channel))
        },
        posed=posed_bones(obj, named, mapping.head_shares),
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
    shown = rig.mapping.values(values, names, leader, rig.rest)
    yield from channel_curves(rig.mapping.channels, shown, rig.posed)
    yield from head_curves(rig.mapping.head_shares, head_rotation, rig.posed)


def channel_curves(
    channels: Sequence[Channel], values: Float, posed: PosedBones
) -> Iterator[Curve]:
    """What of Blender's shows (T, C) values of C channels of bones."""
    turns: dict[str, Double] = {}
    for (name, channel), column in zip(channels, values.T, strict=True):
        kind, _, axis = channel.partition(" ")
        if kind == "rotation":
            turn = turns.setdefault(name, np.zeros((len(values), 3)))
            turn[:, AXES.index(axis)] = column
        elif kind == "property":
            yield property_path(name, property_of(channel), posed.of_data), 0, column
        else:
            yield _path(name, kind), AXES.index(axis), column
    for name, turn in turns.items():
        axes = [axis for axis in range(3) if (name, f"rotation {AXES[axis]}") in channels]
        yield from _rotation(name, posed.modes[name], turn, axes)


def head_curves(
    shares: Mapping[str, float], head_rotation: Float, posed: PosedBones
) -> Iterator[Curve]:
    """What of Blender's turns bones by their shares of the head's turn, (T, 3) rotation vectors."""
    if not head_rotation.any():
        return
    for name, share in shares.items():
        turn = share * head_rotation @ posed.to_bone[name]
        yield from turn_channels(name, posed.modes[name], turn)


def bone_path(name: str) -> str:
    """Path of a bone, seen from its object; that of the object itself is empty."""
    return "" if name == OBJECT else f'pose.bones["{bpy.utils.escape_identifier(name)}"]'


def _path(bone: str, name: str) -> str:
    """Path of a property of a bone, or of the object, seen from the object."""
    return name if bone == OBJECT else f"{bone_path(bone)}.{name}"


def property_path(bone: str, name: str, of_data: Collection[str] = ()) -> str:
    """Path of a custom property, seen from the object.

    Args:
        bone: that has it, or the object.
        name: of the property.
        of_data: those that the object's data has instead; its Action animates them, too.
    """
    owner = "data" if bone == OBJECT and name in of_data else bone_path(bone)
    return f'{owner}["{bpy.utils.escape_identifier(name)}"]'


def owner_of(
    obj: bpy.types.Object, bone: str, name: str = ""
) -> bpy.types.PoseBone | bpy.types.ID | None:
    """What a row is about.

    Args:
        obj: the armature's object, or another control.
        bone: one of its bones, or the object itself.
        name: of a custom property: the object's data has it where the object has not.
    """
    if bone != OBJECT:
        return obj.pose.bones.get(bone) if obj.pose is not None else None
    of_data = bool(name) and obj.data is not None and name not in obj and name in obj.data
    return obj.data if of_data else obj


def property_default(owner: bpy.types.PoseBone | bpy.types.ID, name: str) -> float:
    """The default of a custom property of a bone, an object or its data."""
    return float(owner.id_properties_ui(name).as_dict().get("default", 0.0))


def _rotation(bone: str, mode: str, turn: Double, axes: Sequence[int]) -> Iterator[Curve]:
    """(T, 3) angles about a bone's own axes, of which those in ``axes`` are meant."""
    path = _path(bone, "rotation_")
    if mode == QUATERNION:
        for index, column in enumerate(_quaternions(turn).T):
            yield f"{path}quaternion", index, column
    else:
        for axis in axes:
            yield f"{path}euler", axis, turn[:, axis].astype(np.float32)


def turn_channels(bone: str, mode: str, turn: Double) -> Iterator[Curve]:
    """A bone's rotation from (T, 3) rotation vectors in its own axes."""
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
    quaternions: Float = np.concatenate([np.cos(half), vector], axis=1).astype(np.float32)
    return quaternions
