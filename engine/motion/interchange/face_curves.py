# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit weights over time: what programs of face capture exchange. numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...core.arrays import Double, Float
from ...core.errors import BadInputError
from ..arkit import ARKIT_NAMES, COLUMN
from ..characters.conventions import plain

if TYPE_CHECKING:
    from ..performance import Performance


MAX_FRAMES = 1_000_000
"""Frames of the longest file that is read: four and a half hours at 60 frames per second."""

RATES = (24, 25, 30, 48, 50, 60, 90, 100, 120)
"""Frames per second that faces are filmed and clocks run at."""

LONGEST_GAP = 60.0
"""Seconds without an entry that are bridged."""

_COLUMNS = {plain(name): column for name, column in COLUMN.items()}
_PERCENT = 2.0
"""Largest weight of the usual frame from which weights are percent: amplified ones stay below."""


@dataclass(frozen=True, eq=False)
class FaceCurves:
    """A face over T frames.

    Attributes:
        fps: frames per second.
        weights: (T, 52) float32, columns as :data:`engine.motion.arkit.ARKIT_NAMES`.
        head_rotation: (T, 3) float32 rotation vectors of the head, radians, head space (+Y up,
            +Z forward, which are ARKit's axes of a face).
    """

    fps: float
    weights: Float
    head_rotation: Float

    @property
    def frames(self) -> int:
        """T."""
        return len(self.weights)


def arkit_column(name: str) -> int | None:
    """Column of an ARKit expression, also as ``eyeBlink_L`` or ``Face.EyeBlinkLeft``.

    ``None`` for other names.
    """
    return _COLUMNS.get(plain(name))


def limited(weights: Double) -> Double:
    """Weights from 0 to 1, of (T, E) as a file has them: those of some programs are percent."""
    percent = float(np.median(weights.max(axis=1, initial=0.0))) > _PERCENT
    return np.clip(weights / 100 if percent else weights, 0.0, 1.0)


def curves_of(performance: Performance) -> FaceCurves:
    """The ARKit weights of a performance; expressions that its head lacks are 0.

    Raises:
        BadInputError: its expressions are not ARKit's, as FLAME's are not.
    """
    weights = np.zeros((performance.frames, len(ARKIT_NAMES)), np.float32)
    known = 0
    for column, name in enumerate(performance.expression_names):
        if name in COLUMN:
            weights[:, COLUMN[name]] = performance.expression[:, column]
            known += 1
    if not known:
        raise BadInputError(
            f"The performance of head '{performance.head}' has no ARKit weights.",
            "Animate the default head or one with ARKit expressions, and export that.",
        )
    return FaceCurves(performance.fps, weights, performance.head_rotation)


def resampled(times: Double, values: Double, fps: float) -> Float:
    """Values at regular frames, straight lines between the samples.

    Args:
        times: (N,) rising seconds.
        values: (N, C).
        fps: frames per second of the result.

    Returns:
        (T, C) float32, T = round((last time − first) · fps) + 1; the first frame is the first
        sample.
    """
    frames = round((times[-1] - times[0]) * fps) + 1
    grid = times[0] + np.arange(frames) / fps
    columns = [np.interp(grid, times, column) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float32)


def in_order(times: Double, values: Double) -> tuple[Double, Double]:
    """Samples by rising time, from zero on; of those at one time the last."""
    order = np.argsort(times, kind="stable")
    # Times that differ may be one since a first that is far away.
    with np.errstate(over="ignore", invalid="ignore"):
        since_first: Double = times[order] - times[order[0]]
        last = np.append(np.diff(since_first) > 0, True)
    return since_first[last], values[order][last]


def usual_rate(times: Double, alone: float = 60.0) -> float:
    """Frames a second of samples, a usual rate where they are near one.

    Args:
        times: (N,) rising seconds.
        alone: of a single sample.
    """
    if len(times) < 2:
        return alone
    found = 1.0 / float(np.median(np.diff(times)))
    usual = (*RATES, *(known / 1.001 for known in (24, 30, 60)))
    # The median is right where frames are missing, the mean where times are rounded.
    for rate in (found, (len(times) - 1) / float(times[-1] - times[0])):
        near = min(usual, key=lambda known: abs(known - rate))
        if abs(near - rate) < 0.0004 * rate:
            return near
    return min(max(round(found, 3), 1.0), 1000.0)


def check_gaps(path: str | Path, times: Double) -> None:
    """Check that a few damaged times do not stand for hours of frames.

    Args:
        path: for the message.
        times: (N,) rising seconds.

    Raises:
        BadInputError: they do; names the file.
    """
    leap = float(np.diff(times).max(initial=0.0))
    if leap > LONGEST_GAP:
        raise BadInputError(
            f"The times of {path} leap by {leap:.0f} s from one entry to the next.",
            f"Mend them, or cut it into takes: up to {LONGEST_GAP:.0f} s are bridged.",
        )


def check_length(path: str | Path, seconds: float, fps: float) -> None:
    """Check that a file is not longer than is read.

    Raises:
        BadInputError: it is; names the file.
    """
    if seconds * fps > MAX_FRAMES:
        raise BadInputError(
            f"{path} spans {seconds / 3600:.1f} hours.", "Cut it into takes; look at its times."
        )
