# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances of FLAME heads as FLAME's parameters."""

from __future__ import annotations

import numpy as np

from engine.core.errors import BadInputError
from engine.heads.flame import JAW_DIRECTIONS
from engine.heads.flame_model import EXPRESSIONS
from engine.heads.flame_param import FlameParam, is_flame
from engine.heads.head import Head
from engine.motion.face.pose import pose_matrices
from engine.motion.performance import Performance


def flame_param_of(performance: Performance, head: Head) -> tuple[FlameParam, float]:
    """FLAME's expression and jaw from a performance of a FLAME head.

    Args:
        performance: its expression names are those of the head.
        head: of :func:`engine.heads.flame.load_flame`.

    Returns:
        The parameters, and the largest distance in metres between the performance's vertices and
        those of the head's linear model at these parameters.

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
    worst = 0.0
    for start, offsets in performance.offset_chunks():
        expression = performance.expression[start : start + len(offsets)]
        error = head.deform(expression) - head.template - offsets
        worst = max(worst, float(np.linalg.norm(error, axis=-1).max()))
    return param, worst
