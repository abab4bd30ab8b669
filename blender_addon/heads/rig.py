# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's joints as the bones of an armature, and its pose correctives as driven shape keys.

The mesh is a child of its rig, which skins it as FLAME does (linear blend skinning). Each entry of
a bone's rotation matrix R drives one shape key by how far it is from that of R = I: FLAME's own
correctives, exact in every pose. The drivers are plain arithmetic, which Blender computes without
Python and in files that may run no scripts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

from ...engine.core.arrays import Double, Float
from ...engine.heads.axes import HEAD_TO_BLENDER, blender_to_head, head_to_blender
from ...engine.motion.face.pose import rotation_vectors, rotations
from ...engine.motion.joint_pose import JointPose
from .mesh import set_key_points
from .properties import JOINTS, rig_of

POSE_PREFIX = "pose "
"""Begins the names of the shape keys that a rig drives."""
NECK, JAW = JOINTS[1:3]

_FORWARD, _UP = Vector((0.0, -1.0, 0.0)), Vector((0.0, 0.0, 1.0))
"""In Blender's axes, as heads stand in them."""
_TAILS = {"root": _UP * 0.05, NECK: _UP * 0.06, JAW: _FORWARD * 0.08}
_EYE_TAIL = _FORWARD * 0.03
"""From the head of a bone to its tail, metres; the eyes' look forward."""
_AXES = "xyz"
_DRIVEN = (
    *("-2*(y*y+z*z)", "2*(x*y-w*z)", "2*(x*z+w*y)"),
    *("2*(x*y+w*z)", "-2*(x*x+z*z)", "2*(y*z-w*x)"),
    *("2*(x*z-w*y)", "2*(y*z+w*x)", "-2*(x*x+y*y)"),
)
"""The entries of R − I, row by row, of a unit quaternion."""
_LEAST = 1e-7
"""Metres that a corrective must move something to be kept."""
_MODIFIER = "Rig"


class Joints(NamedTuple):
    """What the engine says of a head's joints.

    Attributes:
        names: J names; a parent before its children.
        parents: (J,) −1 for the root.
        positions: (J, 3) head space, metres.
        weights: (V, J) skinning weights.
        pose_basis: (9·(J − 1), V, 3) offsets for the entries of R − I, head space, metres.
    """

    names: Sequence[str]
    parents: NDArray[np.int32]
    positions: Float
    weights: Float
    pose_basis: Float


class RestJoints(NamedTuple):
    """Where the joints of a head's rig are at rest; empty without a rig.

    Attributes:
        names: J names, a parent before its children.
        parents: J numbers, −1 for the root.
        positions: (J, 3) where they turn, head space, metres.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    positions: Double


class PosedHead(NamedTuple):
    """What bones do, as a performance has it.

    Attributes:
        head_rotation: (T, 3) float32 rotation vectors of the whole head about its neck, radians.
        pose: of the joints, the root's rotation in ``head_rotation`` instead.
    """

    head_rotation: Float
    pose: JointPose


def rest_joints(obj: bpy.types.Object) -> RestJoints:
    """The joints of a head's rig at rest."""
    rig = rig_of(obj) if obj.gaussianspeech_head.id else None
    names = JOINTS if rig is not None else ()
    bones = [rig.data.bones[name] for name in names]
    above = [next((b.name for b in bone.parent_recursive if b.name in names), "") for bone in bones]
    return RestJoints(
        names,
        tuple(names.index(name) if name else -1 for name in above),
        blender_to_head(np.array([bone.head_local for bone in bones]).reshape(-1, 3)),
    )


def pose_of_motions(joints: RestJoints, motions: Double) -> PosedHead:
    """A performance's joints from where they take what is fixed to them.

    Args:
        joints: J joints, the neck among them.
        motions: (T, J, 4, 4) rigid motions of head space, the parents' included.
    """
    positions, neck = joints.positions, joints.names.index(NECK)
    pose = JointPose.rest(*motions.shape[:2])
    for joint, parent in enumerate(joints.parents):
        local = motions[:, joint]
        if parent >= 0:
            local = np.linalg.inv(motions[:, parent]) @ local
        turn = local[:, :3, :3]
        pose.rotation[:, joint] = rotation_vectors(turn)
        moved = turn @ positions[joint] + local[:, :3, 3] - positions[joint]
        pose.location[:, joint] = moved
    # The root's turn is the whole head's, about its neck n: R·(x + s − n) + n = R·(x − r) + r + l.
    rotation = pose.rotation[:, 0].copy()
    turn = rotations(rotation)
    left = positions[0] + pose.location[:, 0] - positions[neck]
    shift = np.einsum("tji,tj->ti", turn, left) + positions[neck] - positions[0]
    pose.rotation[:, 0], pose.location[:, 0] = 0.0, shift
    return PosedHead(rotation, pose)


def pose_keys(names: Iterable[str]) -> list[str]:
    """The shape keys among some that a rig drives."""
    return [name for name in names if name.startswith(POSE_PREFIX)]


def joints_of_reply(body: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Joints | None:
    """The joints in the engine's reply to ``head.load``; ``None`` of a head that is not FLAME."""
    if "joint/parents" not in arrays:
        return None
    names = ("parents", "positions", "weights", "pose_basis")
    return Joints(body["joints"], *(arrays[f"joint/{name}"] for name in names))


def add_rig(context: bpy.types.Context, obj: bpy.types.Object, joints: Joints) -> bpy.types.Object:
    """Give a head an armature, where it stands; the head becomes its child.

    Args:
        context: in Object Mode.
        obj: a head that is in the scene.
        joints: of that head.
    """
    rig = bpy.data.objects.new(f"{obj.name} Rig", bpy.data.armatures.new(f"{obj.name} Rig"))
    rig.data.display_type, rig.show_in_front = "STICK", True
    for collection in obj.users_collection:
        collection.objects.link(rig)
    rig.matrix_world = obj.matrix_world
    rig.location = obj.location
    obj.location = (0.0, 0.0, 0.0)
    obj.parent = rig
    # Moved by itself it would turn about points that it has left.
    obj.lock_location = obj.lock_rotation = obj.lock_scale = (True, True, True)
    _add_bones(context, rig, joints)
    for name, weights in zip(joints.names, joints.weights.T, strict=True):
        _add_weights(obj, name, weights)
    modifier = obj.modifiers.new(_MODIFIER, "ARMATURE")
    modifier.object = rig
    obj.gaussianspeech_head.rig = rig
    _add_correctives(obj, rig, joints)
    return rig


def to_bone(bone: bpy.types.Bone) -> Double:
    """(3, 3) from head space to a bone's own axes at rest, for columns."""
    rest = np.array(bone.matrix_local.to_3x3())
    turned: Double = rest.T @ HEAD_TO_BLENDER[:3, :3].astype(np.float64)
    return turned


def joint_motions(rig: bpy.types.Object) -> dict[str, Double]:
    """Where each bone takes what is fixed to it: (4, 4) rigid motions of head space.

    Args:
        rig: evaluated, or as it is.
    """
    axes = HEAD_TO_BLENDER.astype(np.float64)
    return {
        bone.name: axes.T @ np.array(bone.matrix @ bone.bone.matrix_local.inverted_safe()) @ axes
        for bone in rig.pose.bones
    }


def take_own_rig(obj: bpy.types.Object) -> None:
    """Give a copied head a rig of its own, where it has that of another head."""
    rig = rig_of(obj)
    if rig is None:
        return
    if any(other != obj and rig_of(other) == rig for other in bpy.data.objects):
        own = rig.copy()
        for collection in rig.users_collection:
            collection.objects.link(own)
        obj.gaussianspeech_head.rig = own
        for modifier in obj.modifiers:
            if modifier.type == "ARMATURE" and modifier.object == rig:
                modifier.object = own
        if obj.parent == rig:
            obj.parent = own
    for target in _driver_targets(obj.data.shape_keys):
        target.id = obj.gaussianspeech_head.rig


def _add_bones(context: bpy.types.Context, rig: bpy.types.Object, joints: Joints) -> None:
    """Make the bones, which only Edit Mode can."""
    before = context.view_layer.objects.active
    context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        bones = [rig.data.edit_bones.new(name) for name in joints.names]
        places = head_to_blender(joints.positions)
        for bone, parent, place in zip(bones, joints.parents, places, strict=True):
            bone.head = place.tolist()
            bone.tail = bone.head + _TAILS.get(bone.name, _EYE_TAIL)
            bone.align_roll(_FORWARD if bone.vector.normalized() == _UP else _UP)
            if parent >= 0:
                bone.parent = bones[parent]
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
        context.view_layer.objects.active = before


def _add_weights(obj: bpy.types.Object, name: str, weights: Float) -> None:
    """Skinning weights as a vertex group; a region of that name gives way."""
    if name in obj.vertex_groups:
        obj.vertex_groups[name].name = f"{name} region"
    group = obj.vertex_groups.new(name=name)
    group.add(np.flatnonzero(weights == 1.0).tolist(), 1.0, "REPLACE")
    for vertex in np.flatnonzero((weights > 0.0) & (weights != 1.0)).tolist():
        group.add([vertex], float(weights[vertex]), "REPLACE")


def _add_correctives(obj: bpy.types.Object, rig: bpy.types.Object, joints: Joints) -> None:
    """FLAME's pose correctives, in the bones' own axes, where they move anything.

    With R = Qᵀ·B·Q of a rotation B in the bone's axes, Σ (R − I)ₐᵦ·Pₐᵦ is Σ (B − I)·(Q·P·Qᵀ).
    """
    rest = np.empty(3 * len(obj.data.vertices), np.float32)
    obj.data.shape_keys.reference_key.points.foreach_get("co", rest)
    for joint, name in enumerate(joints.names[1:]):
        turn = to_bone(rig.data.bones[name])
        basis = joints.pose_basis[9 * joint : 9 * joint + 9].astype(np.float64)
        own = np.einsum("ia,jb,abvc->ijvc", turn, turn, basis.reshape(3, 3, -1, 3))
        for entry, offsets in enumerate(own.reshape(9, -1, 3)):
            if np.abs(offsets).max(initial=0.0) < _LEAST:
                continue
            row, column = divmod(entry, 3)
            key = obj.shape_key_add(
                name=f"{POSE_PREFIX}{name} {_AXES[row]}{_AXES[column]}", from_mix=False
            )
            moved = head_to_blender(offsets.astype(np.float32))
            set_key_points(key, rest.reshape(-1, 3) + moved)
            key.slider_min, key.slider_max, key.value = -2.0, 2.0, 0.0
            _drive(key, rig, name, _DRIVEN[entry])


def _drive(key: bpy.types.ShapeKey, rig: bpy.types.Object, bone: str, expression: str) -> None:
    driver = key.driver_add("value").driver
    driver.type, driver.expression = "SCRIPTED", expression
    for component in "wxyz":
        if component not in expression:
            continue
        variable = driver.variables.new()
        variable.name, variable.type = component, "TRANSFORMS"
        target = variable.targets[0]
        target.id, target.bone_target = rig, bone
        target.transform_type = f"ROT_{component.upper()}"
        target.rotation_mode, target.transform_space = "QUATERNION", "LOCAL_SPACE"


def _driver_targets(keys: bpy.types.Key) -> Iterable[Any]:
    """What the pose correctives of a head are driven by."""
    animation = keys.animation_data
    for curve in animation.drivers if animation is not None else ():
        if curve.data_path.startswith(f'key_blocks["{POSE_PREFIX}'):
            for variable in curve.driver.variables:
                yield variable.targets[0]
