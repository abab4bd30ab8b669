# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance as a GLB of its own head: morph targets, their weights, and how the head turns.

A performance is weights times a basis, and so is glTF's morphing: the mesh that a viewer shows is
the performance's to the rounding of float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.gltf.accessors import FLOAT, UNSIGNED_INT
from engine.gltf.animation import MorphClip, write_animated
from engine.gltf.document import Document
from engine.heads.head import Head
from engine.motion.performance import Performance

_VERTICES, _INDICES = 34962, 34963
"""``bufferView.target`` of vertex attributes and of indices."""
_NODE = 0


def write_head(performance: Performance, head: Head, out: Path) -> None:
    """Write a head that plays a performance, without any other program.

    Args:
        performance: of the head.
        head: its mesh, with texture coordinates.
        out: ends in .glb.

    Raises:
        BadInputError: the performance is of another head, or the file cannot be written.
    """
    if (performance.head, performance.vertex_count) != (head.id, head.vertex_count):
        raise BadInputError(
            f"The performance is of head '{performance.head}', not '{head.id}'.",
            "Give the head that it was made for.",
        )
    moving = np.flatnonzero(np.abs(performance.weights).max(axis=0, initial=0.0))
    names = _names(performance)
    document = _static(head, performance.basis[moving], [names[index] for index in moving], out)
    tracks: dict[str, dict[int, Float]] = {}
    turning = performance.head_rotation.any()
    if turning:
        turns = Rotation.from_rotvec(performance.head_rotation.astype(np.float64))
        pivot = head.neck.astype(np.float64)
        tracks["rotations"] = {_NODE: turns.as_quat().astype(np.float32)}
        tracks["translations"] = {_NODE: (pivot - turns.apply(pivot)).astype(np.float32)}
    if len(moving) or turning:
        weights = {_NODE: performance.weights[:, moving]} if len(moving) else {}
        clip = MorphClip("speech", performance.fps, weights, **tracks)
        write_animated(document, [clip], out)
    else:
        write_animated(document, [], out)


def _names(performance: Performance) -> tuple[str, ...]:
    """Of the components: the expressions where they are those, else numbers."""
    same = performance.weights.shape == performance.expression.shape
    if same and np.array_equal(performance.weights, performance.expression):
        return performance.expression_names
    return tuple(f"component_{index:02}" for index in range(performance.weights.shape[1]))


def _static(head: Head, basis: Float, names: list[str], out: Path) -> Document:
    """The head without animation, a vertex for each pair of vertex and texture coordinate."""
    corners = np.stack([head.faces.ravel(), head.uv_faces.ravel()], axis=1)
    pairs, indices = np.unique(corners, axis=0, return_inverse=True)
    vertex, uv = pairs.T
    buffer = _Buffer()
    attributes = {
        "POSITION": buffer.add(head.template[vertex], "VEC3", bounds=True),
        # glTF counts from the top of the picture.
        "TEXCOORD_0": buffer.add(head.uv[uv] * [1, -1] + [0, 1], "VEC2"),
    }
    primitive: dict[str, Any] = {
        "attributes": attributes,
        "indices": buffer.add(indices.ravel().astype("<u4"), "SCALAR"),
    }
    if names:
        primitive["targets"] = [
            {"POSITION": buffer.add(offsets[vertex], "VEC3", bounds=True)} for offsets in basis
        ]
    mesh: dict[str, Any] = {"name": head.id, "primitives": [primitive]}
    if names:
        mesh |= {"weights": [0.0] * len(names), "extras": {"targetNames": names}}
    values = {
        "asset": {"version": "2.0", "generator": "GaussianSpeech"},
        "scene": 0,
        "scenes": [{"nodes": [_NODE]}],
        "nodes": [{"name": head.id, "mesh": 0}],
        "meshes": [mesh],
        "buffers": [{"byteLength": len(buffer.data)}],
        "bufferViews": buffer.views,
        "accessors": buffer.accessors,
    }
    return Document(out, values, bytes(buffer.data), is_glb=True)


class _Buffer:
    """The BIN chunk as it grows."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, int]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, array: NDArray[Any], kind: str, *, bounds: bool = False) -> int:
        """Add an array; number of its accessor."""
        whole = array.dtype.kind == "u"
        packed = np.ascontiguousarray(array, "<u4" if whole else "<f4")
        entry = {
            "bufferView": len(self.views),
            "componentType": UNSIGNED_INT if whole else FLOAT,
            "count": len(packed),
            "type": kind,
        }
        if bounds:
            entry |= {"min": packed.min(axis=0).tolist(), "max": packed.max(axis=0).tolist()}
        self.accessors.append(entry)
        target = _INDICES if whole else _VERTICES
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": packed.nbytes}
        self.views.append(view | {"target": target})
        self.data += packed.tobytes()
        return len(self.accessors) - 1
