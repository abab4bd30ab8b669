# SPDX-License-Identifier: GPL-3.0-or-later
"""Vertex errors between a predicted and a true motion, as the field computes them.

All take dense motion in chunks, pairs of (n, V, 3) arrays for the same frames, as
:meth:`engine.motion.performance.Performance.offset_chunks` gives them, so an hour of motion needs
the memory of one chunk. Sums are float64. Units follow the input: metres in, metres or m² out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import BadInputError
from engine.heads.head import Head
from engine.motion.performance import Performance

Motion = NDArray[np.floating[Any]]

_UPPER_FACE = ("brows", "forehead", "eyelids")


@dataclass(frozen=True)
class VertexErrors:
    """Errors of one sequence; average over sequences where there are several.

    Attributes:
        frames: frames compared.
        lve: mean over frames of the largest lip vertex distance (MeshTalk, Richard et al. 2021).
        lve_squared: the same with squared distances (FaceFormer, CodeTalker).
        mve: mean distance over all vertices and frames.
        upper_face: mean distance over the upper face and all frames.
        fdd: upper-face dynamics deviation (CodeTalker, Xing et al. 2023), signed: mean over
            vertices of the standard deviation over time of ‖offset‖², truth minus prediction;
            positive where the prediction moves too little.
    """

    frames: int
    lve: float
    lve_squared: float
    mve: float
    upper_face: float
    fdd: float


def upper_face(head: Head) -> NDArray[np.int32]:
    """The vertices of the upper face: brows, forehead and eyelids.

    Raises:
        BadInputError: the head names none of these regions.
    """
    found = [head.regions[name] for name in _UPPER_FACE if name in head.regions]
    if not found or not sum(len(vertices) for vertices in found):
        raise BadInputError(
            f"The head {head.id!r} names no region of the upper face.",
            f"Vertex errors are measured on heads with {', '.join(_UPPER_FACE)}.",
        )
    return np.unique(np.concatenate(found))


def upper_face_or_all(head: Head) -> NDArray[np.int32]:
    """The upper face; of a mesh that names none, all of it."""
    named = any(name in head.regions for name in _UPPER_FACE)
    return upper_face(head) if named else np.arange(head.vertex_count, dtype=np.int32)


def first_frames(performance: Performance, frames: int) -> Performance:
    """The beginning of a performance, without the motion of the head."""
    return replace(
        performance,
        weights=performance.weights[:frames],
        expression=performance.expression[:frames],
        head_rotation=np.zeros((0, 3), np.float32),
    )


def paired_chunks(
    predicted: Performance, truth: Performance, frames: int = 64
) -> Iterator[tuple[Motion, Motion]]:
    """The dense offsets of two performances side by side.

    Raises:
        BadInputError: they differ in vertices, frame rate or number of frames.
    """
    for what, here, there in (
        ("vertices", predicted.vertex_count, truth.vertex_count),
        ("frames", predicted.frames, truth.frames),
        ("frames per second", predicted.fps, truth.fps),
    ):
        if here != there:
            raise BadInputError(
                f"The performances differ in {what}: {here:g} and {there:g}.",
                "Compare performances of one head and clip at one frame rate.",
            )
    pairs = zip(predicted.offset_chunks(frames), truth.offset_chunks(frames), strict=True)
    for (_, ours), (_, theirs) in pairs:
        yield ours, theirs


def vertex_errors(
    chunks: Iterable[tuple[Motion, Motion]],
    lips: NDArray[np.integer[Any]],
    upper_face: NDArray[np.integer[Any]],
) -> VertexErrors:
    """All vertex errors in one pass.

    Args:
        chunks: pairs of predicted and true offsets from neutral, (n, V, 3) each.
        lips: vertices of the lips.
        upper_face: vertices of the upper face.

    Raises:
        BadInputError: no frames, an empty vertex set, or chunks of different shape.
    """
    if len(lips) == 0 or len(upper_face) == 0:
        raise BadInputError("A vertex set of the metric is empty.", "Name lips and upper face.")
    frames = vertices = 0
    lip = lip_squared = every = upper = 0.0
    ours_moves, true_moves = _Spread(len(upper_face)), _Spread(len(upper_face))
    for predicted, truth in chunks:
        if predicted.shape != truth.shape or predicted.shape[2:] != (3,):
            raise BadInputError(
                f"Chunks of shape {predicted.shape} and {truth.shape} cannot be compared.",
                "Both must be (n, V, 3) for the same frames.",
            )
        ours, true = predicted.astype(np.float64), truth.astype(np.float64)
        squared = np.square(ours - true).sum(axis=-1)
        distance = np.sqrt(squared)
        frames += len(squared)
        vertices = squared.shape[1]
        lip += float(distance[:, lips].max(axis=1).sum())
        lip_squared += float(squared[:, lips].max(axis=1).sum())
        every += float(distance.sum())
        upper += float(distance[:, upper_face].sum())
        ours_moves.add(np.square(ours[:, upper_face]).sum(axis=-1))
        true_moves.add(np.square(true[:, upper_face]).sum(axis=-1))
    if frames == 0:
        raise BadInputError("There are no frames to compare.", "Give at least one frame.")
    return VertexErrors(
        frames=frames,
        lve=lip / frames,
        lve_squared=lip_squared / frames,
        mve=every / (frames * vertices),
        upper_face=upper / (frames * len(upper_face)),
        fdd=float((true_moves.deviation() - ours_moves.deviation()).mean()),
    )


class _Spread:
    """Standard deviation over time by chunks (Chan et al. 1979), N values at once."""

    def __init__(self, size: int) -> None:
        self._count = 0
        self._mean = np.zeros(size)
        self._squares = np.zeros(size)

    def add(self, values: NDArray[np.float64]) -> None:
        n = len(values)
        if n == 0:
            return
        mean = values.mean(axis=0)
        delta = mean - self._mean
        total = self._count + n
        self._squares += np.square(values - mean).sum(axis=0)
        self._squares += delta**2 * (self._count * n / total)
        self._mean += delta * (n / total)
        self._count = total

    def deviation(self) -> NDArray[np.float64]:
        spread: NDArray[np.float64] = np.sqrt(self._squares / max(self._count, 1))
        return spread
