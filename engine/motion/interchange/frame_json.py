# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit weights as JSON with one entry a frame: the BEAT dataset's, and what apps save. numpy only.

``{"names": [51 or 52 names], "frames": [{"time": seconds, "weights": [numbers]}]}`` is BEAT's (H.
Liu et al., 2022). Weights may as well be an object of names and numbers, as
``{"fps": 60, "frames": [{"blendShapes": {"jawOpen": 0.2}}]}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...core.arrays import Double
from ...core.errors import BadInputError
from ...core.json_values import JsonObject
from ..arkit import ARKIT_NAMES
from .face_curves import (
    FaceCurves,
    arkit_column,
    check_gaps,
    check_length,
    in_order,
    resampled,
    usual_rate,
)

_NAMES = ("names", "blendShapeNames", "blendshapeNames", "facsNames")
_WEIGHTS = ("weights", "blendShapes", "blendshapes")
_TIMES = ("time", "timestamp")
_RATES = ("fps", "exportFps", "frameRate")
# No face is filmed with fewer frames a second: what steps further counts milliseconds.
_SLOWEST_STEP = 2.0


def is_frame_json(content: JsonObject) -> bool:
    """Whether a JSON file has an entry for each frame."""
    return "frames" in content


def curves_of_frames(content: JsonObject, path: str | Path, fps: float | None) -> FaceCurves:
    """Read frames, however their times are spaced.

    Names that are no ARKit expressions are not read; weights are limited to 0 to 1.

    Args:
        content: of the file.
        path: for messages.
        fps: frames per second of the result; that of the file by default.

    Raises:
        BadInputError: no frames, no ARKit expressions, frames that are damaged or without times.
    """
    frames = content.groups("frames")
    if not frames:
        raise content.wrong("it has no frames")
    names = next((content.texts(name) for name in _NAMES if name in content), None)
    weights = np.zeros((len(frames), len(ARKIT_NAMES)))
    known = 0
    for row, frame in enumerate(frames):
        for name, value in _weights(frame, names).items():
            column = arkit_column(name)
            if column is not None:
                weights[row, column] = min(max(value, 0.0), 1.0)
                known += 1
    if not known:
        raise BadInputError(f"{path} has no ARKit weights.", "Its names must be ARKit's, jawOpen …")
    times, weights = in_order(_times(content, frames), weights)
    check_gaps(path, times)
    if fps is None:
        fps = usual_rate(times)
    check_length(path, times[-1] - times[0], fps)
    curves = resampled(times, weights, fps)
    return FaceCurves(float(fps), curves, np.zeros((len(curves), 3), np.float32))


def _weights(frame: JsonObject, names: tuple[str, ...] | None) -> Mapping[str, float]:
    key = next((name for name in _WEIGHTS if name in frame), _WEIGHTS[0])
    if isinstance(frame.values.get(key), Mapping):
        return frame.mapping(key)
    if names is None:
        raise frame.wrong("it has a list of weights, and the file no list of names")
    numbers: list[float] = frame.numbers(key, len(names))
    return dict(zip(names, numbers, strict=True))


def _times(content: JsonObject, frames: list[JsonObject]) -> Double:
    """(T,) seconds of the frames."""
    key = next((name for name in _TIMES if name in frames[0]), None)
    if key is None:
        name = next((name for name in _RATES if name in content), _RATES[0])
        regular: Double = np.arange(len(frames)) / content.number(name, low=1.0, high=1000.0)
        return regular
    times = np.array([frame.number(key) for frame in frames], np.float64)
    steps = np.abs(np.diff(times))
    if len(steps) and float(np.median(steps)) > _SLOWEST_STEP:
        times = times / 1000.0
    return times
