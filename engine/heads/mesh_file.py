# SPDX-License-Identifier: GPL-3.0-or-later
"""An artist's own mesh as a head: OBJ, PLY, STL, GLB and whatever else trimesh reads."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import trimesh

from engine.core.errors import BadInputError
from engine.heads.head import Head, Skeleton

_FEWEST = 200
"""Vertices below which nothing can be a face that speaks."""


def load_mesh_head(path: str | Path) -> Head:
    """Read a mesh as a head without expressions; they come to it by retargeting.

    The mesh must stand in head space: metres, +Y up, +Z forward, the mouth closed. Vertices keep
    the order of the file, so that offsets fit the artist's own copy of it.

    Raises:
        BadInputError: no such file, no mesh inside, several meshes, too few vertices, or NaN.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", "Check the path.")
    try:
        scene = trimesh.load_scene(path, process=False, maintain_order=True)
    except Exception as error:  # Readers of so many formats raise whatever their parsers do.
        raise BadInputError(
            f"{path} cannot be read as a mesh: {error}.", "Export the mesh again, as OBJ or PLY."
        ) from error
    mesh = _only_mesh(scene, path)
    template = np.ascontiguousarray(mesh.vertices, np.float32)
    faces = np.ascontiguousarray(mesh.faces, np.int32)
    if len(template) < _FEWEST or not len(faces):
        raise BadInputError(
            f"{path} has {len(template)} vertices and {len(faces)} triangles; that is no head.",
            "Export the mesh itself, not its control cage.",
        )
    if not np.isfinite(template).all():
        raise BadInputError(f"{path} holds NaN or infinite positions.", "Export it again.")
    return Head(
        id=f"mesh-{hashlib.sha256(template.tobytes() + faces.tobytes()).hexdigest()[:12]}",
        template=template,
        faces=faces,
        uv=np.zeros((1, 2), np.float32),
        uv_faces=np.zeros_like(faces),
        expression_basis=np.zeros((0, len(template), 3), np.float32),
        expression_names=(),
        skeleton=_unmoving(len(template)),
        provenance={"source": path.name},
    )


def _only_mesh(scene: trimesh.Scene, path: Path) -> trimesh.Trimesh:
    meshes = [mesh for mesh in scene.geometry.values() if isinstance(mesh, trimesh.Trimesh)]
    if len(meshes) != 1:
        raise BadInputError(
            f"{path} holds {len(meshes)} meshes.", "Join them, or export the head alone."
        )
    (mesh,) = meshes
    return mesh


def _unmoving(vertices: int) -> Skeleton:
    return Skeleton(
        names=("root",),
        parents=np.array([-1], np.int32),
        positions=np.zeros((1, 3), np.float32),
        weights=np.ones((vertices, 1), np.float32),
    )
