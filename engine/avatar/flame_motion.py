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
from engine.avatar.vertex_motion import load_vertices
from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.core.files import by_number
from engine.core.npz import open_npz
from engine.heads.carried_head import FLAME_PARAM, flame_model_of
from engine.heads.flame import expression_weights
from engine.heads.flame_layouts import is_artalk, is_flame_layout, load_flame_layout
from engine.heads.flame_model import EXPRESSIONS, FlameModel
from engine.heads.flame_param import FlameParam, load_flame_param, load_sequence
from engine.heads.head import Head
from engine.heads.identity import Identity
from engine.heads.registry import flame_param_of_file
from engine.heads.skinning import flame_vertices, rotation_matrices
from engine.motion.factored import factored
from engine.motion.joint_pose import JointPose
from engine.motion.performance import MAX_FPS, MIN_FPS, Performance

_CHUNK = 64
"""Frames posed at a time: 64 of FLAME take 12 MB."""

_FRAMES = "flame_param"
"""Folder of a capture with a file for each frame."""

_FPS = 25.0
"""Frames per second of parameters that do not say theirs, as GaussianAvatars' viewer plays them."""


def load_motion(
    path: str | Path,
    head: Head,
    near: str | Path,
    identity: Identity | None = None,
    fps: float | None = None,
) -> Performance:
    """A performance from a file that holds one, or from FLAME's parameters.

    Args:
        path: ``.performance.npz``; or ``flame_param.npz``, or the ``point_cloud.ply`` beside it; or
            a folder of GaussianAvatars: with ``flame_param.npz``, else with a file for each frame
            in it or in its ``flame_param``, ``00000.npz`` and so on; or FLAME's parameters as
            :mod:`engine.heads.flame_layouts` reads them, or vertices over time (``.npy``).
        head: who performs; parameters of another person are taken as poses of this one.
        near: what the head was loaded from, near which its FLAME model is looked for.
        identity: of the avatar; expressions that parameters take beyond what it was trained on are
            held near it.
        fps: frames per second of what does not state its own: by default 25, of vertices 60.

    Raises:
        BadInputError: no such file, or FLAME's parameters for another kind of head.
        MissingDependencyError: the FLAME model is not found.
    """
    path = Path(path)
    param_file = _of_folder(path) if path.is_dir() else flame_param_of_file(path)
    if param_file is None and is_vertex_file(path):
        return load_vertices(path, head, fps)
    other = param_file is None and holds_flame(path)
    if param_file is None and not other:
        return Performance.load(path)
    if head.source.kind != "flame":
        raise BadInputError(
            f"{param_file or path} holds FLAME's parameters; head '{head.id}' is no FLAME head.",
            "Play them on the avatar of a FLAME head, or retarget them from one.",
        )
    if param_file is None:
        param, stated = load_flame_layout(path)
    else:
        param, stated = _of_gaussian_avatars(param_file)
    near = Path(near)
    model = flame_model_of(head, near if near.is_dir() else near.parent)
    return performance_of(param, model, head, stated or fps or _FPS, identity)


def holds_flame(path: Path) -> bool:
    """Whether a file has FLAME's parameters in the arrays of any program."""
    kind = path.suffix.lower()
    if kind == ".npy":
        return is_artalk(path)
    return flame_param_of_file(path) is not None or (kind == ".npz" and is_flame_layout(path))


def is_vertex_file(path: Path) -> bool:
    """Whether a file has vertices over time and nothing else."""
    return path.suffix.lower() == ".npy" and not is_artalk(path)


def _of_gaussian_avatars(path: Path) -> tuple[FlameParam, float | None]:
    """Parameters of one file or of a file for each frame, and the rate where they state it."""
    frames = _frames_in(path) if path.is_dir() else []
    param = load_sequence(frames) if frames else load_flame_param(path)
    data = open_npz(frames[0] if frames else path, "Give 'fps' as one number.", ("fps",))
    return param, data.number("fps", MIN_FPS, MAX_FPS) if "fps" in data else None


def _of_folder(folder: Path) -> Path:
    """The file of a folder's poses, or the folder with a file for each frame.

    Raises:
        BadInputError: there are none.
    """
    if (folder / FLAME_PARAM).is_file():
        return folder / FLAME_PARAM
    for frames in (folder, folder / _FRAMES):
        if _frames_in(frames):
            return frames
    raise BadInputError(
        f"{folder} holds no poses of FLAME: neither {FLAME_PARAM} nor files of single frames.",
        "Choose a folder of GaussianAvatars: of an avatar, or of a capture with flame_param.",
    )


def _frames_in(folder: Path) -> list[Path]:
    """The files of single frames in a folder, in their order."""
    files = (path for path in folder.glob("*.npz") if path.stem.isdecimal())
    return sorted(files, key=by_number)


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
        A performance whose vertices are those of the full model within
        :data:`engine.motion.factored.TOLERANCE`.

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
    pose = _pose(param, model, head)
    weights, basis = factored(_posed(param, model, pose))
    return Performance(
        fps=fps,
        weights=weights,
        basis=basis.reshape(len(basis), -1, 3),
        expression=expression_weights(param.expr, param.jaw_pose),
        expression_names=head.expression_names,
        head=head.id,
        model="FLAME parameters",
        head_rotation=param.rotation,
        pose=pose,
    )


def _within(param: FlameParam, identity: Identity | None) -> FlameParam:
    """Expressions held near what an avatar was trained on; the jaw is a joint, and is free."""
    if identity is None or identity.expression_range is None:
        return param
    low, high = torch.from_numpy(identity.expression_range[:, :EXPRESSIONS])
    held = softly_clamped(torch.from_numpy(param.expr), low, high)
    return replace(param, expr=held.numpy())


def _pose(param: FlameParam, model: FlameModel, head: Head) -> JointPose:
    """How the joints stand; what the expression moves them by is in their locations."""
    still, eyes = np.zeros_like(param.neck_pose), param.eyes_pose.reshape(-1, 2, 3)
    turned = np.stack([still, param.neck_pose, param.jaw_pose, eyes[:, 0], eyes[:, 1]], axis=1)
    along = np.einsum("jv,vck->kjc", model.J_regressor, model.shapedirs[..., -EXPRESSIONS:])
    moved = np.einsum("tk,kjc->tjc", param.expr, along)
    turn = rotation_matrices(torch.from_numpy(turned)).numpy()
    location = moved - np.einsum("tjab,tjb->tja", turn, moved)
    location[:, 0] = _shift(param, model, head, moved[:, 0])
    return JointPose(turned, location.astype(np.float32))


def _shift(param: FlameParam, model: FlameModel, head: Head, along: Float) -> Float:
    """(T, 3) translation within the turned head, metres, its mean over the clip left out.

    FLAME turns about its root r and then moves by t; a performance turns about the neck n: what
    is left, R·s = R·(n − r) + r + t − n, is a translation s before the turn. The expression moves
    the root by ``along`` (T, 3).
    """
    root = model.J_regressor[0] @ model.v_template + along
    turn = rotation_matrices(torch.from_numpy(param.rotation)).numpy()
    left = root + param.translation - head.neck
    moved = left + np.einsum("tij,tj->ti", turn, head.neck - root)
    moved -= moved.mean(axis=0)
    return np.asarray(np.einsum("tji,tj->ti", turn, moved), np.float32)


def _posed(param: FlameParam, model: FlameModel, pose: JointPose) -> Iterator[Double]:
    """(n, 3V) offsets from the neutral face, chunk by chunk."""
    turned = torch.from_numpy(pose.rotation).flatten(1)
    nobody, expression = torch.zeros(0), torch.from_numpy(param.expr)
    moved = param.dynamic_offset.any()
    step = 1 if moved else _CHUNK
    for start in range(0, param.frames, step):
        part = slice(start, start + step)
        posed = model
        if moved:
            posed = replace(model, v_template=model.v_template + param.dynamic_offset[start])
        vertices = flame_vertices(posed, nobody, expression[part], turned[part]).numpy()
        offsets = vertices - model.v_template + pose.location[part, :1]
        yield offsets.reshape(len(offsets), -1).astype(np.float64)
