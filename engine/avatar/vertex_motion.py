# SPDX-License-Identifier: GPL-3.0-or-later
"""Vertices over time in an ``.npy``, as VOCASET and the methods trained on it write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.core.npz import open_npy
from engine.heads.head import Head
from engine.motion.factored import factored
from engine.motion.performance import Performance

FPS = 60.0
"""Of VOCASET's own recordings."""
_REMEDY = "It needs the vertices of the head by frame, (T, V, 3) or (T, 3V), in metres."
_FARTHEST = 0.02
_RIDGE = 1e-6


def load_vertices(path: str | Path, head: Head, fps: float | None = None) -> Performance:
    """The motion of a mesh whose vertices are the first of a head's.

    Whose face it was is not in the file: the frame in which the lips are nearest to each other
    stands for the neutral one. Vertices that the file lacks, such as the teeth that are built for
    FLAME, follow the expressions that fit the others best.

    Args:
        path: ``.npy`` of (T, V, 3) or (T, 3V), head space, metres.
        head: of the same topology.
        fps: frames per second, 60 by default.

    Raises:
        BadInputError: no such file, vertices of another mesh or in another unit; names the file.
    """
    vertices = load_frames(path, head)
    count = vertices.shape[1]
    neutral = vertices[closed_frame(vertices, head)]
    apart = float(np.linalg.norm(neutral - head.template[:count], axis=1).mean())
    if not apart <= _FARTHEST:
        raise BadInputError(
            f"{path}: its vertices are {1000 * apart:.0f} mm away from those of '{head.id}' on "
            "average.",
            "They must be in metres, and upright before the head's origin as FLAME's are.",
        )
    whole, expression = _completed(vertices - neutral, head)
    weights, basis = factored(iter([whole]))
    return Performance(
        fps=FPS if fps is None else fps,
        weights=weights,
        basis=basis.reshape(len(basis), -1, 3),
        expression=expression.astype(np.float32),
        expression_names=head.expression_names,
        head=head.id,
        model="captured",
    )


def whole_offsets(offsets: Float, head: Head) -> Float:
    """(T, n, 3) offsets of a head's first vertices, and with them those of the others, (T, V, 3).

    Vertices that are not given follow the expressions that fit the others best.
    """
    if offsets.shape[1] == head.vertex_count:
        return offsets
    whole, _ = _completed(offsets, head)
    return whole.reshape(len(offsets), -1, 3).astype(np.float32)


def _completed(vertices: Float, head: Head) -> tuple[Double, Double]:
    """(T, 3V) offsets from (T, n, 3) of the first vertices, and the (T, E) expressions that fit."""
    count = vertices.shape[1]
    offsets = vertices.reshape(len(vertices), -1).astype(np.float64)
    basis = np.concatenate([head.expression_basis.astype(np.float64), _rigid(head)])
    known = basis[:, :count].reshape(len(basis), -1)
    gram = known @ known.T
    ridge = _RIDGE * float(np.trace(gram)) / len(gram) * np.eye(len(gram))
    fitted = np.linalg.solve(gram + ridge, known @ offsets.T).T
    whole = np.hstack([offsets, fitted @ basis[:, count:].reshape(len(basis), -1)])
    return whole, fitted[:, : len(head.expression_names)]


def _rigid(head: Head) -> Double:
    """(6, V, 3) what small movements and turns of the whole head add to its vertices."""
    points = head.template.astype(np.float64)
    axes = np.eye(3)[:, None]
    return np.concatenate([np.broadcast_to(axes, (3, *points.shape)), np.cross(axes, points[None])])


def load_frames(path: str | Path, head: Head) -> Float:
    """(T, n, 3) the vertices of a file, the first n of the head's, as they are in space.

    Raises:
        BadInputError: no such file, or vertices of another mesh; names the file.
    """
    file = open_npy(path, "vertices", _REMEDY)
    found = file["vertices"]
    flat = found.ndim == 2 and found.shape[1] % 3 == 0
    shape = (None, None) if flat else (None, None, 3)
    if not found.size:
        raise file.wrong("it holds no frame")
    vertices = file.numbers("vertices", shape).reshape(len(found), -1, 3)
    if not 0 < vertices.shape[1] <= head.vertex_count:
        raise BadInputError(
            f"{path} moves {vertices.shape[1]:,} vertices; '{head.id}' has {head.vertex_count:,}.",
            "Choose the head that was captured, for VOCASET a FLAME model.",
        )
    return vertices


def closed_frame(vertices: Float, head: Head) -> int:
    """Number of the frame whose lips are nearest to each other; 0 where nobody knows the lips."""
    pair = [head.landmarks.get(f"inner_lip_{side}") for side in ("upper", "lower")]
    if pair[0] is None or pair[1] is None or max(pair[0].max(), pair[1].max()) >= len(vertices[0]):
        return 0
    gap = np.linalg.norm(vertices[:, pair[0]] - vertices[:, pair[1]], axis=2).mean(axis=1)
    return int(gap.argmin())
