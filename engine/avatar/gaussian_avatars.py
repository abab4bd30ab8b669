# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianAvatars' ``point_cloud.ply`` (Qian et al., CVPR 2024): avatars in and out.

All values are float32 and lie in the frames of the head's triangles, before activation: logarithm
of the scale, logit of the opacity, quaternion wxyz of any norm, index of the triangle as a float.
Harmonics of degree above 0 are stored channel by channel: ``f_rest_{15·c + k − 1}`` is coefficient
k ≥ 1 of channel c at degree 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from engine.avatar.color import ShColor
from engine.avatar.gaussian_avatar import GaussianAvatar
from engine.avatar.ply import read_columns, read_header, write_columns
from engine.avatar.sh_fit import ShFit, fit_sh
from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.heads.carried_head import FLAME_PARAM
from engine.heads.flame_param import is_flame, load_flame_param
from engine.heads.head import Head
from engine.heads.identity import SAME, Identity
from engine.heads.topology import topology_hash

DEGREE = 3
"""Degree of the harmonics in the files; GaussianAvatars' own code reads no other."""
_POSITION = ("x", "y", "z")
_DC = ("f_dc_0", "f_dc_1", "f_dc_2")
_SHAPE = ("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3")
_BINDING = "binding_0"
_REST_COUNTS = {3 * ((degree + 1) ** 2 - 1) for degree in range(DEGREE + 1)}
_LARGEST_BINDING = 2**24
"""float32 holds every whole number up to here."""
_MARK = "gaussianspeech head"
_SAME_SHAPE = 1e-3
"""Standard deviations of FLAME's identities."""

SPLAT_FIELDS = (
    *_POSITION,
    *("nx", "ny", "nz"),
    *_DC,
    *(f"f_rest_{number}" for number in range(max(_REST_COUNTS))),
    *_SHAPE,
)
"""Fields of 3D Gaussian Splatting's ``point_cloud.ply`` at degree 3, in their order."""
FIELDS = (*SPLAT_FIELDS, _BINDING)
"""Fields of GaussianAvatars'."""


def splat_columns(
    positions: torch.Tensor,
    coefficients: torch.Tensor,
    opacity_logits: torch.Tensor,
    log_scales: torch.Tensor,
    quats: torch.Tensor,
) -> Float:
    """The columns of :data:`SPLAT_FIELDS`; normals are zero, as in every such file.

    Args:
        positions: (G, 3).
        coefficients: (G, (degree + 1)², 3) harmonics of degree 0 to 3; the rest is filled with 0.
        opacity_logits: (G,).
        log_scales: (G, 3).
        quats: (G, 4) wxyz.
    """
    G, K = coefficients.shape[:2]
    harmonics = torch.zeros(G, (DEGREE + 1) ** 2, 3)
    harmonics[:, :K] = coefficients.detach()
    parts = (
        positions,
        torch.zeros(G, 3),
        harmonics[:, 0],
        harmonics[:, 1:].transpose(1, 2).reshape(G, -1),
        opacity_logits[:, None],
        log_scales,
        quats,
    )
    columns: Float = torch.cat([part.detach().cpu().float() for part in parts], 1).numpy()
    return columns


def save_point_cloud(avatar: GaussianAvatar, path: str | Path) -> ShFit:
    """Write an avatar as GaussianAvatars does; a comment in the header names the head's mesh.

    Args:
        avatar: the avatar; harmonics are written as they are, other colours are fitted, those that
            follow the expression at the neutral one.
        path: final name.

    Returns:
        The colours as written, with the error of the fit.

    Raises:
        BadInputError: the head's mesh has too many triangles, or the file cannot be written.
    """
    if len(avatar.faces) > _LARGEST_BINDING:
        raise BadInputError(
            f"Head '{avatar.head}' has {len(avatar.faces):,} triangles; a point_cloud.ply can "
            f"number {_LARGEST_BINDING:,}.",
            "Save the avatar as .safetensors.",
        )
    fit = fit_sh(avatar.color, degree=DEGREE)
    columns = splat_columns(
        avatar.positions,
        fit.color.coefficients,
        avatar.opacity_logits,
        avatar.log_scales,
        avatar.quats,
    )
    binding = avatar.binding.cpu().numpy().astype(np.float32)[:, None]
    # The digest alone: an id may hold what a line of a header cannot.
    mark = f"{_MARK} {topology_hash(avatar.faces)}"
    write_columns(path, FIELDS, np.concatenate([columns, binding], 1), [mark])
    return fit


def load_point_cloud(path: str | Path, head: Head) -> GaussianAvatar:
    """Read an avatar of GaussianAvatars or of :func:`save_point_cloud`.

    Args:
        path: ``point_cloud.ply``.
        head: the head it is bound to; for GaussianAvatars' own, FLAME 2023 with teeth.

    Raises:
        BadInputError: not such a file, damaged, or bound to triangles that the head does not have.
    """
    path = Path(path)
    header = read_header(path)
    if _BINDING not in header.names:
        raise BadInputError(
            f"{path} has no {_BINDING}: these splats are a scene, not bound to a head.",
            "Choose the point_cloud.ply of a GaussianAvatars training.",
        )
    _check_mark(header.comments, head, path)
    rest = _rest_fields(header.names, path)
    names = (*_POSITION, *_DC, *rest, *_SHAPE, _BINDING)
    columns = torch.from_numpy(read_columns(path, header, names))
    sizes = [3, 3, len(rest), 1, 3, 4, 1]
    positions, dc, others, opacity, scales, quats, binding = torch.split(columns, sizes, 1)
    if not header.count:
        raise BadInputError(f"{path} holds no splats.", "Export the avatar again.")
    higher = others.reshape(header.count, 3, len(rest) // 3).transpose(1, 2)
    return GaussianAvatar(
        identity=_identity(path, head),
        faces=torch.from_numpy(np.array(head.faces, np.int32)),
        binding=_binding(binding[:, 0], head, path),
        positions=positions.contiguous(),
        log_scales=scales.contiguous(),
        quats=quats.contiguous(),
        opacity_logits=opacity[:, 0].contiguous(),
        color=ShColor(_without_empty_bands(torch.cat([dc[:, None], higher], 1))),
        provenance={"source": path.name},
    )


def _identity(path: Path, head: Head) -> Identity:
    """That of the ``flame_param.npz`` beside it; of files without one it is the head given.

    Raises:
        BadInputError: the head is FLAME of another identity than those parameters.
    """
    beside = path.with_name(FLAME_PARAM)
    if not beside.is_file() or not is_flame(head):
        return Identity.of(head)
    param, source = load_flame_param(beside), head.source
    shape = np.zeros_like(param.shape)
    shape[: len(source.shape)] = source.shape
    static = np.zeros_like(param.static_offset[0])
    if len(source.static_offset):
        static = source.static_offset
    apart = np.abs(param.shape - shape).max(initial=0.0)
    moved = 0.0
    if static.shape == param.static_offset[0].shape:
        moved = float(np.abs(param.static_offset[0] - static).max(initial=0.0))
    if apart > _SAME_SHAPE or moved > SAME:
        raise BadInputError(
            f"{path} is the avatar of the person in {beside.name}; head '{head.id}' is another: "
            f"shape coefficients differ by up to {apart:.2g}, static offsets by "
            f"{1000 * moved:.1f} mm.",
            f"Leave the head out, or give {beside.name} as the head.",
        )
    return Identity.of(head)


def _rest_fields(names: Sequence[str], path: Path) -> list[str]:
    count = sum(name.startswith("f_rest_") for name in names)
    if count not in _REST_COUNTS:
        raise BadInputError(
            f"{path} has {count} f_rest fields; harmonics of degree 0 to {DEGREE} have "
            f"{', '.join(map(str, sorted(_REST_COUNTS)))}.",
            "Export it again.",
        )
    return [f"f_rest_{number}" for number in range(count)]


def _without_empty_bands(coefficients: torch.Tensor) -> torch.Tensor:
    """Only the degrees in use: bands of +0 cost time and add nothing."""
    degree = round(coefficients.shape[1] ** 0.5) - 1
    # By the bits, so that a −0 is kept and a file comes back the same.
    bits = coefficients.view(torch.int32)
    while degree and not bits[:, degree**2 : (degree + 1) ** 2].any():
        degree -= 1
    return coefficients[:, : (degree + 1) ** 2].contiguous()


def _binding(values: torch.Tensor, head: Head, path: Path) -> torch.Tensor:
    low, high = float(values.min()), float(values.max())
    if bool((values != values.round()).any()) or low < 0:
        raise BadInputError(f"{path} holds a {_BINDING} that numbers no triangle.", "Export again.")
    if high >= len(head.faces):
        raise BadInputError(
            f"{path} is bound to triangle {high:,.0f}; head '{head.id}' has "
            f"{len(head.faces):,} triangles.",
            "Load the head it was made for: FLAME with teeth (10,144 triangles) for the avatars "
            "of GaussianAvatars.",
        )
    return values.to(torch.int32)


def is_marked_for(comments: Sequence[str], head: Head) -> bool:
    """Whether the comments of a file of our own say that it is for this head's mesh."""
    return f"{_MARK} {_mesh(head)}" in comments


def _check_mark(comments: Sequence[str], head: Head, path: Path) -> None:
    """See that a file of our own is put on the mesh it was made for; others carry no mark."""
    marked = any(comment.startswith(_MARK) for comment in comments)
    if marked and not is_marked_for(comments, head):
        raise BadInputError(
            f"{path} is an avatar of another mesh than head '{head.id}'.",
            "Load the head it was exported for.",
        )


def _mesh(head: Head) -> str:
    return topology_hash(torch.from_numpy(np.array(head.faces, np.int32)))
