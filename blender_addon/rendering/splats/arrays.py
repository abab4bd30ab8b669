# SPDX-License-Identifier: GPL-3.0-or-later
"""The Gaussians of an avatar as the shaders need them. No bpy.

What does not change from frame to frame is packed once into the texels of four float textures of
:data:`WIDTH` columns, a Gaussian a texel (colours: several texels, one below the other).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engine.core.arrays import Float, Index
from ....engine.core.errors import BadInputError
from ....engine.core.soft_range import softly_clamped
from ....engine.core.tensor_arrays import read_tensor_arrays

WIDTH = 512
"""Texels of a row."""

DEFAULT_FILE = Path(__file__).parents[3] / "engine" / "assets" / "default_avatar.safetensors"
FORMATS = ("gaussianspeech-avatar-2", "gaussianspeech-avatar-1")
REMEDY = "Choose a file that a training of this project wrote."
_MAX_HIDDEN = 256
_MAX_LATENT = 128


@dataclass(frozen=True, eq=False)
class NetworkColor:
    """The colour network θ(ψ; z; v), see docs/avatar-format.md.

    Attributes:
        latents: (G, D).
        first_weight: (H, D + 3 + E).
        first_bias: (H,).
        second_weight: (3, H).
        second_bias: (3,).
        trained: (2, E) lowest and highest ψ that it was trained on; ``None`` where unknown.
    """

    latents: Float
    first_weight: Float
    first_bias: Float
    second_weight: Float
    second_bias: Float
    trained: Float | None = None

    @property
    def texels(self) -> int:
        """Texels a Gaussian takes."""
        return -(-self.latents.shape[1] // 4)

    @property
    def expression_size(self) -> int:
        """E."""
        return self.first_weight.shape[1] - self.latents.shape[1] - 3

    def per_gaussian(self) -> Float:
        """(G, 4·texels)."""
        return _padded(self.latents, 4 * self.texels)

    def bias(self, expression: Float | None) -> Float:
        """(H,) of a frame: the expression is the same for all Gaussians.

        Args:
            expression: (E,) ψ; ``None`` for neutral.
        """
        if expression is None:
            return self.first_bias
        if self.trained is not None and self.trained.shape == (2, len(expression)):
            expression = softly_clamped(expression, *self.trained)
        part = self.first_weight[:, self.latents.shape[1] + 3 :] @ expression
        return (self.first_bias + part).astype(np.float32)

    def weights(self) -> Float:
        """(H, texels + 2, 4): of the latents, of the direction, and of the second layer."""
        D, H = self.latents.shape[1], len(self.first_bias)
        latent = _padded(self.first_weight[:, :D], 4 * self.texels).reshape(H, -1, 4)
        view = _padded(self.first_weight[:, D : D + 3], 4)[:, None]
        return np.concatenate([latent, view, _padded(self.second_weight.T, 4)[:, None]], axis=1)


@dataclass(frozen=True, eq=False)
class HarmonicColor:
    """Spherical harmonics, see docs/avatar-format.md.

    Attributes:
        coefficients: (G, K, 3), K of 1, 4, 9 and 16.
    """

    coefficients: Float

    @property
    def texels(self) -> int:
        """Texels a Gaussian takes: K colours of three numbers, four numbers a texel."""
        return -(-3 * self.coefficients.shape[1] // 4)

    def per_gaussian(self) -> Float:
        """(G, 4·texels)."""
        return _padded(self.coefficients.reshape(len(self.coefficients), -1), 4 * self.texels)


@dataclass(frozen=True, eq=False)
class AvatarArrays:
    """An avatar, ready for the GPU.

    Attributes:
        binding: (G,) triangle of each Gaussian.
        positions: (G, 3) in the triangle's frame, in units of its size.
        scales: (G, 3) likewise.
        quats: (G, 4) unit wxyz.
        opacities: (G,).
        color: the colour model.
        faces_sha256: of the head's triangles.
        rank: (G,) Gaussians by falling contribution: opacity times size.
    """

    binding: Index
    positions: Float
    scales: Float
    quats: Float
    opacities: Float
    color: NetworkColor | HarmonicColor
    faces_sha256: str
    rank: Index

    @property
    def count(self) -> int:
        """G."""
        return len(self.binding)

    @property
    def rows(self) -> int:
        """Rows of texels."""
        return -(-self.count // WIDTH)

    def corners(self, faces: Index) -> Float:
        """(G, 4) the triangle's vertices, and the opacity.

        Raises:
            BadInputError: the avatar was made for other triangles.
        """
        if topology_sha256(faces) != self.faces_sha256:
            raise BadInputError(
                "The avatar was made for a mesh with other triangles.",
                "Bind the avatar to its own head.",
            )
        return np.concatenate([faces[self.binding], self.opacities[:, None]], 1).astype(np.float32)


def topology_sha256(faces: Index) -> str:
    """SHA-256 of (F, 3) triangles as little-endian int32, as avatar files name them."""
    return hashlib.sha256(np.ascontiguousarray(faces, "<i4").tobytes()).hexdigest()


def texels(values: Float, rows: int, deep: int = 1) -> Float:
    """Numbers of Gaussians in the order of a texture's texels.

    Args:
        values: (G, N), N at most 4·deep.
        rows: of :attr:`AvatarArrays.rows`.
        deep: texels a Gaussian takes, in rows below each other.

    Returns:
        (rows · deep, WIDTH, 4) float32, zeros where there is no Gaussian.
    """
    full = np.zeros((rows * WIDTH, 4 * deep), np.float32)
    full[: len(values), : values.shape[1]] = values
    split = full.reshape(rows, WIDTH, deep, 4).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(split).reshape(rows * deep, WIDTH, 4)


def load_arrays(source: str) -> AvatarArrays:
    """An avatar file, kept as long as it does not change.

    Args:
        source: ``"default"``, or the path of a ``.safetensors`` file.

    Raises:
        BadInputError: it cannot be read, or drawn.
    """
    path = DEFAULT_FILE if source == "default" else Path(source)
    if path.suffix.lower() != ".safetensors":
        raise BadInputError(f"{path.name} is drawn by the engine alone.", REMEDY)
    try:
        version = path.stat().st_mtime_ns
    except OSError as error:
        raise BadInputError(f"There is no avatar file {path}.", "Check the path.") from error
    return _load(str(path), version)


@lru_cache(maxsize=8)
def _load(path: str, _version: int) -> AvatarArrays:
    about, tensors = read_tensor_arrays(path, FORMATS, "GaussianSpeech avatar", REMEDY)
    try:
        arrays = AvatarArrays(
            binding=tensors["binding"].astype(np.int32),
            positions=tensors["positions"],
            scales=np.exp(tensors["log_scales"]),
            quats=tensors["quats"] / np.linalg.norm(tensors["quats"], axis=1, keepdims=True),
            opacities=1 / (1 + np.exp(-tensors["opacity_logits"])),
            color=_color(str(about["color"]), tensors),
            faces_sha256=str(about["faces_sha256"]),
            rank=np.zeros(0, np.int32),
        )
    except KeyError as error:
        raise BadInputError(f"{path} lacks {error}.", REMEDY) from error
    G = arrays.count
    shapes = (arrays.positions, arrays.scales, arrays.quats, arrays.opacities)
    if [value.shape for value in shapes] != [(G, 3), (G, 3), (G, 4), (G,)] or (
        len(arrays.color.per_gaussian()) != G
    ):
        raise BadInputError(f"The tensors of {path} do not fit each other.", REMEDY)
    size = arrays.opacities * np.sort(arrays.scales, axis=1)[:, 1:].prod(axis=1)
    object.__setattr__(arrays, "rank", np.argsort(-size, kind="stable").astype(np.int32))
    return arrays


def _color(kind: str, tensors: Mapping[str, NDArray[Any]]) -> NetworkColor | HarmonicColor:
    if kind == "sh":
        harmonics = HarmonicColor(tensors["color.coefficients"])
        if harmonics.coefficients.shape[1:] not in ((1, 3), (4, 3), (9, 3), (16, 3)):
            raise BadInputError("The avatar's harmonics are of no degree 0 to 3.", REMEDY)
        return harmonics
    if kind != "mlp":
        raise BadInputError(f"The avatar has colours of the unknown kind {kind[:40]!r}.", REMEDY)
    names = ("latents", "first_weight", "first_bias", "second_weight", "second_bias")
    network = NetworkColor(
        *(tensors[f"color.{name}"] for name in names), tensors.get("head.expression_range")
    )
    H, D = len(network.first_bias), network.latents.shape[-1]
    if H > _MAX_HIDDEN or D > _MAX_LATENT or network.first_weight.shape[0] != H:
        raise BadInputError(
            f"A colour network of {D} inputs and {H} hidden units is drawn by the engine alone.",
            REMEDY,
        )
    return network


def _padded(values: Float, width: int) -> Float:
    result = np.zeros((len(values), width), np.float32)
    result[:, : values.shape[1]] = values
    return result
