# SPDX-License-Identifier: GPL-3.0-or-later
"""Animations of morph targets and nodes, added to a glTF file of which all else is kept."""

from __future__ import annotations

import base64
import copy
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.core.files import atomic_write
from engine.gltf.accessors import FLOAT
from engine.gltf.document import BINARY_CHUNK, JSON_CHUNK, MAGIC, Document, damage_named
from engine.gltf.meshes import rest_transform

_HEADER = 12
_CHUNK_HEADER = 8


@dataclass(frozen=True, eq=False)
class MorphClip:
    """What an animation moves, linear between frames; frame k is at second k / fps.

    Attributes:
        name: of the animation.
        fps: frames per second.
        weights: (T, K) float32 of all K morph targets, by node.
        rotations: (T, 4) float32 unit quaternions x, y, z, w of a node against its parent, by node.
        translations: (T, 3) float32 of a node against its parent, by node.
        scales: (T, 3) float32 of a node, by node.
    """

    name: str
    fps: float
    weights: Mapping[int, Float]
    rotations: Mapping[int, Float] = field(default_factory=dict)
    translations: Mapping[int, Float] = field(default_factory=dict)
    scales: Mapping[int, Float] = field(default_factory=dict)

    @property
    def tracks(self) -> list[tuple[int, str, str, Float]]:
        """What it moves: node, path, type of the accessor, and values."""
        kinds = (
            ("weights", "SCALAR", self.weights),
            ("rotation", "VEC4", self.rotations),
            ("translation", "VEC3", self.translations),
            ("scale", "VEC3", self.scales),
        )
        return [
            (node, path, kind, array)
            for path, kind, arrays in kinds
            for node, array in arrays.items()
        ]


def write_animated(document: Document, clips: Sequence[MorphClip], out: Path) -> None:
    """Write a glTF file with more animations; those that it has stay.

    The JSON gets entries at the ends of its lists, a GLB's BIN chunk more bytes at its end: indices
    and offsets in the file keep their meaning, so everything in it, extensions too, is kept.

    Args:
        document: the file.
        clips: an animation each.
        out: ends in .gltf where the document is one, else in .glb or .vrm; a .gltf that refers to
            files beside it stays in its folder.

    Raises:
        BadInputError: another kind of file, or it cannot be written.
    """
    _check_name(document, out)
    if max(map(len, (clip.name for clip in clips)), default=0) > 255:
        raise BadInputError("The name of an animation is longer than 255 letters.")
    values = copy.deepcopy(document.json)
    with damage_named(document):
        added = _Addition(document, values)
        for clip in clips:
            added.add(clip)
        data = added.finish()
    text = json.dumps(values, separators=(",", ":")).encode()
    with atomic_write(out) as temporary:
        temporary.write_bytes(_glb(text, data, document.rest) if document.is_glb else text)


def _check_name(document: Document, out: Path) -> None:
    suffixes = (".glb", ".vrm") if document.is_glb else (".gltf",)
    if out.suffix.lower() not in suffixes:
        raise BadInputError(
            f"{document.path} cannot be written as {out.name}.",
            f"End it in {' or '.join(suffixes)}, as the character's file.",
        )
    entries = [*document.items("buffers"), *document.items("images")]
    uris = [entry.text("uri", "data:") for entry in entries]
    beside = [uri for uri in uris if not uri.startswith("data:")]
    if beside and out.resolve().parent != document.path.resolve().parent:
        raise BadInputError(
            f"{document.path} has {len(beside)} files beside it, which {out} would not find.",
            "Write it into the same folder, or export the character as .glb.",
        )


def _end_of_binary(document: Document) -> int:
    """Bytes of the BIN chunk that are taken; −1 where a buffer of its own is needed."""
    buffers = document.items("buffers")
    if not document.is_glb or (buffers and "uri" in buffers[0]):
        return -1
    return len(document.buffer(0)) if buffers else 0


class _Addition:
    """What is added to a document, as it grows."""

    def __init__(self, document: Document, values: dict[str, Any]) -> None:
        taken = _end_of_binary(document)
        self._document = document
        self._values = values
        self._appended = taken >= 0
        self._start = max(taken, 0)
        self._data = bytearray(-self._start % 4 if self._appended else 0)
        self._buffer = 0 if self._appended else len(values.get("buffers", []))

    def add(self, clip: MorphClip) -> None:
        """Add an animation.

        Raises:
            BadInputError: nothing moves in it, or a node that it moves is sheared.
        """
        if not clip.tracks:
            raise BadInputError(
                f"Nothing of the character moves in {clip.name!r}.", "Map its jaw or its mouth."
            )
        frames = max(len(array) for *_, array in clip.tracks)
        seconds = (np.arange(frames) / clip.fps).astype(np.float32)
        limits = {"min": [float(seconds[0])], "max": [float(seconds[-1])]}
        times = self._accessor(seconds, "SCALAR", **limits)
        samplers: list[dict[str, Any]] = []
        channels: list[dict[str, Any]] = []
        for node, path, kind, array in clip.tracks:
            if path != "weights":
                self._split_matrix(node)
            output = self._accessor(array.ravel() if kind == "SCALAR" else array, kind)
            channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
            samplers.append({"input": times, "output": output, "interpolation": "LINEAR"})
        animation = {"name": clip.name, "channels": channels, "samplers": samplers}
        self._values.setdefault("animations", []).append(animation)

    def _split_matrix(self, node: int) -> None:
        """Say a node's matrix by its parts: one with a matrix may not be animated."""
        entry = self._values["nodes"][node]
        if "matrix" in entry:
            rest = rest_transform(self._document.item("nodes", node))
            if rest is None:
                raise self._document.wrong(f"node {node} is sheared, and cannot be animated")
            del entry["matrix"]
            entry |= {name: values.tolist() for name, values in rest._asdict().items()}

    def _accessor(self, array: Float, kind: str, **limits: list[float]) -> int:
        data = np.ascontiguousarray(array, "<f4").tobytes()
        view = {
            "buffer": self._buffer,
            "byteOffset": self._start + len(self._data),
            "byteLength": len(data),
        }
        self._data += data
        views = self._values.setdefault("bufferViews", [])
        views.append(view)
        accessor = {
            "bufferView": len(views) - 1,
            "componentType": FLOAT,
            "count": len(array),
            "type": kind,
            **limits,
        }
        accessors = self._values.setdefault("accessors", [])
        accessors.append(accessor)
        return len(accessors) - 1

    def finish(self) -> bytes:
        """Name the bytes in the JSON; the new BIN chunk."""
        if self._appended:
            buffers = self._values.setdefault("buffers", [{}])
            buffers[0]["byteLength"] = self._start + len(self._data)
            return self._document.binary[: self._start] + bytes(self._data)
        uri = "data:application/octet-stream;base64," + base64.b64encode(self._data).decode()
        entry = {"byteLength": len(self._data), "uri": uri}
        self._values.setdefault("buffers", []).append(entry)
        return self._document.binary


def _glb(text: bytes, binary: bytes, rest: bytes) -> bytes:
    chunks = [(JSON_CHUNK, text + b" " * (-len(text) % 4))]
    if binary:
        chunks.append((BINARY_CHUNK, binary + bytes(-len(binary) % 4)))
    length = _HEADER + sum(_CHUNK_HEADER + len(data) for _, data in chunks) + len(rest)
    parts = [MAGIC, struct.pack("<II", 2, length)]
    for kind, data in chunks:
        parts += [struct.pack("<I", len(data)), kind, data]
    return b"".join([*parts, rest])


def turned(local: Double, above: Double, rotations: Double) -> Float:
    """A node's rotations against its parent, at which it is turned in the scene.

    Args:
        local: (4,) quaternion x, y, z, w of the node at rest.
        above: (3, 3) rotation of its parent in the scene.
        rotations: (T, 3) rotation vectors in the scene, radians.

    Returns:
        (T, 4) float32 quaternions, neighbours on the same side.
    """
    from scipy.spatial.transform import Rotation

    own = Rotation.from_matrix(above) * Rotation.from_quat(local)
    return turned_about_itself(local, own.inv().apply(rotations))


def turned_about_itself(local: Double, rotations: Double) -> Float:
    """A node's rotations against its parent, at which it is turned about its own axes.

    Args:
        local: (4,) quaternion x, y, z, w of the node at rest.
        rotations: (T, 3) rotation vectors in the node's axes, radians.

    Returns:
        (T, 4) float32 quaternions, neighbours on the same side.
    """
    from scipy.spatial.transform import Rotation

    quaternions = (Rotation.from_quat(local) * Rotation.from_rotvec(rotations)).as_quat()
    flips = np.cumprod(np.where((quaternions[1:] * quaternions[:-1]).sum(axis=1) < 0, -1, 1))
    quaternions[1:] *= flips[:, None]
    result: Float = quaternions.astype(np.float32)
    return result
