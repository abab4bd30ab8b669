# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion that any program wrote, by what its file holds.

A performance; ``vertices`` or ``expression`` in an npz; FLAME's parameters in the arrays of
GaussianAvatars, VHAP, DiffPoseTalk or ARTalk; ARKit curves as CSV or JSON; or (T, 3V) or (T, V, 3)
vertices as an npy, as FaceFormer and its successors write them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.avatar.flame_motion import is_vertex_file
from engine.avatar.vertex_motion import closed_frame, load_frames, whole_offsets
from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.npz import npz_names
from engine.heads.flame_layouts import is_flame_layout, load_flame_layout
from engine.motion.interchange.curve_files import is_curve_file
from training.data.captured_motion import CapturedHead, CapturedMotion
from training.data.foreign_motion import foreign_performance
from training.data.recorded_motion import motion_alone
from training.data.recordings import MOTIONS, OFFSETS, RECORD, WRINKLES, Recording
from training.data.split_file import SPLIT

KINDS = (".npz", ".npy", ".csv", ".json")
_BESIDE = (".phones.json", ".mouth.json")
_REMEDY = (
    "Give a performance, an npz of vertices or of FLAME's parameters, ARKit curves as .csv or "
    ".json, or an npy of (T, 3V) vertices."
)
_FARTHEST = 0.02
"""Metres between two faces on average, beyond which one of them is in another unit or place."""
_STILL = 0.25
"""Part of the vertices that expressions move least, by which people are told apart."""
_ANOTHER = 0.002
"""Metres on average of these vertices, from which the faces are those of two people."""


@dataclass(frozen=True, eq=False)
class OwnFace:
    """The neutral face of a person whose vertices are in files.

    Attributes:
        path: the file that it was found in.
        vertices: (n, 3) the first n of the head's, metres.
    """

    path: Path
    vertices: Float


def clip_name(motion: Path) -> str:
    """``take.1`` of ``take.1.npy``, and ``c0`` of ``c0.performance.npz``."""
    kind = next((end for end in MOTIONS if motion.name.lower().endswith(end)), motion.suffix)
    return motion.name[: len(motion.name) - len(kind)]


def motions_in(folder: Path) -> list[Path]:
    """The files of motion in a folder, without those of their kinds that lie beside motion."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [f for f in files if f.suffix.lower() in KINDS and not _is_beside(f.name.lower())]


def _is_beside(name: str) -> bool:
    listed = name in (RECORD, SPLIT, OFFSETS)
    return listed or name.startswith(".") or name.endswith((f".{WRINKLES}", *_BESIDE))


def own_face(path: Path, head: CapturedHead) -> OwnFace | None:
    """Who the vertices of a file show, where that is not the head.

    Args:
        path: of any motion.
        head: whose motion it should be.

    Returns:
        The frame whose lips are nearest to each other, of a file of vertices of which no frame is
        like the head; else ``None``.

    Raises:
        BadInputError: the vertices are in another unit or place than the head; names the file.
    """
    if not _is_raw(path):
        return None
    frames = _frames(path, head)
    away = _nearest(frames, head.trained.template)
    if away > _FARTHEST:
        raise _elsewhere(path, away, f"the head {head.trained.id!r}")
    still = _still(head, frames.shape[1])
    if _nearest(frames[:, still], head.trained.template[still]) <= _ANOTHER:
        return None
    return OwnFace(path, frames[closed_frame(frames, head.trained)])


def read_any_motion(
    path: Path, head: CapturedHead, fps: float | None = None, face: OwnFace | None = None
) -> CapturedMotion:
    """The motion of a file.

    Args:
        path: the file.
        head: whose motion it is.
        fps: frames per second of a file that does not say its own.
        face: neutral face of the vertices, where it is not the head's.

    Raises:
        BadInputError: of no such kind, damaged, of another head or person, or without a rate.
    """
    if not path.is_file() or path.suffix.lower() not in KINDS:
        raise BadInputError(f"{path} is no file of motion.", _REMEDY)
    if _is_raw(path):
        return _vertices(path, head, fps, face)
    if face is not None:
        raise BadInputError(
            f"{path} moves the head {head.trained.id!r}, but {face.path} shows another person.",
            "Give that person's own head or mesh with --head.",
        )
    recording = Recording(path.stem, path, path, fps)
    if is_curve_file(path):
        return _captured(recording, head)
    if path.suffix.lower() == ".npy" or _is_flame(path):
        if load_flame_layout(path)[1] is None and fps is None:
            raise _without_rate(path)
        return _captured(recording, head)
    return motion_alone(recording, head)


def _is_raw(path: Path) -> bool:
    """Whether a file has vertices as they are in space, and nothing else."""
    return path.is_file() and path.suffix.lower() == ".npy" and is_vertex_file(path)


def _is_flame(path: Path) -> bool:
    """Whether an npz has FLAME's parameters, and no performance or motion of this project's."""
    names = set(npz_names(path, hint=_REMEDY))
    return not names & {"basis", "vertices"} and is_flame_layout(path)


def _captured(recording: Recording, head: CapturedHead) -> CapturedMotion:
    made = foreign_performance(recording, head)
    return CapturedMotion(recording.motion, made.fps, made.weights, made.basis, None)


def _vertices(
    path: Path, head: CapturedHead, fps: float | None, face: OwnFace | None
) -> CapturedMotion:
    if fps is None:
        raise _without_rate(path)
    frames = _frames(path, head)
    count = frames.shape[1]
    neutral, whose = head.trained.template[:count], f"the head {head.trained.id!r}"
    if face is not None:
        if len(face.vertices) != count:
            raise BadInputError(
                f"{path} has {count:,} vertices, {face.path} {len(face.vertices):,}.",
                "Compare vertices of one mesh.",
            )
        neutral, whose = face.vertices, f"those of {face.path}"
    away = _nearest(frames, neutral)
    if away > _FARTHEST:
        raise _elsewhere(path, away, whose)
    still = _still(head, count)
    if (away := _nearest(frames[:, still], neutral[still])) > _ANOTHER:
        raise BadInputError(
            f"The vertices of {path} that expressions hardly move are {1000 * away:.1f} mm away "
            f"from {whose}: it is another face, or it is turned.",
            "Compare one person's face at rest in space; give that person's head or mesh with "
            "--head.",
        )
    whole = whole_offsets(frames - neutral, head.trained)
    identity = np.eye(len(whole), dtype=np.float32)
    return CapturedMotion(path, fps, identity, whole, None)


def _frames(path: Path, head: CapturedHead) -> Float:
    """(T, n, 3) vertices, the lips among them.

    Raises:
        BadInputError: vertices of another mesh; names the file.
    """
    frames, trained = load_frames(path, head.trained), head.trained
    if frames.shape[1] <= max(trained.regions["lips"], default=0):
        raise BadInputError(
            f"{path} has {frames.shape[1]:,} vertices in each of {len(frames)} frames; the head "
            f"{trained.id!r} has {trained.vertex_count:,}.",
            "Give the head whose vertices these are with --head.",
        )
    return frames


def _still(head: CapturedHead, count: int) -> NDArray[np.intp]:
    """Of a head's first vertices those that its expressions move least."""
    moved = np.linalg.norm(head.trained.expression_basis[:, :count], axis=2)
    return np.argsort(moved.max(axis=0, initial=0.0), kind="stable")[: max(1, int(_STILL * count))]


def _nearest(frames: Float, template: Float) -> float:
    """Mean distance, metres, of the (T, n, 3) frame that is nearest to a face's first vertices."""
    face = template[: frames.shape[1]]
    return min(float(np.linalg.norm(frame - face, axis=1).mean()) for frame in frames)


def _elsewhere(path: Path, away: float, whose: str) -> BadInputError:
    return BadInputError(
        f"The vertices of {path} are {1000 * away:.0f} mm away from {whose} on average.",
        "They must be places, not offsets, in metres, and where that head is.",
    )


def _without_rate(path: Path) -> BadInputError:
    return BadInputError(f"{path} does not say its frame rate.", "Give it with --fps.")
