# SPDX-License-Identifier: GPL-3.0-or-later
"""An artist's own mesh as a head: glTF with its shape keys, else what trimesh reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import trimesh

from engine.core.errors import BadInputError
from engine.gltf import GLTF_SUFFIXES
from engine.heads.anatomy import anatomy
from engine.heads.gltf_mesh import ShapedMesh, read_shaped_mesh
from engine.heads.head import Head, Skeleton
from engine.heads.retarget import MOUTH_SHAPES, has_arkit_visemes
from engine.heads.welding import weld

_AGAIN = "Export the mesh again, as OBJ or PLY."
_FEWEST = 200
"""Vertices below which nothing can be a face that speaks."""


def load_mesh_head(path: str | Path, meshes: Sequence[str] = ()) -> Head:
    """Read a mesh as a head; where it has no expressions they come to it by retargeting.

    The mesh must stand in head space: metres, +Y up, +Z forward, the mouth closed. Vertices keep
    the order of the file, so that offsets fit the artist's own copy of it.

    Args:
        path: the file; of a glTF file the shape keys are the head's expressions.
        meshes: names of the meshes of a glTF file that are the head; found without.

    Raises:
        BadInputError: no such file, no mesh inside, several meshes, too few vertices, or NaN.
        MissingDependencyError: the mesh is packed by Draco.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", "Check the path.")
    if path.suffix.lower() in GLTF_SUFFIXES:
        found = read_shaped_mesh(path, meshes, MOUTH_SHAPES)
    else:
        found = _plain_mesh(path)
    template = found.vertices
    if len(template) < _FEWEST or not len(found.faces):
        raise BadInputError(
            f"{path} has {len(template)} vertices and {len(found.faces)} triangles; that is no "
            "head.",
            "Export the mesh itself, not its control cage.",
        )
    if not np.isfinite(template).all():
        raise BadInputError(f"{path} holds NaN or infinite positions.", "Export it again.")
    head = Head(
        id=f"mesh-{_digest(found)[:12]}",
        template=template,
        faces=found.faces,
        uv=np.zeros((1, 2), np.float32),
        uv_faces=np.zeros_like(found.faces),
        expression_basis=found.offsets,
        expression_names=found.names,
        skeleton=_unmoving(len(template)),
        provenance={"source": path.name, "mesh": found.name},
    )
    return _with_lips(head) if has_arkit_visemes(head) else head


def _digest(mesh: ShapedMesh) -> str:
    """Of what a performance refers to: the vertices, and the shape keys where there are any."""
    digest = hashlib.sha256(mesh.vertices.tobytes() + mesh.faces.tobytes())
    if mesh.names:
        digest.update("\0".join(mesh.names).encode() + mesh.offsets.tobytes())
    return digest.hexdigest()


def _with_lips(head: Head) -> Head:
    """The head with landmarks of its inner lips, where the slit of its mouth is found."""
    whole = weld(head)
    try:
        found = anatomy(whole.head)
    except BadInputError:
        # Its own shape keys close the lips, as far as its artist made them do.
        return head
    if found.slit is None:
        return head
    lips = {"inner_lip_upper": found.slit.upper, "inner_lip_lower": found.slit.lower}
    marks = {name: whole.first[found.skin[v]].astype(np.int32) for name, v in lips.items()}
    return replace(head, landmarks=marks)


def _plain_mesh(path: Path) -> ShapedMesh:
    try:
        scene = trimesh.load_scene(path, process=False, maintain_order=True)
    except Exception as error:  # Readers of so many formats raise whatever their parsers do.
        raise BadInputError(f"{path} cannot be read as a mesh: {error}.", _AGAIN) from error
    mesh = _only_mesh(scene, path)
    vertices = np.ascontiguousarray(mesh.vertices, np.float32)
    # Readers of trimesh take the corners of triangles as they stand in the file.
    if mesh.faces.size and not 0 <= mesh.faces.min() <= mesh.faces.max() < len(vertices):
        raise BadInputError(f"{path} has triangles of vertices that it does not have.", _AGAIN)
    faces = np.ascontiguousarray(mesh.faces, np.int32)
    return ShapedMesh(path.stem, vertices, faces, (), np.zeros((0, len(vertices), 3), np.float32))


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
