# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances of FLAME heads as FLAME's parameters.

The convention is that of FLAME's published code, of VHAP's tracker and of GaussianAvatars: the head
is turned about its root joint, which is regressed from the neutral face with static offset and
expression in it, and the translation is added after that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from engine.core.arrays import Double
from engine.core.errors import BadInputError
from engine.heads.carried_head import flame_model_of
from engine.heads.flame import JAW_DIRECTIONS
from engine.heads.flame_model import EXPRESSIONS, JOINTS, SHAPES, FlameModel
from engine.heads.flame_param import FlameParam, is_flame
from engine.heads.head import Head
from engine.heads.skinning import flame_vertices
from engine.motion.face.pose import rotations
from engine.motion.performance import Performance

_NECK, _JAW = JOINTS.index("neck"), JOINTS.index("jaw")
_EYES = [JOINTS.index("left_eye"), JOINTS.index("right_eye")]
_CHUNK = 64
"""Frames posed at a time: 64 of FLAME take 12 MB."""


def flame_param_of(
    performance: Performance, head: Head, near: str | Path
) -> tuple[FlameParam, float]:
    """FLAME's parameters from a performance of a FLAME head.

    Args:
        performance: its expression names are those of the head.
        head: of :func:`engine.heads.flame.load_flame` or of an avatar.
        near: what the head was loaded from, near which its FLAME model is looked for.

    Returns:
        The parameters, and the largest distance in metres between the performance's vertices, as
        its head turns about the neck, and those that FLAME has at these parameters. It is not zero
        where the jaw opens along a straight line instead of a joint's arc, and where vertices move
        as no parameter says.

    Raises:
        BadInputError: a head that is not FLAME, or a performance without its expressions.
        MissingDependencyError: the FLAME model is not found.
    """
    if not is_flame(head) or performance.expression_names != head.expression_names:
        raise BadInputError(
            f"The performance of head '{performance.head}' has no FLAME parameters.",
            "Give a performance of this FLAME head with its expressions, or leave it out.",
        )
    near = Path(near)
    model = flame_model_of(head, near if near.is_dir() else near.parent)
    param = FlameParam.of(head, performance.frames)
    param.expr[:] = performance.expression[:, :EXPRESSIONS]
    for name, rotation in JAW_DIRECTIONS.items():
        weight = performance.expression[:, head.expression_index(name), None]
        param.jaw_pose[:] += weight * np.array(rotation, np.float32)
    pose = performance.pose
    if pose is not None:
        param.neck_pose[:] = pose.rotation[:, _NECK]
        param.jaw_pose[:, 2] = pose.rotation[:, _JAW, 2]  # No expression twists the jaw.
        param.eyes_pose[:] = pose.rotation[:, _EYES].reshape(-1, 6)
    param.rotation[:] = performance.head_rotation
    turn = rotations(performance.head_rotation)
    # A performance turns about the neck n, after its root moved by s: R·(x + s − n) + n.
    # FLAME turns about its root r, which follows the expression: R·(x − r) + r + t.
    away = _roots(param, model) - head.neck
    moved = away if pose is None else away + pose.location[:, 0]
    param.translation[:] = np.einsum("tij,tj->ti", turn, moved) - away
    worst = 0.0
    for start, offsets in performance.offset_chunks(_CHUNK):
        part = slice(start, start + len(offsets))
        ours = (head.template + offsets - head.neck) @ turn[part].transpose(0, 2, 1) + head.neck
        worst = max(worst, float(np.linalg.norm(_posed(param, model, part) - ours, axis=-1).max()))
    return param, worst


def _roots(param: FlameParam, model: FlameModel) -> Double:
    """(T, 3) the root joint, which follows the expression."""
    regressor = model.J_regressor[JOINTS.index("root")].astype(np.float64)
    along = np.einsum("v,vck->ck", regressor, model.shapedirs[..., SHAPES:])
    roots: Double = regressor @ model.v_template + param.expr @ along.T
    return roots


def _posed(param: FlameParam, model: FlameModel, part: slice) -> Double:
    """(n, V, 3) what FLAME makes of the parameters of some frames; its template is the person's."""
    joints = (param.rotation, param.neck_pose, param.jaw_pose, param.eyes_pose)
    pose = torch.from_numpy(np.concatenate([joint[part] for joint in joints], 1))
    expression = torch.from_numpy(param.expr[part])
    translation = torch.from_numpy(param.translation[part])
    vertices = flame_vertices(model, torch.zeros(0), expression, pose, translation)
    return vertices.numpy().astype(np.float64)
