# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances of FLAME heads as FLAME's parameters."""

from __future__ import annotations

import numpy as np

from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.heads.flame import JAW_DIRECTIONS
from engine.heads.flame_model import EXPRESSIONS, JOINTS
from engine.heads.flame_param import FlameParam, is_flame
from engine.heads.head import Head
from engine.motion.face.pose import pose_matrices
from engine.motion.joint_pose import JointPose
from engine.motion.performance import Performance
from engine.motion.unposed import posed

_NECK, _JAW = JOINTS.index("neck"), JOINTS.index("jaw")
_EYES = [JOINTS.index("left_eye"), JOINTS.index("right_eye")]


def flame_param_of(performance: Performance, head: Head) -> tuple[FlameParam, float]:
    """FLAME's expression and jaw from a performance of a FLAME head.

    Args:
        performance: its expression names are those of the head.
        head: of :func:`engine.heads.flame.load_flame`.

    Returns:
        The parameters, and the largest distance in metres between the performance's vertices and
        those of the head at these parameters: its linear model's, or, where the performance says
        how the joints stand, those of the skinned one.

    Raises:
        BadInputError: a head that is not FLAME, or a performance without its expressions.
    """
    if not is_flame(head) or performance.expression_names != head.expression_names:
        raise BadInputError(
            f"The performance of head '{performance.head}' has no FLAME parameters.",
            "Give a performance of this FLAME head with its expressions, or leave it out.",
        )
    param = FlameParam.of(head, performance.frames)
    param.expr[:] = performance.expression[:, :EXPRESSIONS]
    for name, rotation in JAW_DIRECTIONS.items():
        weight = performance.expression[:, head.expression_index(name), None]
        param.jaw_pose[:] += weight * np.array(rotation, np.float32)
    root = head.skeleton.positions[head.skeleton.names.index("root")]
    # Their head turns about its root: what a turn about the neck is beyond that is a translation.
    param.rotation[:] = performance.head_rotation
    poses = pose_matrices(performance.head_rotation, head.neck - root)
    param.translation[:] = poses[:, :3, 3]
    pose = performance.pose
    if pose is not None:
        param.translation[:] += np.einsum("tij,tj->ti", poses[:, :3, :3], pose.location[:, 0])
        param.neck_pose[:] = pose.rotation[:, _NECK]
        param.jaw_pose[:, 2] = pose.rotation[:, _JAW, 2]  # No expression twists the jaw.
        param.eyes_pose[:] = pose.rotation[:, _EYES].reshape(-1, 6)
    worst = 0.0
    for start, offsets in performance.offset_chunks():
        part = slice(start, start + len(offsets))
        if pose is None:
            found: Float | Double = head.deform(performance.expression[part])
        else:
            turned = pose.rotation[part].copy()
            turned[:, _JAW] = param.jaw_pose[part]
            basis = head.expression_basis[:EXPRESSIONS].reshape(EXPRESSIONS, -1)
            moved = (param.expr[part] @ basis).reshape(len(offsets), -1, 3)
            found = posed(moved, head, JointPose(turned, pose.location[part]))
        error = found - head.template - offsets
        worst = max(worst, float(np.linalg.norm(error, axis=-1).max()))
    return param, worst
