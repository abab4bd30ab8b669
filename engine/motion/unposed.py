# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance taken apart for a rig: joint rotations, and the mesh before it is skinned.

For programs that skin the mesh themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from engine.core.arrays import Double, Float
from engine.heads.flame_jaw import JAW_DIRECTIONS
from engine.heads.head import Head, Skeleton
from engine.motion.face.pose import rotation_vectors, rotations
from engine.motion.factored import factored
from engine.motion.joint_pose import JointPose
from engine.motion.performance import Performance

_EYES = ("left_eye", "right_eye")
_GAZE = "eyeLook"
"""Begins the names of ARKit's expressions that turn the eyes."""
_STILL = 1e-5
"""Radians that are rounding."""
_SAME = 1e-5
"""Metres by which offsets may differ to be taken for the same."""
_CHUNK = 32
"""Frames unposed at a time: their matrices take 12 MB for FLAME."""


def unposed(performance: Performance, head: Head) -> tuple[Performance, JointPose]:
    """The performance before skinning and without the pose correctives, and how the joints stand.

    The joints of a performance without them stand as at rest; where it moves the eyes by ARKit's
    expressions these turn about their joints, as rigid bodies.

    Args:
        performance: of ``head``.
        head: with joints; its correctives are those of its skeleton.

    Returns:
        The performance, whose offsets are those of the mesh before skinning, and the pose.
    """
    if performance.pose is not None:
        pose, rigid = performance.pose, False
    else:
        pose, rigid = _eyes_of(performance, head), True
    if not (pose.rotation.any() or pose.location.any()):
        return performance, pose
    weights, basis = factored(_offsets(performance, head, pose, rigid_eyes=rigid))
    unskinned = replace(
        performance, weights=weights, basis=basis.reshape(len(basis), -1, 3), pose=None
    )
    return _by_expressions(unskinned, head), pose


def posed(offsets: Float, head: Head, pose: JointPose) -> Double:
    """What :func:`unposed` takes apart, put together: correctives and skinning.

    Args:
        offsets: (T, V, 3) of the mesh before skinning, metres.
        head: with joints.
        pose: T frames.

    Returns:
        (T, V, 3) vertices before the turn of the whole head, head space, metres.
    """
    skeleton = head.skeleton
    vertices = head.template + offsets.astype(np.float64)
    if len(skeleton.pose_basis):
        vertices += pose_correctives(skeleton, pose.rotation)
    transforms = joint_transforms(skeleton, pose)
    blended = np.einsum("vj,tjab->tvab", skeleton.weights.astype(np.float64), transforms)
    turned: Double = (blended[..., :3] @ vertices[..., None])[..., 0] + blended[..., 3]
    return turned


def joint_transforms(skeleton: Skeleton, pose: JointPose) -> Double:
    """Where each joint takes what is fixed to it.

    Args:
        skeleton: J joints.
        pose: T frames of them.

    Returns:
        (T, J, 3, 4) rigid motions of head space, the parents' included.
    """
    T, J = pose.rotation.shape[:2]
    turns = rotations(pose.rotation.reshape(-1, 3)).reshape(T, J, 3, 3)
    found = np.zeros((T, J, 3, 4))
    for joint, parent in enumerate(skeleton.parents):
        position = skeleton.positions[joint].astype(np.float64)
        local = np.zeros((T, 3, 4))
        local[..., :3] = turns[:, joint]
        local[..., 3] = position - turns[:, joint] @ position + pose.location[:, joint]
        if parent >= 0:
            above = found[:, parent]
            local[..., 3] = (above[..., :3] @ local[..., 3:])[..., 0] + above[..., 3]
            local[..., :3] = above[..., :3] @ local[..., :3]
        found[:, joint] = local
    return found


def pose_correctives(skeleton: Skeleton, rotation: Float) -> Double:
    """(T, V, 3) FLAME's pose correctives Σ (R − I) · P of joint rotations (T, J, 3), metres."""
    T, J = rotation.shape[:2]
    bent = rotations(rotation[:, 1:].reshape(-1, 3)) - np.eye(3)
    flat = skeleton.pose_basis.reshape(len(skeleton.pose_basis), -1)
    moved: Double = bent.reshape(T, 9 * (J - 1)) @ flat
    return moved.reshape(T, -1, 3)


def _offsets(
    performance: Performance, head: Head, pose: JointPose, *, rigid_eyes: bool
) -> Iterator[Double]:
    """(n, 3V) offsets of the unposed mesh, chunk by chunk."""
    skeleton, template = head.skeleton, head.template.astype(np.float64)
    turning = pose.rotation.any(axis=(0, 2)) | pose.location.any(axis=(0, 2))
    for joint, parent in enumerate(skeleton.parents):
        turning[joint] |= parent >= 0 and turning[parent]
    skinned = np.flatnonzero((skeleton.weights[:, turning] > 0).any(axis=1))
    weights = skeleton.weights[skinned].astype(np.float64)
    eyeballs = [np.flatnonzero(skeleton.weights[:, joint] > 0.5) for joint in _eye_joints(skeleton)]
    for start, offsets in performance.offset_chunks(_CHUNK):
        now = pose.frames(slice(start, start + len(offsets)))
        vertices = template + offsets
        transforms = joint_transforms(skeleton, now)
        blended = np.einsum("vj,tjab->tvab", weights, transforms)
        away = vertices[:, skinned] - blended[..., 3]
        vertices[:, skinned] = np.linalg.solve(blended[..., :3], away[..., None])[..., 0]
        unskinned = vertices - template
        if rigid_eyes:
            for eyeball in eyeballs:
                unskinned[:, eyeball] = unskinned[:, eyeball].mean(axis=1, keepdims=True)
        if len(skeleton.pose_basis):
            unskinned -= pose_correctives(skeleton, now.rotation)
        yield unskinned.reshape(len(unskinned), -1)


def _by_expressions(performance: Performance, head: Head) -> Performance:
    """A performance as the head's own expressions, where it is these but for the jaw's."""
    if performance.expression_names != head.expression_names:
        return performance
    weights = performance.expression.copy()
    weights[:, [head.expression_index(name) for name in JAW_DIRECTIONS]] = 0.0
    flat = head.expression_basis.reshape(len(head.expression_basis), -1)
    for start, offsets in performance.offset_chunks():
        own = weights[start : start + len(offsets)] @ flat
        if np.abs(own.reshape(offsets.shape) - offsets).max() > _SAME:
            return performance
    return replace(performance, weights=weights, basis=head.expression_basis)


def _eyes_of(performance: Performance, head: Head) -> JointPose:
    """The eyes' rotations: those that fit the motion of the eyeballs best (Kabsch 1976)."""
    skeleton = head.skeleton
    pose = JointPose.rest(performance.frames, len(skeleton.names))
    if not any(name.startswith(_GAZE) for name in performance.expression_names):
        return pose
    weights = performance.weights.astype(np.float64)
    for joint in _eye_joints(skeleton):
        eyeball = np.flatnonzero(skeleton.weights[:, joint] > 0.5)
        if not len(eyeball):
            continue
        points = head.template[eyeball].astype(np.float64)
        points -= points.mean(axis=0)
        moved = np.einsum("kva,vb->kab", performance.basis[:, eyeball].astype(np.float64), points)
        covariance = points.T @ points + np.einsum("tk,kab->tab", weights, moved)
        left, _, right = np.linalg.svd(covariance)
        left[:, :, 2] *= np.linalg.det(left @ right)[:, None]
        found = rotation_vectors(left @ right)
        if np.abs(found).max(initial=0.0) > _STILL:
            pose.rotation[:, joint] = found
    return pose


def _eye_joints(skeleton: Skeleton) -> list[int]:
    return [skeleton.names.index(name) for name in _EYES if name in skeleton.names]
