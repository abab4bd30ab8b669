# SPDX-License-Identifier: GPL-3.0-or-later
"""The channels of the bones of a head's rig: FLAME's joints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import bpy
import numpy as np

from ...engine.core.arrays import Double, Float
from ...engine.core.errors import BadInputError
from ...engine.heads.axes import blender_to_head
from ...engine.motion.characters.blender_bones import (
    AXIS_ANGLE,
    Curve,
    bone_path,
    turn_channels,
)
from ...engine.motion.face.pose import rotation_vectors, rotations
from ...engine.motion.joint_pose import JointPose
from ..heads.rig import to_bone


@dataclass(frozen=True, eq=False)
class HeadPose:
    """How a head's joints stand over T frames.

    Attributes:
        names: J joints, a parent before its children.
        joints: their rotations and locations.
        head_rotation: (T, 3) rotation vectors of the whole head, head space, radians.
        turned_by: the joint that turns by it: ``neck``, or ``root`` where the neck does otherwise.
        neck: (3,) the point that the whole head turns about, head space, metres.
    """

    names: tuple[str, ...]
    joints: JointPose
    head_rotation: Float
    turned_by: str
    neck: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class JointTarget:
    """What of a head's rig moves, without the rig: it may be used while undo replaces that.

    Attributes:
        modes: rotation mode of each bone.
        positions: (3,) where each bone turns at rest, head space, metres.
        to_bone: (3, 3) from head space to each bone's own axes, for columns.
    """

    modes: Mapping[str, str]
    positions: Mapping[str, Double]
    to_bone: Mapping[str, Double]

    def channels(self, pose: HeadPose) -> Iterator[Curve]:
        """All that the bones have for a pose, moving or not."""
        for joint, name in enumerate(pose.names):
            if name not in self.modes:
                continue
            rotation = pose.joints.rotation[:, joint]
            location = pose.joints.location[:, joint].astype(np.float64)
            if name == pose.turned_by and pose.head_rotation.any():
                turn = rotations(pose.head_rotation)
                rotation = rotation_vectors(turn @ rotations(rotation))
                # x ↦ R·(x − n) + n of what the joint at p moves by l.
                away = self.positions[name] - np.array(pose.neck)
                location = (turn @ (away + location)[..., None])[..., 0] - away
            axes = self.to_bone[name].T
            yield from turn_channels(name, self.modes[name], rotation @ axes)
            for axis, column in enumerate((location @ axes).astype(np.float32).T):
                yield f"{bone_path(name)}.location", axis, column


def joint_target(rig: bpy.types.Object) -> JointTarget:
    """What of a head's rig moves."""
    bones = rig.data.bones
    return JointTarget(
        modes={bone.name: rig.pose.bones[bone.name].rotation_mode for bone in bones},
        positions={
            bone.name: blender_to_head(np.array(bone.head_local, np.float64)) for bone in bones
        },
        to_bone={bone.name: to_bone(bone) for bone in bones},
    )


def check_joints(rig: bpy.types.Object) -> None:
    """Check that the bones of a head's rig can be turned.

    Raises:
        BadInputError: one turns by axis and angle.
    """
    for bone in rig.pose.bones:
        if bone.rotation_mode == AXIS_ANGLE:
            raise BadInputError(
                f"The bone '{bone.name}' of '{rig.name}' turns by axis and angle.",
                "Choose Quaternion or an Euler order as its rotation mode.",
            )
