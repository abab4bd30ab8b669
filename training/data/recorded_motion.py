# SPDX-License-Identifier: GPL-3.0-or-later
"""The motion of a recording as it was captured: performance, vertices, expressions or FLAME's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.audio.loading import Speech
from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.npz import npz_names, open_npz
from engine.core.progress import Progress, no_progress
from engine.heads.flame import expression_weights
from engine.heads.flame_model import SHAPES
from engine.heads.flame_param import is_flame, load_flame_param, load_sequence
from engine.heads.head import Head
from engine.heads.retarget import with_arkit_expressions
from engine.heads.skinning import flame_vertices
from engine.motion.performance import MAX_FPS, MIN_FPS, Performance
from training.data.captured_motion import CapturedHead, CapturedMotion
from training.data.flame_tracking import Tracking
from training.data.recordings import Recording, parameter_files

_REPAIR = "Repair or leave out this recording."
_OTHER_HEAD = "Train on the head that was captured, or retarget the captures first."
_RATE_REMEDY = "Add an array 'fps' with frames per second."
_PIECE = 64
_SLOWEST, _FASTEST = 10.0, 240.0
_FARTHEST = 0.15
"""Metres that a vertex of a face moves at most; a jaw that is dropped moves by 0.06."""
_FAR = 0.02
"""Metres between a captured face and the head's on average, from which their units are two."""


def with_lips(head: Head, progress: Progress = no_progress) -> Head:
    """A head that names its lips: FLAME without its masks has them found by retargeting.

    Raises:
        BadInputError: the default head's face does not fit it.
    """
    if len(head.regions.get("lips", ())):
        return head
    found = with_arkit_expressions(head, progress=progress)
    return replace(
        head,
        regions={**found.regions, **head.regions},
        landmarks={**found.landmarks, **head.landmarks},
    )


def recorded_rate(recording: Recording) -> float:
    """Frames per second of the motion of a recording.

    Raises:
        BadInputError: it is damaged, or does not say its rate.
    """
    if recording.foreign:
        # Deferred as below.
        from training.data.foreign_motion import foreign_rate

        return foreign_rate(recording)
    if not recording.motion.is_dir():
        data = open_npz(recording.motion, _RATE_REMEDY, ("fps",))
        if "fps" in data:
            return data.number("fps", MIN_FPS, MAX_FPS)
        if recording.fps is None:
            raise data.wrong("it does not say its frame rate")
    assert recording.fps is not None
    return recording.fps


def read_motion(
    recording: Recording, head: CapturedHead, speech: Speech, tracking: Tracking | None = None
) -> CapturedMotion:
    """The motion of a recording.

    Args:
        recording: which.
        head: whose motion it is.
        speech: its sound, as long as the motion.
        tracking: refined parameters of FLAME, which count for the timesteps that they have.

    Raises:
        BadInputError: it is damaged or holds NaN, is of another head, or is not as long as the
            sound; names the file, expected and found.
    """
    if recording.foreign:
        # Deferred: it needs the recognisers to find where the sound lies.
        from training.data.foreign_motion import read_foreign

        motion = _of_head(read_foreign(recording, head, speech), head)
    else:
        motion = motion_alone(recording, head, tracking)
    frames = round(speech.duration * motion.fps)
    if abs(len(motion.weights) - frames) > 1:
        raise BadInputError(
            f"{motion.path} has {len(motion.weights)} frames at {motion.fps:g} per second for "
            f"{speech.duration:.3f} s of sound; expected {frames}.",
            "Motion and sound must begin and end together, at the stated rate.",
        )
    return motion


def motion_alone(
    recording: Recording, head: CapturedHead, tracking: Tracking | None = None
) -> CapturedMotion:
    """:func:`read_motion`, whatever its length.

    Raises:
        BadInputError: it is damaged or holds NaN, or is of another head.
    """
    path = recording.motion
    kind = _kind(path)
    if kind == "flame_param":
        motion = _flame(recording, head, tracking)
    elif kind == "performance":
        motion = _performance(path, head.trained)
    else:
        motion = _plain(path, head)
    return _of_head(motion, head)


def _of_head(motion: CapturedMotion, head: CapturedHead) -> CapturedMotion:
    """The motion, of the trained head's mesh and at a rate of faces.

    Raises:
        BadInputError: of another mesh, or of no such rate.
    """
    if not len(motion.weights):
        raise BadInputError(f"{motion.path} holds no frame.", _REPAIR)
    found, expected = motion.basis.shape[1], head.trained.vertex_count
    if found != expected:
        raise BadInputError(
            f"{motion.path} moves {found} vertices; the head {head.trained.id!r} has {expected}.",
            _OTHER_HEAD,
        )
    if not _SLOWEST <= motion.fps <= _FASTEST:
        raise BadInputError(
            f"{motion.path} says that it has {motion.fps:g} frames per second.",
            f"Give its true rate, {_SLOWEST:g} to {_FASTEST:g}.",
        )
    _check_reach(motion)
    return motion


def _check_reach(motion: CapturedMotion) -> None:
    """See that no vertex moves farther than one of a face can.

    Raises:
        BadInputError: one does, by weights in percent or parameters in another unit.
    """
    reach = np.abs(motion.weights) @ np.linalg.norm(motion.basis, axis=2).max(axis=1)
    frame = int(reach.argmax())
    moved = np.linalg.norm(motion.offsets(slice(frame, frame + 1)).reshape(-1, 3), axis=1)
    if moved.max() > _FARTHEST:
        raise BadInputError(
            f"{motion.path} moves a vertex by {100 * float(moved.max()):,.0f} cm in frame {frame}.",
            "Weights of expressions are 0 to 1, angles radians and lengths metres.",
        )


def _kind(path: Path) -> str:
    """What holds a motion, by its name, or by what is in it."""
    if path.is_dir():
        return "flame_param"
    for kind in ("flame_param", "performance", "motion"):
        if path.name.endswith(f"{kind}.npz"):
            return kind
    names = set(npz_names(path, hint=_REPAIR))
    if {"expr", "jaw_pose"} <= names:
        return "flame_param"
    return "performance" if "basis" in names else "motion"


def _performance(path: Path, head: Head) -> CapturedMotion:
    loaded = Performance.load(path)
    own = loaded.expression_names == head.expression_names
    expression = loaded.expression if own else None
    return CapturedMotion(path, loaded.fps, loaded.weights, loaded.basis, expression)


def _plain(path: Path, head: CapturedHead) -> CapturedMotion:
    remedy = "It needs 'fps' and one of 'vertices' (T, V, 3) and 'expression' (T, E)."
    data = open_npz(path, remedy, ("fps", "vertices", "expression"))
    fps = data.number("fps", MIN_FPS, MAX_FPS)
    name = "vertices" if "vertices" in data else "expression"
    values = data.array(name)
    _check_finite(path, name, values)
    trained, captured = head.trained, head.captured
    if name == "expression":
        if values.ndim == 2 and values.shape[1] == len(trained.expression_names):
            return CapturedMotion(path, fps, values, trained.expression_basis, values)
        if values.ndim == 2 and values.shape[1] == len(captured.expression_names):
            return CapturedMotion(path, fps, values, captured.expression_basis, None)
        raise _misshapen(path, name, values, f"{len(captured.expression_names)}", captured)
    if values.shape[1:] != trained.template.shape:
        raise _misshapen(path, name, values, f"{trained.vertex_count}, 3", trained)
    apart = np.linalg.norm(values - trained.template, axis=2).mean(axis=1)
    if len(apart) and (away := float(apart.min())) > _FAR:
        raise BadInputError(
            f"{path}: the vertices are {1000 * away:.0f} mm away from those of {trained.id!r} on "
            "average.",
            "They must be places, not offsets, in metres, and upright before the head's origin.",
        )
    return _dense(path, fps, values - trained.template)


def _flame(recording: Recording, head: CapturedHead, tracking: Tracking | None) -> CapturedMotion:
    """FLAME's expression, jaw and eyes; where the head is and who it is stay out."""
    path, model = recording.motion, head.flame
    if model is None:
        raise BadInputError(
            f"{path} holds FLAME's parameters; {head.captured.id!r} is no FLAME model.",
            "Give the model file they were fitted with as the head.",
        )
    param = load_sequence(parameter_files(path)) if path.is_dir() else load_flame_param(path)
    fps = recorded_rate(recording)
    if tracking is not None:
        param = tracking.of_sequence(recording.timesteps, param)
    rest = torch.zeros(param.frames, 6)
    pose = torch.cat([rest, torch.from_numpy(np.hstack([param.jaw_pose, param.eyes_pose]))], 1)
    coefficients, nobody = torch.from_numpy(param.expr), torch.zeros(SHAPES)
    moved = [
        flame_vertices(model, nobody, coefficients[i : i + _PIECE], pose[i : i + _PIECE]).numpy()
        for i in range(0, param.frames, _PIECE)
    ]
    expression = None
    if is_flame(head.trained):
        expression = expression_weights(param.expr, param.jaw_pose)
    return _dense(path, fps, np.concatenate(moved) - model.v_template, expression)


def _dense(
    path: Path, fps: float, offsets: NDArray[np.float32], expression: Float | None = None
) -> CapturedMotion:
    # Dense frames are their own basis until the set's basis is known.
    identity = np.eye(len(offsets), dtype=np.float32)
    return CapturedMotion(path, fps, identity, np.asarray(offsets, np.float32), expression)


def _check_finite(path: Path, name: str, values: Float) -> None:
    if not np.isfinite(values).all():
        frame = int(np.argwhere(~np.isfinite(np.atleast_1d(values)))[0][0])
        raise BadInputError(
            f"{path}: the {name} hold NaN or infinite values, first in frame {frame}.", _REPAIR
        )


def _misshapen(path: Path, name: str, values: Float, expected: str, head: Head) -> BadInputError:
    return BadInputError(
        f"{path}: the {name} have shape {values.shape}; expected (T, {expected}) for the head "
        f"{head.id!r}.",
        _OTHER_HEAD,
    )
