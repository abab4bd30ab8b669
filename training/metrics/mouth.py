# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mouth does over time, measured on the mesh: gap, width, lip on teeth, lip motion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double
from engine.core.errors import BadInputError
from engine.heads.head import Head
from engine.motion.performance import Performance

MM = 1000.0
_FRAMES = 512


@dataclass(frozen=True, eq=False)
class MouthTrack:
    """Measures of the mouth at each of T frames, in millimetres.

    Attributes:
        fps: frames per second; frame i is at i / fps seconds.
        gap: (T,) largest vertical separation along the inner lips, relative to the neutral head
            (whose lips touch); 0 where no pair of the slit is apart.
        overlap: (T,) largest vertical interpenetration of the inner lips beyond neutral.
        width: (T,) distance of the mouth corners.
        lip_to_teeth: (T,) smallest distance of the middle third of the lower inner lip from the
            edge of the upper teeth.
    """

    fps: float
    gap: Double
    overlap: Double
    width: Double
    lip_to_teeth: Double

    @property
    def times(self) -> Double:
        """(T,) seconds of the frames."""
        return np.arange(len(self.gap)) / self.fps


def mouth_track(performance: Performance, head: Head) -> MouthTrack:
    """Measure the mouth of a performance on its head, in bounded memory.

    Raises:
        BadInputError: the performance is of another head, or the head lacks a landmark.
    """
    _check(performance, head)
    marks = {
        name: landmark(head, name)
        for name in ("inner_lip_upper", "inner_lip_lower", "mouth_corners", "upper_teeth_edge")
    }
    chunks: dict[str, list[Double]] = {"apart": [], "width": [], "teeth": []}
    upper, lower = marks["inner_lip_upper"], marks["inner_lip_lower"]
    neutral = head.template.astype(np.float64)
    closed = neutral[upper, 1] - neutral[lower, 1]
    vertices = np.unique(np.concatenate(list(marks.values())))
    at = {name: np.searchsorted(vertices, index) for name, index in marks.items()}
    for _, moved in positions(performance, head, vertices):
        up, down = moved[:, at["inner_lip_upper"]], moved[:, at["inner_lip_lower"]]
        right, left = moved[:, at["mouth_corners"]].swapaxes(0, 1)
        teeth = moved[:, at["upper_teeth_edge"]]
        chunks["apart"].append(up[:, :, 1] - down[:, :, 1] - closed)
        chunks["width"].append(np.linalg.norm(left - right, axis=1))
        chunks["teeth"].append(_to_line(_middle(down), teeth))
    apart = np.concatenate(chunks["apart"]) * MM
    return MouthTrack(
        fps=performance.fps,
        gap=np.maximum(apart.max(axis=1), 0.0),
        overlap=np.maximum(-apart.min(axis=1), 0.0),
        width=np.concatenate(chunks["width"]) * MM,
        lip_to_teeth=np.concatenate(chunks["teeth"]) * MM,
    )


def _middle(row: Double) -> Double:
    """The middle third of (n, P, 3) points in a row."""
    P = row.shape[1]
    third = P // 3
    return row[:, third : P - third]


def _to_line(points: Double, line: Double) -> Double:
    """Smallest distance of (n, P, 3) points from (n, Q, 3) open polylines: (n,)."""
    if line.shape[1] == 1:
        line = np.repeat(line, 2, axis=1)
    start, along = line[:, None, :-1], np.diff(line, axis=1)[:, None]
    offset = points[:, :, None] - start
    length = np.maximum((along**2).sum(-1), 1e-18)
    part = np.clip((offset * along).sum(-1) / length, 0.0, 1.0)
    away = offset - part[..., None] * along
    nearest: Double = np.sqrt((away**2).sum(-1).min(axis=(1, 2)))
    return nearest


def lip_vertices(head: Head) -> NDArray[np.int32]:
    """The vertices of the lips.

    Raises:
        BadInputError: the head names no region of lips.
    """
    return region(head, "lips")


def positions(
    performance: Performance, head: Head, vertices: NDArray[np.integer[Any]]
) -> Iterator[tuple[int, Double]]:
    """Walk some vertices of a performance: pairs of first frame and (n, M, 3) float64, metres.

    Only the chosen vertices are ever made dense, a few hundred frames at a time.
    """
    basis = performance.basis[:, vertices].astype(np.float64).reshape(len(performance.basis), -1)
    neutral = head.template[vertices].astype(np.float64)
    for start in range(0, performance.frames, _FRAMES):
        weights = performance.weights[start : start + _FRAMES].astype(np.float64)
        yield start, neutral + (weights @ basis).reshape(len(weights), -1, 3)


def _check(performance: Performance, head: Head) -> None:
    if performance.head != head.id or performance.vertex_count != head.vertex_count:
        raise BadInputError(
            f"The performance is of head {performance.head!r} with {performance.vertex_count} "
            f"vertices, not of {head.id!r} with {head.vertex_count}.",
            "Measure it on the head it was made for.",
        )


def landmark(head: Head, name: str) -> NDArray[np.int32]:
    """The vertices of a landmark.

    Raises:
        BadInputError: the head lacks it.
    """
    if name not in head.landmarks or len(head.landmarks[name]) == 0:
        raise BadInputError(
            f"The head {head.id!r} has no landmark {name!r}.",
            "Lip sync is measured on heads with landmarks of lips and teeth, such as the default.",
        )
    return head.landmarks[name]


def region(head: Head, name: str) -> NDArray[np.int32]:
    """The vertices of a region.

    Raises:
        BadInputError: the head lacks it.
    """
    if name not in head.regions or len(head.regions[name]) == 0:
        raise BadInputError(
            f"The head {head.id!r} has no region {name!r}.",
            "Lip sync is measured on heads with regions, such as the default.",
        )
    return head.regions[name]
