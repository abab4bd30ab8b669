# SPDX-License-Identifier: GPL-3.0-or-later
"""What an avatar's file says of light: the light of its capture, and how far its Gaussians reach.

Standard library and numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engine.core.arrays import Float
from ....engine.core.tensor_arrays import read_tensor_arrays
from ..splats.arrays import DEFAULT_FILE, FORMATS, REMEDY

EVEN_LIGHT = 1.0
"""Radiance of a white surface that is assumed where an avatar's file does not say."""

_DARKEST = 0.1
"""Of the mean light: no vertex is taken to be darker, for what is divided by it would glow."""
_REACH = (0.0006, 0.06)
"""Metres: least and most that a receiver stands off from its mesh."""
_OUTERMOST = 0.85
"""Share of a vertex's Gaussians that the receiver encloses; lashes stand out alone."""
_OPAQUE = 0.2
_SMOOTHING = 4
"""Times that the reach is averaged with the neighbours'."""


@dataclass(frozen=True, eq=False)
class StoredLight:
    """Of an avatar, by the vertices of its head.

    Attributes:
        light: (V, 3) scene-linear radiance of a white diffuse surface in the light of the capture.
        known: whether the file says so; else the light is even.
        reach: (V,) metres along the normal to where the Gaussians end.
    """

    light: Float
    known: bool
    reach: Float


def avatar_file(source: str) -> Path:
    """The file of an avatar, as the engine names it."""
    return DEFAULT_FILE if source == "default" else Path(source)


def stored_light(source: str, vertices: Float, faces: NDArray[np.int32]) -> StoredLight:
    """What an avatar says of light; a file in another format says nothing.

    Args:
        source: ``"default"`` or a path.
        vertices: (V, 3) neutral face, head space, metres.
        faces: (F, 3).

    Raises:
        BadInputError: the file cannot be read.
    """
    path, V = avatar_file(source), len(vertices)
    tensors: dict[str, NDArray[Any]] = {}
    if path.suffix.lower() == ".safetensors":
        tensors = _tensors(str(path), path.stat().st_mtime_ns if path.is_file() else 0)
    light = tensors.get("light.vertices")
    known = light is not None and light.shape == (V, 3)
    if not known or light is None:
        light = np.full((V, 3), EVEN_LIGHT, np.float32)
    light = np.maximum(light, _DARKEST * light.mean(axis=0))
    fits = "binding" in tensors and int(tensors["binding"].max(initial=0)) < len(faces)
    reach = _reach(tensors, vertices, faces) if fits else np.full(V, _REACH[0], np.float32)
    return StoredLight(light.astype(np.float32), known, reach)


@lru_cache(maxsize=4)
def _tensors(path: str, _version: int) -> dict[str, NDArray[Any]]:
    return read_tensor_arrays(path, FORMATS, "GaussianSpeech avatar", REMEDY)[1]


def _reach(tensors: dict[str, NDArray[Any]], vertices: Float, faces: NDArray[np.int32]) -> Float:
    """(V,) metres along each vertex's normal that most of the Gaussians about it do not exceed."""
    opaque = 1 / (1 + np.exp(-tensors["opacity_logits"])) > _OPAQUE
    binding = tensors["binding"][opaque]
    centres = _centres(tensors["positions"][opaque], binding, vertices, faces)
    normals = _normals(vertices, faces)
    # A Gaussian counts for the nearest corner of its own triangle: the nearest vertex of the head
    # would be another 0.02 mm on average, for a search on Blender's main thread.
    corners = faces[binding]
    distance = np.linalg.norm(vertices[corners] - centres[:, None], axis=2)
    nearest = corners[np.arange(len(corners)), distance.argmin(axis=1)]
    heights = ((centres - vertices[nearest]) * normals[nearest]).sum(axis=1)
    order = np.lexsort((heights, nearest))
    counts = np.bincount(nearest, minlength=len(vertices))
    last = np.minimum((counts * _OUTERMOST).astype(int), np.maximum(counts - 1, 0))
    chosen = order[np.minimum(np.cumsum(counts) - counts + last, len(order) - 1)]
    reach = np.where(counts > 0, heights[chosen], 0.0)
    return np.clip(_smoothed(reach, counts > 0, faces), *_REACH).astype(np.float32)


def _centres(
    positions: Float, binding: NDArray[Any], vertices: Float, faces: NDArray[np.int32]
) -> Float:
    """(G, 3) in head space; the triangles' frames are those of docs/avatar-format.md."""
    v0, v1, v2 = (vertices[faces[binding, corner]] for corner in range(3))
    a0 = _unit(v1 - v0)
    a1 = _unit(np.cross(a0, v2 - v0))
    a2 = -_unit(np.cross(a1, a0))
    size = np.linalg.norm(v1 - v0, axis=1) + np.abs((a2 * (v2 - v0)).sum(axis=1))
    frame = np.stack([a0, a1, a2], axis=2)
    moved = np.einsum("gij,gj->gi", frame, positions) * (size / 2)[:, None]
    return (moved + (v0 + v1 + v2) / 3).astype(np.float32)


def _normals(vertices: Float, faces: NDArray[np.int32]) -> Float:
    """(V, 3) means of the triangles', by their areas."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], np.cross(b - a, c - a))
    return _unit(normals)


def _smoothed(values: Float, known: NDArray[np.bool_], faces: NDArray[np.int32]) -> Float:
    """(V,) averaged over the mesh; what is not known takes its neighbours' mean."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    weight = known.astype(np.float64)
    values = np.where(known, values, 0.0)
    for _ in range(_SMOOTHING):
        total, share = values * weight, weight.copy()
        for start, end in ((0, 1), (1, 0)):
            np.add.at(total, ends[:, start], (values * weight)[ends[:, end]])
            np.add.at(share, ends[:, start], weight[ends[:, end]])
        values = total / np.maximum(share, 1e-9)
        weight = (share > 0).astype(np.float64)
    return values


def _unit(vectors: NDArray[Any]) -> NDArray[Any]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-20)
