# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of a glTF file that show a mesh, with the names of its morph targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine.core.arrays import Double, Float
from engine.core.json_values import JsonObject
from engine.gltf.document import Document, damage_named

MAX_TARGETS = 4096
"""Morph targets of a mesh; MetaHuman has under a thousand."""


@dataclass(frozen=True, eq=False)
class MeshNode:
    """A mesh where a node shows it.

    Attributes:
        name: of the node, else of the mesh; what Blender calls the object.
        node: index of the node.
        mesh: index of the mesh.
        targets: K names of its morph targets.
        weights: (K,) float32 of the targets when nothing is animated.
        world: (4, 4) float64 from mesh to scene, metres, +Y up.
    """

    name: str
    node: int
    mesh: int
    targets: tuple[str, ...]
    weights: Float
    world: Double


def mesh_nodes(document: Document) -> tuple[MeshNode, ...]:
    """All meshes of the file's scene, in the order of its nodes.

    Raises:
        BadInputError: the file is damaged.
    """
    with damage_named(document):
        worlds = world_matrices(document)
        return tuple(
            _mesh_node(document, index, node, worlds[index])
            for index, node in enumerate(document.items("nodes"))
            if index in worlds and "mesh" in node
        )


def _mesh_node(document: Document, index: int, node: JsonObject, world: Double) -> MeshNode:
    number = node.whole("mesh")
    mesh = document.item("meshes", number)
    targets = _target_names(document, mesh)
    weights = np.zeros(len(targets), np.float32)
    for owner in (mesh, node):
        if targets and "weights" in owner:
            weights = owner.numbers("weights", len(targets))
    name = node.text("name", "") or mesh.text("name", "") or f"mesh {number}"
    return MeshNode(name, index, number, targets, weights, world)


def _target_names(document: Document, mesh: JsonObject) -> tuple[str, ...]:
    """Names where exporters write them: of the mesh, of its first primitive, of the accessors."""
    primitives = mesh.groups("primitives")
    counts = {len(primitive.values.get("targets") or []) for primitive in primitives}
    if len(counts) != 1 or max(counts) > MAX_TARGETS:
        raise document.wrong(
            f"the mesh {mesh.label('name', '')!r} has {sorted(counts)} morph targets by part"
        )
    (count,) = counts
    if not count:
        return ()
    for owner in (mesh, primitives[0]):
        extras = owner.values.get("extras")
        names = extras.get("targetNames") if isinstance(extras, dict) else None
        if isinstance(names, list) and len(names) >= count:
            return tuple(map(str, names[:count]))
    accessors = document.items("accessors")
    result = []
    for number, target in enumerate(primitives[0].groups("targets")):
        at = target.whole("POSITION", 0)
        named = accessors[at].values.get("name") if at < len(accessors) else None
        # Blender's name for one without.
        result.append(named if isinstance(named, str) and named else f"target_{number}")
    return tuple(result)


def world_matrices(document: Document) -> dict[int, Double]:
    """(4, 4) float64 of each node of the scene, by index.

    Raises:
        BadInputError: the nodes are no tree.
    """
    nodes = document.items("nodes")
    worlds: dict[int, Double] = {}
    waiting = [(root, np.eye(4)) for root in _roots(document)]
    while waiting:
        index, above = waiting.pop()
        if index in worlds:
            raise document.wrong(f"node {index} is met twice: its nodes are no tree")
        node = document.item("nodes", index)
        worlds[index] = above @ local_matrix(node)
        waiting += [(child, worlds[index]) for child in children(node)]
        if len(waiting) > len(nodes):
            raise document.wrong("its nodes are no tree")
    return worlds


def children(node: JsonObject) -> tuple[int, ...]:
    """The indices of a node's children."""
    return _indices(node, "children")


def _indices(owner: JsonObject, name: str) -> tuple[int, ...]:
    values = owner.values.get(name) or []
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise owner.wrong(f"{name!r} is no list of indices")
    return tuple(values)


def _roots(document: Document) -> Iterator[int]:
    root = document.root
    if document.items("scenes"):
        scene = document.item("scenes", root.whole("scene", 0))
        yield from _indices(scene, "nodes")
        return
    nodes = document.items("nodes")
    below = {child for node in nodes for child in children(node)}
    yield from (index for index in range(len(nodes)) if index not in below)


def local_matrix(node: JsonObject) -> Double:
    """(4, 4) of a node against its parent, from its matrix or from translation, rotation, scale."""
    if "matrix" in node:
        return np.asarray(node.numbers("matrix", 16), np.float64).reshape(4, 4).T
    x, y, z, w = np.asarray(node.numbers("rotation", 4, [0.0, 0.0, 0.0, 1.0]), np.float64)
    scale = np.asarray(node.numbers("scale", 3, [1.0, 1.0, 1.0]), np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = scale * np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix[:3, 3] = node.numbers("translation", 3, [0.0, 0.0, 0.0])
    return matrix


class Transform(NamedTuple):
    """A node against its parent.

    Attributes:
        translation: (3,).
        rotation: (4,) quaternion x, y, z, w.
        scale: (3,).
    """

    translation: Double
    rotation: Double
    scale: Double


def rest_transform(entry: JsonObject) -> Transform | None:
    """A node against its parent at rest; ``None`` where its matrix is no such transform."""
    # Deferred: it takes a tenth of a second to load, and few files need it.
    from scipy.spatial.transform import Rotation

    if "matrix" not in entry:
        values = (("translation", [0.0] * 3), ("rotation", [0.0] * 3 + [1.0]), ("scale", [1.0] * 3))
        found = [np.asarray(entry.numbers(key, len(v), v), np.float64) for key, v in values]
        return Transform(*found)
    matrix = local_matrix(entry)
    scale = np.linalg.norm(matrix[:3, :3], axis=0)
    if not scale.all():
        return None
    if np.linalg.det(matrix[:3, :3]) < 0:
        scale[0] = -scale[0]
    axes = matrix[:3, :3] / scale
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4):
        return None
    return Transform(matrix[:3, 3], Rotation.from_matrix(axes).as_quat(), scale)
