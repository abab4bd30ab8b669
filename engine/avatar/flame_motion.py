# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's parameters over time as a performance: what GaussianAvatars' ``flame_param.npz`` plays.

All of the pose is kept: neck, jaw and eyes move the vertices by the full model, correctives
included; what the head does as a whole is the performance's rotation about the neck, and what its
translation adds to that is part of the offsets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from engine.avatar.expression import softly_clamped
from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.core.npz import open_npz
from engine.heads.carried_head import flame_model_of
from engine.heads.flame import expression_weights
from engine.heads.flame_model import EXPRESSIONS, FlameModel
from engine.heads.flame_param import FlameParam, load_flame_param
from engine.heads.head import Head
from engine.heads.identity import Identity
from engine.heads.registry import flame_param_of_file
from engine.heads.skinning import flame_vertices, rotation_matrices
from engine.motion.performance import MAX_FPS, MIN_FPS, Performance

_CHUNK = 64
"""Frames posed at a time: 64 of FLAME take 12 MB."""

TOLERANCE = 1e-4
"""Metres: length of the error of all vertices of a frame together in the factored form."""

_FPS = 25.0
"""Frames per second of parameters that do not say theirs, as GaussianAvatars' viewer plays them."""


def load_motion(
    path: str | Path, head: Head, near: str | Path, identity: Identity | None = None
) -> Performance:
    """A performance from a file that holds one, or from FLAME's parameters.

    Args:
        path: ``.performance.npz``; or ``flame_param.npz``, or the ``point_cloud.ply`` beside it.
        head: who performs; parameters of another person are taken as poses of this one.
        near: what the head was loaded from, near which its FLAME model is looked for.
        identity: of the avatar; expressions that parameters take beyond what it was trained on are
            held near it.

    Raises:
        BadInputError: no such file, or FLAME's parameters for another kind of head.
        MissingDependencyError: the FLAME model is not found.
    """
    param_file = flame_param_of_file(Path(path))
    if param_file is None:
        return Performance.load(path)
    if head.source.kind != "flame":
        raise BadInputError(
            f"{param_file} holds FLAME's parameters; head '{head.id}' is no FLAME head.",
            "Play them on the avatar of a FLAME head, or retarget them from one.",
        )
    param = load_flame_param(param_file)
    data = open_npz(param_file, "Give 'fps' as one number.", ("fps",))
    fps = data.number("fps", MIN_FPS, MAX_FPS) if "fps" in data else _FPS
    near = Path(near)
    model = flame_model_of(head, near if near.is_dir() else near.parent)
    return performance_of(param, model, head, fps, identity)


def performance_of(
    param: FlameParam,
    model: FlameModel,
    head: Head,
    fps: float,
    identity: Identity | None = None,
) -> Performance:
    """What FLAME's parameters make a head do; where in the world it stands is left out.

    Args:
        param: T frames; their identity is not looked at.
        model: of the head, its template the head's.
        head: who performs.
        fps: frames per second.
        identity: of the avatar; expressions beyond what it was trained on are held near it.

    Returns:
        A performance whose vertices are those of the full model within :data:`TOLERANCE`.

    Raises:
        BadInputError: offsets of another mesh.
    """
    if param.dynamic_offset.any() and param.dynamic_offset.shape[1:] != head.template.shape:
        raise BadInputError(
            f"The dynamic offsets move {param.dynamic_offset.shape[1]:,} vertices; head "
            f"'{head.id}' has {head.vertex_count:,}.",
            "Leave them out, or play the parameters on the head they are of.",
        )
    param = _within(param, identity)
    shift = _shift(param, model, head)
    weights, basis = factored(_posed(param, model, shift), TOLERANCE)
    return Performance(
        fps=fps,
        weights=weights,
        basis=basis.reshape(len(basis), -1, 3),
        expression=expression_weights(param.expr, param.jaw_pose),
        expression_names=head.expression_names,
        head=head.id,
        model="FLAME parameters",
        head_rotation=param.rotation,
    )


def _within(param: FlameParam, identity: Identity | None) -> FlameParam:
    """Expressions held near what an avatar was trained on; the jaw is a joint, and is free."""
    if identity is None or identity.expression_range is None:
        return param
    low, high = torch.from_numpy(identity.expression_range[:, :EXPRESSIONS])
    held = softly_clamped(torch.from_numpy(param.expr), low, high)
    return replace(param, expr=held.numpy())


def _shift(param: FlameParam, model: FlameModel, head: Head) -> Float:
    """(T, 3) translation within the turned head, metres, its mean over the clip left out.

    FLAME turns about its root r and then moves by t; a performance turns about the neck n: what
    is left, R·s = R·(n − r) + r + t − n, is a translation s before the turn.
    """
    regressor = model.J_regressor[0]
    bases = regressor @ model.v_template
    along = np.einsum("v,vck->kc", regressor, model.shapedirs[..., -EXPRESSIONS:])
    root = bases + param.expr @ along
    turn = rotation_matrices(torch.from_numpy(param.rotation)).numpy()
    left = root + param.translation - head.neck
    moved = left + np.einsum("tij,tj->ti", turn, head.neck - root)
    moved -= moved.mean(axis=0)
    return np.asarray(np.einsum("tji,tj->ti", turn, moved), np.float32)


def _posed(param: FlameParam, model: FlameModel, shift: Float) -> Iterator[Double]:
    """(n, 3V) offsets from the neutral face, chunk by chunk."""
    rest = torch.zeros(param.frames, 3)
    pose = torch.cat(
        [rest, *(torch.from_numpy(getattr(param, n)) for n in ("neck_pose", "jaw_pose"))], 1
    )
    pose = torch.cat([pose, torch.from_numpy(param.eyes_pose)], 1)
    nobody, expression = torch.zeros(0), torch.from_numpy(param.expr)
    moved = param.dynamic_offset.any()
    step = 1 if moved else _CHUNK
    for start in range(0, param.frames, step):
        part = slice(start, start + step)
        posed = model
        if moved:
            posed = replace(model, v_template=model.v_template + param.dynamic_offset[start])
        vertices = flame_vertices(posed, nobody, expression[part], pose[part]).numpy()
        offsets = vertices - model.v_template + shift[part, None]
        yield offsets.reshape(len(offsets), -1).astype(np.float64)


def factored(chunks: Iterator[Double], tolerance: float) -> tuple[Float, Float]:
    """Rows as weights · basis.

    Each chunk adds the principal components of what the basis so far cannot show, as many as the
    tolerance needs; the basis is orthonormal.

    Args:
        chunks: (n, D) each.
        tolerance: largest length of a row's error, so that no part of it is further off.

    Returns:
        (T, K) weights and (K, D) basis, float32.
    """
    basis: Double | None = None
    weights: list[Double] = []
    for rows in chunks:
        if basis is None:
            basis = np.zeros((0, rows.shape[1]))
        known = rows @ basis.T
        rest = rows - known @ basis
        # The eigenvectors of the small Gram matrix are the left singular vectors.
        squares, left = np.linalg.eigh(rest @ rest.T)
        squares, left = np.maximum(squares[::-1], 0.0), left[:, ::-1]
        dropped = np.cumsum(squares[::-1])[::-1]
        count = int(np.searchsorted(-dropped, -(tolerance**2)))
        sizes = np.sqrt(squares[:count])
        new = (left[:, :count] / sizes).T @ rest
        basis = np.concatenate([basis, new])
        weights.append(np.concatenate([known, left[:, :count] * sizes], axis=1))
    if basis is None:
        raise BadInputError("There are no frames.", "Give parameters of at least one frame.")
    full = [np.pad(part, ((0, 0), (0, len(basis) - part.shape[1]))) for part in weights]
    return np.concatenate(full).astype(np.float32), basis.astype(np.float32)
