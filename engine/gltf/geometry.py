# SPDX-License-Identifier: GPL-3.0-or-later
"""Vertices, triangles and morph targets of a mesh where a glTF scene shows it, at rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.core.arrays import Double, Float, Index
from engine.core.json_values import JsonObject
from engine.gltf.accessors import read_floats, read_whole_numbers, refuse_draco
from engine.gltf.document import Document, damage_named
from engine.gltf.meshes import MeshNode, world_matrices

_TRIANGLES, _LINES = 4, 3


@dataclass(frozen=True, eq=False)
class Geometry:
    """A mesh in the scene.

    Attributes:
        vertices: (V, 3) float32, metres, +Y up, in the order of the file: primitive after
            primitive, those that share their vertices once.
        faces: (F, 3) int32.
        offsets: (K, V, 3) float32 of each morph target at weight 1, as the vertices.
    """

    vertices: Float
    faces: Index
    offsets: Float


def read_geometry(document: Document, shown: MeshNode) -> Geometry:
    """Read a mesh; a skinned one as its bones hold it at rest, else as its node says.

    Raises:
        BadInputError: the file is damaged, or the mesh has no triangles.
        MissingDependencyError: the mesh is packed by Draco.
    """
    with damage_named(document):
        vertices: list[Float] = []
        offsets: list[Float] = []
        faces: list[Index] = []
        known: dict[tuple[int, ...], range] = {}
        for primitive in document.item("meshes", shown.mesh).groups("primitives"):
            if primitive.whole("mode", _TRIANGLES, high=6) <= _LINES:
                continue
            key = _accessors_of(primitive)
            if key not in known:
                points, moved = _placed(document, shown, primitive)
                first = sum(map(len, vertices))
                known[key] = range(first, first + len(points))
                vertices.append(points)
                offsets.append(moved)
            faces.append(_faces(document, primitive, known[key]))
        if not faces:
            raise document.wrong(f"the mesh {shown.name!r} has no triangles")
        return Geometry(
            np.concatenate(vertices), np.concatenate(faces), np.concatenate(offsets, axis=1)
        )


def _accessors_of(primitive: JsonObject) -> tuple[int, ...]:
    """What distinguishes sets of vertices: primitives of several materials often share one."""
    attributes = primitive.group("attributes")
    targets = primitive.groups("targets") if "targets" in primitive else []
    names = ("POSITION", "JOINTS_0", "WEIGHTS_0")
    own = [attributes.whole(name, -1) if name in attributes else -1 for name in names]
    return (*own, *(target.whole("POSITION", -1) for target in targets))


def _placed(document: Document, shown: MeshNode, primitive: JsonObject) -> tuple[Float, Float]:
    """(V, 3) points and (K, V, 3) offsets of a primitive in the scene."""
    refuse_draco(document, primitive)
    attributes = primitive.group("attributes")
    points = read_floats(document, attributes.whole("POSITION"), 3)
    document.claim(2 * len(shown.targets) * points.nbytes)
    moved = np.zeros((len(shown.targets), len(points), 3), np.float32)
    for row, target in enumerate(primitive.groups("targets") if shown.targets else []):
        if "POSITION" in target:
            offset = read_floats(document, target.whole("POSITION"), 3)
            if len(offset) != len(points):
                raise document.wrong(f"a morph target of {shown.name!r} has another length")
            moved[row] = offset
    matrices = _skinning(document, shown, attributes, len(points))
    if matrices is None:
        matrices = shown.world[None]
    linear, shift = matrices[:, :3, :3], matrices[:, :3, 3]
    turn = np.broadcast_to(linear, (len(points), 3, 3))
    placed = np.einsum("vij,vj->vi", turn, points) + shift
    for row, offset in enumerate(moved):
        moved[row] = np.einsum("vij,vj->vi", turn, offset)
    if not (np.isfinite(placed).all() and np.isfinite(moved).all()):
        raise document.wrong(f"the mesh {shown.name!r} has no finite size")
    return placed.astype(np.float32), moved


def _skinning(
    document: Document, shown: MeshNode, attributes: JsonObject, vertices: int
) -> Double | None:
    """(V, 4, 4) from mesh to scene by bones; ``None`` where the mesh has none."""
    node = document.item("nodes", shown.node)
    if "skin" not in node or "JOINTS_0" not in attributes:
        return None
    skin = document.item("skins", node.whole("skin"))
    joints = skin.values["joints"]
    worlds = world_matrices(document)
    matrices = np.stack([worlds[joint] for joint in joints])
    if "inverseBindMatrices" in skin:
        inverse = read_floats(document, skin.whole("inverseBindMatrices"), 16)
        matrices = matrices @ inverse[: len(joints)].reshape(-1, 4, 4).swapaxes(1, 2)
    document.claim(vertices * 16 * 8)
    total, weight = np.zeros((vertices, 4, 4)), np.zeros(vertices)
    for group in range(4):
        if f"JOINTS_{group}" not in attributes:
            break
        bones = read_whole_numbers(document, attributes.whole(f"JOINTS_{group}"), 4)
        shares = read_floats(document, attributes.whole(f"WEIGHTS_{group}"), 4)
        if len(bones) != vertices or len(shares) != vertices or bones.max() >= len(joints):
            raise document.wrong(f"the bones of {shown.name!r} do not fit its vertices")
        for column in range(4):
            share = shares[:, column].astype(np.float64)
            total += share[:, None, None] * matrices[bones[:, column]]
            weight += share
    return np.asarray(total / np.where(weight > 0, weight, 1.0)[:, None, None])


def _faces(document: Document, primitive: JsonObject, own: range) -> Index:
    """(F, 3) triangles on a primitive's own vertices."""
    if primitive.whole("mode", _TRIANGLES) != _TRIANGLES:
        raise document.wrong("its triangles are strips or fans")
    if "indices" in primitive:
        corners = read_whole_numbers(document, primitive.whole("indices"))[:, 0]
    else:
        corners = np.arange(len(own))
    if len(corners) % 3 or corners.max() >= len(own):
        raise document.wrong("its triangles point outside of its vertices")
    return (own.start + corners.reshape(-1, 3)).astype(np.int32)
