# SPDX-License-Identifier: GPL-3.0-or-later
"""The bones of a glTF file: its nodes at rest, and what they do when their channels move.

A node's channels are Blender's of a bone: location, rotation and scale come after its own rest
transform, along and about its own axes, as glTF's nodes have them and Blender's importer keeps
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from engine.characters.character import BoneValues, Rig
from engine.core.arrays import Double, Float
from engine.gltf.animation import turned_about_itself
from engine.gltf.document import Document, damage_named
from engine.gltf.expressions import human_bones, joints, looks_backwards
from engine.gltf.meshes import children, local_matrix, rest_transform, world_matrices
from engine.motion.characters.bones import AXES
from engine.motion.characters.rigs import RestBone, character_frame

_LENGTH = 0.05
"""Metres of a bone that ends nowhere."""

UNNAMED = "Armature"
"""What Blender calls an armature that no node stands for."""


@dataclass(frozen=True, eq=False)
class GltfRig:
    """The bones of a glTF file.

    Attributes:
        rig: as of any character; heads and tails in metres of the scene.
        nodes: index of the node of each bone.
    """

    rig: Rig
    nodes: Mapping[str, int]


@dataclass(eq=False)
class NodeTracks:
    """What nodes do: arrays by node, as :class:`engine.gltf.MorphClip` has them."""

    rotations: dict[int, Float] = field(default_factory=dict)
    translations: dict[int, Float] = field(default_factory=dict)
    scales: dict[int, Float] = field(default_factory=dict)


def read_rig(document: Document) -> GltfRig | None:
    """The bones of a file: the joints of its skins and a VRM's own; without such, its nodes.

    Of nodes those that show no mesh, or that stand off the origin, as a jaw at its hinge does.

    Raises:
        BadInputError: the file is damaged.
    """
    with damage_named(document):
        worlds = world_matrices(document)
        human = human_bones(document)
        indices = [
            index
            for index in dict.fromkeys((*joints(document), *human.values()))
            if index in worlds
        ]
        indices = indices or [index for index in worlds if _is_hinge(document, index)]
        if not indices:
            return None
        turn = np.diag([-1.0, 1.0, -1.0]) if looks_backwards(document) else np.eye(3)
        names = _names(document, indices)
        above = {
            child: index for index in worlds for child in children(document.item("nodes", index))
        }
        bones = tuple(_bones(document, names, worlds, above, turn))
        called = {names[index]: name for name, index in human.items() if index in names}
        rig = Rig(_armature(document, names, above), bones, np.array([0.0, 1.0, 0.0]), {}, called)
        return GltfRig(rig, {name: index for index, name in names.items()})


def _is_hinge(document: Document, index: int) -> bool:
    node = document.item("nodes", index)
    return "mesh" not in node or ("skin" not in node and bool(local_matrix(node)[:3, 3].any()))


def _names(document: Document, indices: list[int]) -> dict[int, str]:
    """Names of bones, each once, numbered as Blender's importer does."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for index in indices:
        first = document.item("nodes", index).text("name", "") or f"node {index}"
        name, number = first, 0
        while name in taken:
            number += 1
            name = f"{first}.{number:03d}"
        taken.add(name)
        names[index] = name
    return names


def _bones(
    document: Document,
    names: Mapping[int, str],
    worlds: Mapping[int, Double],
    above: Mapping[int, int],
    turn: Double,
) -> Iterator[RestBone]:
    for index, name in names.items():
        parent = above.get(index)
        while parent is not None and parent not in names:
            parent = above.get(parent)
        matrix = turn @ worlds[index][:3]
        left, sizes, right = np.linalg.svd(matrix[:, :3])
        # In a mirrored frame one turns the other way.
        mirrored = np.sign(np.linalg.det(left @ right)) or 1.0
        axes = mirrored * left @ right
        head = matrix[:, 3]
        size = max(float(np.prod(sizes)) ** (1 / 3), 1e-12)
        below = [
            turn @ worlds[child][:3, 3]
            for child in children(document.item("nodes", index))
            if child in names
        ]
        tail = np.mean(below, axis=0) if below else head + _LENGTH * axes[:, 1]
        yield RestBone(
            name=name,
            parent="" if parent is None else names[parent],
            head=head,
            tail=tail,
            axes=axes,
            location_axes=mirrored * axes / size,
            connected=False,
        )


def _armature(document: Document, names: Mapping[int, str], above: Mapping[int, int]) -> str:
    """What Blender calls the armature: the node that the first bone without another hangs on."""
    root = next(index for index in names if above.get(index) not in names)
    over = above.get(root)
    if over is None or "mesh" in document.item("nodes", over):
        return UNNAMED
    return document.item("nodes", over).text("name", "") or UNNAMED


def node_tracks(
    document: Document, found: GltfRig, bones: BoneValues, head_rotation: Float
) -> tuple[NodeTracks, list[str]]:
    """What nodes do while bones move, and what was left out, a sentence each.

    Args:
        document: the file.
        found: its bones.
        bones: what they do.
        head_rotation: (T, 3) rotation vectors of the head, head space, radians.
    """
    motions = _motions(bones)
    if head_rotation.any():
        frame = character_frame(found.rig.bones, found.rig.up)
        axes = {bone.name: bone.axes for bone in found.rig.bones}
        for name, share in bones.head_shares.items():
            turns = share * head_rotation.astype(np.float64) @ frame.T @ axes[name]
            motions.setdefault(name, {})["rotation"] = turns
    tracks, left_out = NodeTracks(), []
    for name, kinds in motions.items():
        node = found.nodes[name]
        rest = rest_transform(document.item("nodes", node))
        if rest is None:
            left_out.append(f"The bone {name!r} of {document.path} is sheared: left alone.")
            continue
        if "rotation" in kinds:
            tracks.rotations[node] = turned_about_itself(rest.rotation, kinds["rotation"])
        if "location" in kinds:
            offset = kinds["location"] * rest.scale @ _matrix(rest.rotation).T
            tracks.translations[node] = (rest.translation + offset).astype(np.float32)
        if "scale" in kinds:
            tracks.scales[node] = (rest.scale * kinds["scale"]).astype(np.float32)
    return tracks, left_out


def _motions(bones: BoneValues) -> dict[str, dict[str, Double]]:
    """(T, 3) of each kind of channel by bone."""
    motions: dict[str, dict[str, Double]] = {}
    for (name, channel), column in zip(bones.channels, bones.values.T, strict=True):
        kind, _, axis = channel.partition(" ")
        rest = 1.0 if kind == "scale" else 0.0
        motion = motions.setdefault(name, {}).setdefault(kind, np.full((len(column), 3), rest))
        motion[:, AXES.index(axis)] = column
    return motions


def _matrix(quaternion: Double) -> Double:
    from scipy.spatial.transform import Rotation

    matrix: Double = Rotation.from_quat(quaternion).as_matrix()
    return matrix
