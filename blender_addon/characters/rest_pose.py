# SPDX-License-Identifier: GPL-3.0-or-later
"""An armature's rest pose: what its bones are proposed to stand for, and where it faces."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.motion.characters.rigs import (
    RestBone,
    RigProposal,
    character_frame,
    propose_rig,
)

Double = NDArray[np.float64]


def propose_armature(obj: bpy.types.Object) -> RigProposal | None:
    """What the bones of an armature stand for; ``None`` where no name is known."""
    return propose_rig([_rest_bone(bone) for bone in obj.data.bones], _up(obj))


def frame_of(obj: bpy.types.Object) -> Double:
    """(3, 3) the left, up and forward of an armature as columns, in its own space."""
    return character_frame([_rest_bone(bone) for bone in obj.data.bones], _up(obj))


def _up(obj: bpy.types.Object) -> Double:
    """(3,) upwards in the world, in armature space; as long there as a metre."""
    return np.array(obj.matrix_world.to_3x3().inverted_safe().col[2])


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
