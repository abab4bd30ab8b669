# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit weights as JSON, under the names by which NVIDIA's Audio2Face exports weights. numpy only.

``exportFps``, ``numFrames``, ``numPoses``, ``facsNames`` (names) and ``weightMat`` (a list of
weights for each frame); ``headRotation``, rotation vectors in radians, is this project's own and
may be missing.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ...core.arrays import Float
from ...core.errors import BadInputError
from ...core.files import atomic_write
from ...core.json_values import read_json
from ..arkit import ARKIT_NAMES
from .face_curves import FaceCurves, arkit_column, check_length, limited, resampled
from .frame_json import FRAMES, curves_of_frames, is_frame_json, rate_of

_MAX_BYTES = 512 << 20
_REMEDY = (
    "Choose a JSON file with exportFps, numFrames, facsNames and weightMat, or with names and "
    "frames."
)


def write_arkit_json(curves: FaceCurves, path: str | Path) -> None:
    """Write the weights.

    Args:
        curves: what is written.
        path: final name; appears only when it is complete.

    Raises:
        BadInputError: the file cannot be written.
    """
    content = {
        "exportFps": curves.fps,
        "numPoses": len(ARKIT_NAMES),
        "numFrames": curves.frames,
        "facsNames": list(ARKIT_NAMES),
        "weightMat": _rounded(curves.weights),
    }
    if curves.head_rotation.any():
        content["headRotation"] = _rounded(curves.head_rotation)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file, separators=(",", ":"))


def read_arkit_json(
    path: str | Path, fps: float | None = None, rate: float | None = None
) -> FaceCurves:
    """Read what :func:`write_arkit_json` or Audio2Face wrote, or :mod:`.frame_json` describes.

    Poses that are no ARKit expressions are not read; weights are limited to 0 to 1.

    Args:
        path: the file.
        fps: frames per second of the result; that of the file by default.
        rate: frames per second of a file that has neither times nor a rate.

    Raises:
        BadInputError: no such file, not such JSON, or no ARKit expression in it.
    """
    content = read_json(path, _REMEDY, _MAX_BYTES, of_list=FRAMES)
    if is_frame_json(content):
        return curves_of_frames(content, path, fps, rate)
    rate = rate_of(content, rate)
    names = content.texts("facsNames")
    frames = content.whole("numFrames", low=1)
    columns = [(position, arkit_column(name)) for position, name in enumerate(names)]
    if all(column is None for _, column in columns):
        raise BadInputError(f"{path} has no ARKit weights.", _REMEDY)
    found = content.matrix("weightMat", frames, len(names))
    weights = np.zeros((frames, len(ARKIT_NAMES)))
    for position, column in columns:
        if column is not None:
            weights[:, column] = found[:, position]
    rotation = np.zeros((frames, 3))
    if "headRotation" in content:
        rotation = content.matrix("headRotation", frames, 3)
    times = np.arange(frames) / rate
    fps = rate if fps is None else fps
    check_length(path, times[-1], fps)
    weights = limited(weights)
    return FaceCurves(float(fps), resampled(times, weights, fps), resampled(times, rotation, fps))


def _rounded(values: Float) -> list[list[float]]:
    rows: list[list[float]] = np.round(values.astype(np.float64), 6).tolist()
    return rows
