# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion that any program wrote, by what its file holds.

A performance; ``vertices`` or ``expression`` in an npz; FLAME's parameters; ARKit curves as CSV or
JSON; or (T, 3V) or (T, V, 3) vertices as an npy, as FaceFormer and its successors write them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.core.errors import BadInputError
from engine.core.npz import open_npy
from engine.heads.retarget import has_arkit_visemes
from engine.motion.arkit import to_head_weights
from engine.motion.interchange.curve_files import is_curve_file, read_curves
from training.data.captured_motion import CapturedHead, CapturedMotion
from training.data.recorded_motion import motion_alone
from training.data.recordings import Recording

KINDS = (".npz", ".npy", ".csv", ".json")
_REMEDY = (
    "Give a performance, an npz of vertices or of FLAME's parameters, ARKit curves as .csv or "
    ".json, or an npy of (T, 3V) vertices."
)


def read_any_motion(path: Path, head: CapturedHead, fps: float | None = None) -> CapturedMotion:
    """The motion of a file.

    Args:
        path: the file.
        head: whose motion it is.
        fps: frames per second of a file that does not say its own.

    Raises:
        BadInputError: of no such kind, damaged, of another head, or without a rate.
    """
    if not path.is_file() or path.suffix.lower() not in KINDS:
        raise BadInputError(f"{path} is no file of motion.", _REMEDY)
    if is_curve_file(path):
        return _curves(path, head)
    if path.suffix.lower() == ".npy":
        return _vertices(path, head, fps)
    return motion_alone(Recording(path.stem, path, path, fps), head)


def _curves(path: Path, head: CapturedHead) -> CapturedMotion:
    if not has_arkit_visemes(head.trained):
        raise BadInputError(
            f"{path} holds ARKit curves, but {head.trained.id!r} has no ARKit expressions.",
            "Measure it on the default head, or on a head that has them.",
        )
    curves = read_curves(path)
    weights = to_head_weights(curves.weights, head.trained.expression_names)
    return CapturedMotion(path, curves.fps, weights, head.trained.expression_basis, weights)


def _vertices(path: Path, head: CapturedHead, fps: float | None) -> CapturedMotion:
    if fps is None:
        raise BadInputError(f"{path} does not say its frame rate.", "Give it with --fps.")
    template = head.trained.template
    values = open_npy(path, "vertices", _REMEDY).array("vertices").astype(np.float32)
    if values.ndim == 2 and values.shape[1] == template.size:
        values = values.reshape(-1, *template.shape)
    if values.shape[1:] != template.shape or not len(values):
        raise BadInputError(
            f"{path} holds an array of shape {values.shape}; expected (T, {template.size}) or "
            f"(T, {len(template)}, 3) for the head {head.trained.id!r}.",
            "Give the head whose vertices these are with --head.",
        )
    if not np.isfinite(values).all():
        frame = int(np.argwhere(~np.isfinite(values))[0][0])
        raise BadInputError(
            f"{path}: the vertices hold NaN or infinite values, first in frame {frame}.",
            "Make it again.",
        )
    identity = np.eye(len(values), dtype=np.float32)
    return CapturedMotion(path, fps, identity, values - template, None)
