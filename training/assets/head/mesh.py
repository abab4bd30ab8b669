# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh under construction: a vertex carries all that has to survive cutting and refining."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from engine.core.arrays import Double, Ids


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with texture coordinates and, per vertex, everything linear.

    Attributes:
        vertices: (V, 3) metres.
        deltas: (E, V, 3) expression offsets.
        weights: (V, J) skinning weights.
        masks: (V, M) values in [0, 1].
        origins: (V,) index of the source vertex, −1 for a new one.
        faces: (F, 3) triangles, counter-clockwise from outside.
        uv: (U, 2) texture coordinates.
        uv_faces: (F, 3) indices into ``uv``.
    """

    vertices: Double
    deltas: Double
    weights: Double
    masks: Double
    origins: Ids
    faces: Ids
    uv: Double
    uv_faces: Ids

    def mixed(self, matrix: csr_matrix, uv_matrix: csr_matrix, faces: Ids, uv_faces: Ids) -> Mesh:
        """The mesh whose vertices are linear combinations of these.

        Args:
            matrix: (V', V), rows sum to one; a row with a single one keeps that vertex.
            uv_matrix: (U', U) the same for the texture coordinates.
            faces: (F', 3) over the new vertices.
            uv_faces: (F', 3) over the new texture coordinates.
        """
        kept = np.asarray(matrix.getnnz(axis=1) == 1)
        flat = self.deltas.transpose(1, 0, 2).reshape(len(self.vertices), -1)
        deltas = (matrix @ flat).reshape(matrix.shape[0], *self.deltas.shape[::2])
        origins = np.full(matrix.shape[0], -1)
        origins[kept] = self.origins[matrix[kept].indices]
        return Mesh(
            vertices=matrix @ self.vertices,
            deltas=deltas.transpose(1, 0, 2),
            weights=matrix @ self.weights,
            masks=matrix @ self.masks,
            origins=origins,
            faces=faces,
            uv=uv_matrix @ self.uv,
            uv_faces=uv_faces,
        )

    def only(self, faces: NDArray[np.bool_]) -> Mesh:
        """The mesh of the chosen faces, without the vertices and coordinates they leave unused."""
        used, new_faces = np.unique(self.faces[faces], return_inverse=True)
        used_uv, new_uv = np.unique(self.uv_faces[faces], return_inverse=True)
        return Mesh(
            vertices=self.vertices[used],
            deltas=self.deltas[:, used],
            weights=self.weights[used],
            masks=self.masks[used],
            origins=self.origins[used],
            faces=new_faces.reshape(-1, 3),
            uv=self.uv[used_uv],
            uv_faces=new_uv.reshape(-1, 3),
        )

    def joined(self, other: Mesh) -> Mesh:
        """Both meshes as one; the other's vertices come after these."""
        return Mesh(
            vertices=np.concatenate([self.vertices, other.vertices]),
            deltas=np.concatenate([self.deltas, other.deltas], axis=1),
            weights=np.concatenate([self.weights, other.weights]),
            masks=np.concatenate([self.masks, other.masks]),
            origins=np.concatenate([self.origins, other.origins]),
            faces=np.concatenate([self.faces, other.faces + len(self.vertices)]),
            uv=np.concatenate([self.uv, other.uv]),
            uv_faces=np.concatenate([self.uv_faces, other.uv_faces + len(self.uv)]),
        )

    def with_deltas(self, deltas: Double) -> Mesh:
        """The same mesh with other expressions."""
        return replace(self, deltas=deltas)


def triangulated(vertices: Double, quads: Ids, uv_quads: Ids) -> tuple[Ids, Ids]:
    """Split quads along their shorter diagonal: (2F, 3) faces and texture faces."""
    first = np.linalg.norm(vertices[quads[:, 0]] - vertices[quads[:, 2]], axis=1)
    second = np.linalg.norm(vertices[quads[:, 1]] - vertices[quads[:, 3]], axis=1)
    # Equal diagonals: the one with the highest corner, so that both sides of a face agree.
    highest = vertices[quads, 1].argmax(axis=1) % 2
    turn = np.where(np.abs(first - second) < 1e-6, highest, first > second).astype(int)
    # Corners in order, starting at an end of the chosen diagonal.
    order = (np.arange(4) + turn[:, None]) % 4
    corners = np.take_along_axis(quads, order, axis=1)
    uv_corners = np.take_along_axis(uv_quads, order, axis=1)
    halves = np.array([[0, 1, 2], [0, 2, 3]])
    return corners[:, halves].reshape(-1, 3), uv_corners[:, halves].reshape(-1, 3)


def boundary_loops(faces: Ids) -> list[Ids]:
    """Closed loops of the edges that only one face has, in that face's direction."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    seen = {(int(a), int(b)) for a, b in edges}
    following = {a: b for a, b in seen if (b, a) not in seen}
    loops = []
    while following:
        start = next(iter(following))
        loop = [start]
        while (vertex := following.pop(loop[-1])) != start:
            loop.append(vertex)
        loops.append(np.array(loop))
    return loops
