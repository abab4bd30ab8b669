# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracked capture once more, with identity and poses as pictures refined them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.core.files import copy_file, write_text
from engine.core.json_values import read_json
from engine.core.npz import open_npz
from engine.core.npz_writing import write_npz
from engine.heads.head import Head
from engine.heads.shaped_head import shaped_head
from engine.motion.lip_contact import keep_lip_contact, lip_gap
from engine.motion.performance import Performance
from training.data.layout import (
    CANONICAL_HEAD,
    IMAGES,
    MASKS,
    SPLITS,
    head_param_path,
    transforms_path,
)
from training.data.layout_head_param import (
    HeadParam,
    load_head_param,
    load_identity,
    save_head_param,
    save_identity,
)
from training.data.recordings import RECORD, SPEECH, any_recordings
from training.tracking.output import TRACKED_FORMAT
from training.tracking.report import REPORT

REFINED = "refined.npz"
_TRACKED = ".performance.npz"
"""Ends the names of the motion that tracking writes."""
_REMEDY = "Remove the folder of the refinement, and train again."


@dataclass(frozen=True, eq=False)
class RefinedMotion:
    """What pictures say of where a head is, and whose it is.

    Attributes:
        head: the person: the default head with an identity.
        timesteps: (T,) of the capture, ascending.
        head_matrix: (T, 4, 4) head space to the capture's world.
    """

    head: Head
    timesteps: NDArray[np.intp]
    head_matrix: Float

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        source = self.head.source
        write_npz(
            path,
            timestep=self.timesteps.astype(np.int32),
            head_matrix=self.head_matrix.astype(np.float32),
            shape=source.shape,
            static_offset=source.static_offset,
        )

    @classmethod
    def load(cls, path: Path) -> RefinedMotion:
        """Read it.

        Raises:
            BadInputError: no such file, or it is damaged.
        """
        data = open_npz(path, _REMEDY, ("timestep", "head_matrix", "shape", "static_offset"))
        matrix = data.numbers("head_matrix", (None, 4, 4))
        steps = data.numbers("timestep", (len(matrix),)).astype(np.intp)
        offset = data.numbers("static_offset", (None, 3))
        head = shaped_head(data.numbers("shape", (None,)), offset if len(offset) else None)
        return cls(head, steps, matrix)


def can_be_refined(capture: Path) -> bool:
    """Whether a capture was made by tracking a video with the default head."""
    path = capture / RECORD
    tracked = path.is_file() and read_json(path).values.get("format") == TRACKED_FORMAT
    return tracked and (capture / CANONICAL_HEAD).is_file()


def filmed_at(capture: Path) -> dict[int, tuple[int, float]]:
    """In which take each timestep of a tracked capture was filmed, and when, seconds.

    Raises:
        BadInputError: the capture was not made by tracking a video with the default head, or its
            record is damaged.
    """
    if not can_be_refined(capture):
        raise BadInputError(
            f"{capture} was not tracked with the default head: its poses are not refined so.",
            "Make the capture of a video with 'gaussianspeech track'.",
        )
    return {
        row.whole("timestep_index"): (row.whole("take", 0), row.number("seconds"))
        for row in read_json(capture / RECORD).groups("timesteps")
    }


def write_refined(source: Path, target: Path, refined: RefinedMotion) -> dict[str, Any]:
    """Write a capture anew beside the one it comes from, which is left as it is.

    Frames that are no views turn as their neighbours in time do: what was corrected is
    interpolated. What lists the views, and makes the folder a capture, comes last.

    Args:
        source: folder of the capture.
        target: folder of the new one; what an earlier, broken run left there is written over.
        refined: of all of its timesteps.

    Returns:
        What has changed, as ``report.json`` has it under ``refined``.

    Raises:
        BadInputError: a file of the capture is damaged.
        OSError: the disk is full.
    """
    before = load_identity(source / CANONICAL_HEAD)
    stored = _stored(source, refined.timesteps)
    target.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        transforms_path(target, split).unlink(missing_ok=True)
    for folder in (IMAGES, MASKS, SPEECH):
        _same_files(source / folder, target / folder)
    head = refined.head
    rows = _touching(stored.expression, before, head)
    for step, row, matrix in zip(refined.timesteps, rows, refined.head_matrix, strict=True):
        param = HeadParam(head.id, row, head.expression_names, matrix)
        save_head_param(param, target / head_param_path(int(step)))
    turned = _turns(stored.head_matrix, refined.head_matrix).as_rotvec()
    turns = dict(zip(map(int, refined.timesteps), turned, strict=True))
    for recording in any_recordings(source).every:
        if not recording.motion.name.endswith(_TRACKED):
            continue
        at = {frame: turns[step] for frame, step in recording.timesteps.items()}
        motion = corrected(Performance.load(recording.motion), before, head, at)
        motion.save(target / SPEECH / recording.motion.name)
    save_identity(head, target / CANONICAL_HEAD)
    summary = _summary(before, stored, refined)
    _write_report(source, target, summary)
    copy_file(source / RECORD, target / RECORD)
    for split in SPLITS[::-1]:
        copy_file(transforms_path(source, split), transforms_path(target, split))
    return summary


def corrected(
    motion: Performance, before: Head, head: Head, turns: Mapping[int, Double]
) -> Performance:
    """A recording's motion on the refined person, turned by what was corrected.

    Args:
        motion: of a tracked recording, on the head's expressions.
        before: the person as tracked.
        head: the refined person; lips that touched on the tracked one touch.
        turns: (3,) rotation vectors about the axes of the head, by frame; those of the other frames
            lie between them.
    """
    rotation = motion.head_rotation
    if turns:
        at = np.array(sorted(turns))
        columns = np.array([turns[int(frame)] for frame in at]).T
        every = np.arange(motion.frames)
        added = np.stack([np.interp(every, at, column) for column in columns], axis=1)
        turned = Rotation.from_rotvec(rotation) * Rotation.from_rotvec(added)
        rotation = turned.as_rotvec().astype(np.float32)
    weights = _touching(motion.expression, before, head)
    return replace(
        motion,
        weights=weights,
        expression=weights,
        basis=head.expression_basis,
        head=head.id,
        head_rotation=rotation,
    )


def _touching(weights: Float, before: Head, head: Head) -> Float:
    """(T, E) weights whose lips touch where they did on another identity, which parts them else."""
    gaps = [
        lip_gap(person.expression_basis, person.expression_names, person.landmarks)
        for person in (before, head)
    ]
    assert gaps[0] is not None
    assert gaps[1] is not None
    return keep_lip_contact(weights.copy(), weights, gaps[1], gaps[0])


@dataclass(frozen=True, eq=False)
class _Stored:
    """What the capture says of some timesteps: (T, E) weights and (T, 4, 4) matrices."""

    expression: Float
    head_matrix: Float


def _turns(before: Float, after: Float) -> Rotation:
    """About the axes of the head."""
    R, S = before[:, :3, :3].astype(np.float64), after[:, :3, :3].astype(np.float64)
    return Rotation.from_matrix(np.swapaxes(R, 1, 2) @ S)


def _stored(source: Path, timesteps: Sequence[int] | NDArray[np.intp]) -> _Stored:
    params = [load_head_param(source / head_param_path(int(step))) for step in timesteps]
    return _Stored(
        np.stack([param.expression for param in params]),
        np.stack([param.head_matrix for param in params]),
    )


def _summary(before: Head, stored: _Stored, refined: RefinedMotion) -> dict[str, Any]:
    """What has changed: shape of the face and of the lips, neutral, and poses."""
    face, lips = (refined.head.regions[name] for name in ("face", "lips"))
    shape = 1e3 * np.linalg.norm(refined.head.template - before.template, axis=1)
    turned = np.degrees(_turns(stored.head_matrix, refined.head_matrix).magnitude())
    return {
        "face_mm": round(float(shape[face].mean()), 3),
        "lips_mm": round(float(shape[lips].mean()), 3),
        "pose_degrees": round(float(turned.mean()), 3),
    }


def _write_report(source: Path, target: Path, summary: Mapping[str, Any]) -> None:
    report = dict(read_json(source / REPORT).values)
    report["refined"] = [*report.get("refined", []), summary]
    write_text(target / REPORT, json.dumps(report, indent=1))


def _same_files(source: Path, target: Path) -> None:
    """All files of a folder, by link where the disk has them: pictures are large."""
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        there = target / path.relative_to(source)
        # What is there is whole, and the same: links and renamed copies come at once.
        if not path.is_file() or there.is_file():
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, there)
        except OSError:
            copy_file(path, there)
