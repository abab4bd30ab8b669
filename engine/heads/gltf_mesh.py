# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh of a glTF file, or of a VRM, as a head, with the shape keys that are in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.core.arrays import Float, Index
from engine.core.errors import BadInputError
from engine.gltf import Document, MeshNode, mesh_nodes, read_document, read_geometry
from engine.gltf.expressions import looks_backwards
from engine.heads.default import load_default_head

_FACE = re.compile(r"face|head", re.IGNORECASE)
_SIDES = {"l": "left", "r": "right"}
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class ShapedMesh:
    """What a head is made of.

    Attributes:
        name: of the meshes.
        vertices: (V, 3) float32 in head space, metres.
        faces: (F, 3) int32.
        names: E names of the shape keys; of those that are ARKit's, in whatever spelling, ARKit's.
        offsets: (E, V, 3) float32.
    """

    name: str
    vertices: Float
    faces: Index
    names: tuple[str, ...]
    offsets: Float


def read_shaped_mesh(path: Path, wanted: Sequence[str], needed: Sequence[str]) -> ShapedMesh:
    """Read the mesh of a file that is a head.

    Args:
        path: the file.
        wanted: names of meshes, which are joined; by none it is the only mesh, else the one that
            has most of ARKit's shape keys, all that are needed among them, else the only one that
            is called face or head.
        needed: ARKit names without which a mesh does not speak by its own shape keys.

    Raises:
        BadInputError: no such file, damaged, or no mesh or several that it could be.
        MissingDependencyError: the mesh is packed by Draco.
    """
    document = read_document(path)
    chosen = _chosen(document, wanted, needed)
    turn = np.array([-1, 1, -1] if looks_backwards(document) else [1, 1, 1], np.float32)
    found = [read_geometry(document, node) for node in chosen]
    named = [arkit_names(node.targets) for node in chosen]
    names = tuple(dict.fromkeys(name for part in named for name in part))
    count = sum(len(part.vertices) for part in found)
    document.claim(len(names) * count * 12)
    offsets = np.zeros((len(names), count, 3), np.float32)
    faces, first = [], 0
    for part, own in zip(found, named, strict=True):
        last = first + len(part.vertices)
        rows = [names.index(name) for name in own]
        offsets[rows, first:last] = part.offsets * turn
        faces.append(part.faces + first)
        first = last
    return ShapedMesh(
        ", ".join(node.name for node in chosen),
        np.concatenate([part.vertices for part in found]) * turn,
        np.concatenate(faces).astype(np.int32),
        names,
        offsets,
    )


def _chosen(
    document: Document, wanted: Sequence[str], needed: Sequence[str]
) -> tuple[MeshNode, ...]:
    nodes = mesh_nodes(document)
    listed = ", ".join(node.name for node in nodes[:_SHOWN]) + (" …" if len(nodes) > _SHOWN else "")
    if wanted:
        missing = [name for name in wanted if name not in {node.name for node in nodes}]
        if missing:
            raise document.wrong(f"it has no mesh {missing[0]!r}", f"Its meshes are {listed}.")
        return tuple(next(node for node in nodes if node.name == name) for name in wanted)
    if len(nodes) == 1:
        return nodes
    speaking = {node: set(arkit_names(node.targets)) & _known() for node in nodes}
    able = [node for node in nodes if set(needed) <= speaking[node]]
    if able:
        return (max(able, key=lambda node: len(speaking[node])),)
    called = [node for node in nodes if _FACE.search(node.name)]
    if len(called) == 1:
        return (called[0],)
    raise BadInputError(
        f"{document.path} holds {len(nodes)} meshes: {listed}.",
        f"Name the face's: {document.path}#MESH, or several that are one head: #MESH#MESH.",
    )


def _known() -> set[str]:
    return set(load_default_head().expression_names)


def arkit_names(keys: Sequence[str]) -> tuple[str, ...]:
    """Names of shape keys, ARKit's as ARKit spells them, each once.

    Whatever their case and separators, behind a prefix, and with sides as ``_L`` and ``_R``.
    """
    arkit = {name.lower(): name for name in load_default_head().expression_names}
    taken: set[str] = set(keys)
    names: list[str] = []
    for key in keys:
        words = [word for word in re.split(r"[\s_.:|-]+", key) if word]
        spelled = words[:-1] + [_SIDES.get(word.lower(), word) for word in words[-1:]]
        ends = ("".join(spelled[start:]).lower() for start in range(len(spelled)))
        name = next((arkit[end] for end in ends if end in arkit), key)
        while name in names or (name != key and name in taken):
            name = f"{key} {len(names)}"
        names.append(name)
    return tuple(names)
