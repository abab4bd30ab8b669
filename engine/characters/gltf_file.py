# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters of glTF files, VRM among them: written back with animations, all else as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.characters.character import Clip, Part, Rig, Values
from engine.characters.gltf_rig import GltfRig, NodeTracks, node_tracks, read_rig
from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.gltf import (
    Bind,
    Document,
    Expression,
    MeshNode,
    MorphClip,
    mesh_nodes,
    read_document,
    read_expressions,
    write_animated,
)
from engine.gltf.animation import turned
from engine.gltf.document import damage_named
from engine.gltf.expressions import head_bone, looks_backwards
from engine.gltf.meshes import children, rest_transform, world_matrices

EXPRESSIONS = "VRM expressions"
"""What the list of a VRM's expressions is called, in mappings too."""


@dataclass(frozen=True, eq=False)
class GltfCharacter:
    """A glTF file as a character.

    Attributes:
        path: where it lies.
        document: its JSON and buffers.
        nodes: those of its meshes that have morph targets; one part each.
        expressions: of a VRM; where there are any they are the last part.
        rig: its bones, if any.
    """

    path: Path
    document: Document
    nodes: tuple[MeshNode, ...]
    expressions: tuple[Expression, ...]
    rig: GltfRig | None

    @property
    def rigs(self) -> tuple[Rig, ...]:
        """All bones of the file together."""
        return () if self.rig is None else (self.rig.rig,)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The meshes, then the expressions."""
        meshes = tuple(Part(node.name, node.targets) for node in self.nodes)
        if not self.expressions:
            return meshes
        names = tuple(one.name for one in self.expressions)
        return (*meshes, Part(EXPRESSIONS, names, is_expressions=True))

    @property
    def suffixes(self) -> tuple[str, ...]:
        """GLB and VRM are the same, in JSON is another kind."""
        return (".glb", ".vrm") if self.document.is_glb else (".gltf",)

    def save(self, out: Path, clips: Sequence[Clip]) -> tuple[str, ...]:
        """Write the file with an animation for each clip; see :class:`Character`."""
        left_out: dict[str, None] = {}
        made = []
        for clip in clips:
            tracks, notes = self._moved(clip)
            left_out |= dict.fromkeys(notes)
            moved = (tracks.rotations, tracks.translations, tracks.scales)
            made.append(MorphClip(clip.name, clip.fps, self._weights(clip), *moved))
        write_animated(self.document, made, out)
        return tuple(left_out)

    def _moved(self, clip: Clip) -> tuple[NodeTracks, list[str]]:
        """What the nodes of bones do in a clip, and what was left out."""
        tracks = NodeTracks()
        notes: list[str] = []
        bones = clip.bones.get(0)
        with damage_named(self.document):
            if bones is not None and self.rig is not None:
                tracks, notes = node_tracks(self.document, self.rig, bones, clip.head_rotation)
            if not clip.head_rotation.any() or (bones is not None and bones.head_shares):
                return tracks, notes
            bone = head_bone(self.document)
            if bone is None:
                notes.append(f"{self.path} has no bone for its head that can be animated.")
            else:
                tracks.rotations.setdefault(bone, self._turned(bone, clip))
        return tracks, notes

    def _weights(self, clip: Clip) -> dict[int, Float]:
        """(T, K) of every node that the clip moves; targets that it does not stay as they are."""
        weights: dict[int, Float] = {}
        for number, spoken in clip.values.items():
            if number < len(self.nodes):
                node = self.nodes[number]
                weights[node.node] = self._still(node, clip.frames)
                columns = [node.targets.index(key) for key in spoken.keys]
                weights[node.node][:, columns] = spoken.values
            else:
                self._express(spoken, clip.frames, weights)
        return weights

    def _express(self, spoken: Values, frames: int, weights: dict[int, Float]) -> None:
        by_name = {one.name: one for one in reversed(self.expressions)}
        moved: set[tuple[int, int]] = set()
        for key, values in zip(spoken.keys, spoken.values.T, strict=True):
            expression = by_name[key]
            amounts = (values > 0.5).astype(np.float32) if expression.binary else values
            for bind in expression.binds:
                for node in self._bound(expression, bind):
                    if node.node not in weights:
                        weights[node.node] = self._still(node, frames)
                    if (node.node, bind.target) not in moved:
                        moved.add((node.node, bind.target))
                        weights[node.node][:, bind.target] = 0.0
                    weights[node.node][:, bind.target] += bind.weight * amounts

    def _bound(self, expression: Expression, bind: Bind) -> list[MeshNode]:
        nodes = [node for node in self.nodes if node.node == bind.node or node.mesh == bind.mesh]
        if not nodes or any(bind.target >= len(node.targets) for node in nodes):
            raise BadInputError(
                f"{self.path}: the expression {expression.name!r} moves a morph target that no "
                "mesh has.",
                "Export it again, or map the shape keys of its meshes with --mapping.",
            )
        return nodes

    @staticmethod
    def _still(node: MeshNode, frames: int) -> Float:
        return np.tile(node.weights, (frames, 1))

    def _turned(self, node: int, clip: Clip) -> Float:
        nodes = self.document.items("nodes")
        above = next((i for i, other in enumerate(nodes) if node in children(other)), None)
        matrix = np.eye(3) if above is None else world_matrices(self.document)[above][:3, :3]
        left, _, right = np.linalg.svd(matrix)
        # A mirrored frame turns as the frame opposite does.
        straight = left @ right * np.sign(np.linalg.det(matrix))
        rest = rest_transform(self.document.item("nodes", node))
        if rest is None:
            raise self.document.wrong("the bone of its head is sheared")
        # What turns about the line of sight or nods turns the other way when one looks along −Z.
        backwards = looks_backwards(self.document)
        rotations = clip.head_rotation * (np.array([-1, 1, -1]) if backwards else np.ones(3))
        return turned(rest.rotation, straight, rotations.astype(np.float64))


def open_gltf(path: Path) -> GltfCharacter:
    """Read a glTF file as a character; its geometry is not looked at.

    Raises:
        BadInputError: no such file, or damaged.
    """
    document = read_document(path)
    nodes = tuple(node for node in mesh_nodes(document) if node.targets)
    return GltfCharacter(path, document, nodes, read_expressions(document), read_rig(document))
