# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit weights as JSON with one entry a frame: the BEAT dataset's, and what apps save. numpy only.

``{"names": [51 or 52 names], "frames": [{"time": seconds, "weights": [numbers]}]}`` is BEAT's (H.
Liu et al., 2022). Weights may as well be an object of names and numbers, as
``{"fps": 60, "frames": [{"blendShapes": {"jawOpen": 0.2}}]}``, or a list of objects of a name and a
number, as MediaPipe's ``{"categoryName": "jawOpen", "score": 0.2}``; and the file may be the list
of frames alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    limited,
    resampled,
    usual_rate,
)

FRAMES = "frames"
_NAMES = ("names", "blendShapeNames", "blendshapeNames", "facsNames")
_WEIGHTS = ("weights", "blendShapes", "blendshapes")
_NAME = ("name", "categoryName", "shapeName")
_NUMBER = ("value", "weight", "score")
_TIMES = ("time", "timestamp")
_RATES = ("fps", "exportFps", "frameRate")
# No face is filmed with fewer frames a second: what steps further counts milliseconds, or micro- or
# nanoseconds.
_SLOWEST_STEP = 2.0
_FINEST = 3


def is_frame_json(content: JsonObject) -> bool:
    """Whether a JSON file has an entry for each frame."""
    return FRAMES in content


def rate_of(content: JsonObject, rate: float | None) -> float:
    """Frames per second that a file states.

    Args:
        content: of the file.
        rate: those of one that states none.

    Raises:
        BadInputError: it states none, and none is given.
    """
    name = next((name for name in _RATES if name in content), None)
    if name is not None:
        found: float = content.number(name, low=1.0, high=1000.0)
        return found
    if rate is None:
        raise BadInputError(
            f"{content.where} has neither times nor {', '.join(map(repr, _RATES))}.",
            "Give its frames per second with --timecode-rate (Timecode Rate in Blender), or write "
            "them into the file as 'fps'.",
        )
    return rate


def curves_of_frames(
    content: JsonObject, path: str | Path, fps: float | None, rate: float | None
) -> FaceCurves:
    """Read frames, however their times are spaced.

    Names that are no ARKit expressions are not read; weights are limited to 0 to 1. Frames without
    any number, which are written while no face is seen, are left out.

    Args:
        content: of the file.
        path: for messages.
        fps: frames per second of the result; that of the file by default.
        rate: frames per second of a file that has neither times nor a rate.

    Raises:
        BadInputError: no frames, no ARKit expressions, frames that are damaged or without times.
    """
    frames = content.groups(FRAMES)
    if not frames:
        raise content.wrong("it has no frames")
    names = next((content.texts(name) for name in _NAMES if name in content), None)
    found = [_weights(frame, names) for frame in frames]
    seen = [row for row, weights in enumerate(found) if weights is not None]
    weights = np.zeros((len(seen), len(ARKIT_NAMES)))
    known = 0
    for row, frame in enumerate(seen):
        for name, value in (found[frame] or {}).items():
            column = arkit_column(name)
            if column is not None:
                weights[row, column] = value
                known += 1
    if not known:
        raise BadInputError(f"{path} has no ARKit weights.", "Its names must be ARKit's, jawOpen …")
    times, weights = in_order(_times(content, frames, rate)[seen], limited(weights))
    check_gaps(path, times)
    if fps is None:
        fps = usual_rate(times)
    check_length(path, times[-1] - times[0], fps)
    curves = resampled(times, weights, fps)
    return FaceCurves(float(fps), curves, np.zeros((len(curves), 3), np.float32))


def _weights(frame: JsonObject, names: tuple[str, ...] | None) -> Mapping[str, float] | None:
    """Numbers by name; ``None`` of a frame that has none."""
    key = next((name for name in _WEIGHTS if name in frame.values), _WEIGHTS[0])
    value = frame.values.get(key)
    if isinstance(value, Mapping):
        return frame.mapping(key)
    entries = value if isinstance(value, list) else [value]
    if key in frame.values and all(entry is None for entry in entries):
        return None
    if all(isinstance(entry, Mapping) for entry in entries):
        return dict(_entry(entry) for entry in frame.groups(key))
    if names is None:
        raise frame.wrong("it has a list of weights, and the file no list of names")
    numbers: list[float] = frame.numbers(key, len(names))
    return dict(zip(names, numbers, strict=True))


def _entry(entry: JsonObject) -> tuple[Any, float]:
    name, number = (
        next((key for key in keys if key in entry), keys[0]) for keys in (_NAME, _NUMBER)
    )
    return entry.text(name), entry.number(number)


def _times(content: JsonObject, frames: list[JsonObject], rate: float | None) -> Double:
    """(T,) seconds of the frames."""
    key = next((name for name in _TIMES if name in frames[0]), None)
    if key is None:
        regular: Double = np.arange(len(frames)) / rate_of(content, rate)
        return regular
    times = np.array([frame.number(key) for frame in frames], np.float64)
    for _ in range(_FINEST):
        with np.errstate(over="ignore"):
            if len(times) < 2 or float(np.median(np.abs(np.diff(times)))) <= _SLOWEST_STEP:
                break
        times = times / 1000.0
    return times
