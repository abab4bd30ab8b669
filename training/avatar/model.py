# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar that learns: the engine's avatar with its numbers as parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from engine.avatar.binding import bind_to_triangles, triangle_frames
from engine.avatar.color import MlpColor, ShColor
from engine.avatar.gaussian_avatar import GaussianAvatar
from engine.heads.head import Head
from engine.heads.identity import Identity
from engine.splatting.backend import Splats
from training.avatar.coloring import ColorHead, HarmonicColor, NetworkColor
from training.avatar.config import AvatarSettings

SHAPE = ("positions", "log_scales", "quats", "opacity_logits")
"""Parameters of shape and place, a row for each Gaussian."""


class TrainableAvatar(nn.Module):
    """G Gaussians bound to a head's triangles, with parameters before activation.

    Training adds and removes Gaussians (:mod:`training.avatar.densify_ops`); :attr:`gaussians`
    holds every parameter that has a row for each.

    Args:
        head: what it is bound to.
        color: the colour model.
        binding: (G,) int32.
        rows: the parameters by name, (G, …) each.

    Attributes:
        binding: (G,) int32, the triangle of each.
        faces: (F, 3) int32.
        ever_visible: (G,) bool, whether the loss of any view ever had a gradient for a Gaussian, or
            for the one that it was cloned or split from.
    """

    binding: Tensor
    faces: Tensor
    ever_visible: Tensor

    def __init__(
        self, head: Head, color: ColorHead, binding: Tensor, rows: Mapping[str, Tensor]
    ) -> None:
        super().__init__()
        self.head = head
        self.color = color
        self.register_buffer("binding", binding.to(torch.int32))
        self.register_buffer("ever_visible", torch.zeros(len(binding), dtype=torch.bool))
        self.register_buffer("faces", torch.from_numpy(np.array(head.faces, np.int32)))
        self.gaussians = nn.ParameterDict(
            {
                name: nn.Parameter(rows[name].clone().float())
                for name in (*SHAPE, *color.per_gaussian)
            }
        )

    @property
    def count(self) -> int:
        """G."""
        return len(self.binding)

    @property
    def positions(self) -> Tensor:
        """(G, 3) in the triangle's frame, in units of its size."""
        return cast("Tensor", self.gaussians["positions"])

    @property
    def log_scales(self) -> Tensor:
        """(G, 3) logarithms of the standard deviations, same units."""
        return cast("Tensor", self.gaussians["log_scales"])

    def note_visible(self) -> None:
        """Take those whose opacity has a gradient now into :attr:`ever_visible`."""
        gradient = self.gaussians["opacity_logits"].grad
        if gradient is not None:
            self.ever_visible |= gradient != 0

    @torch.no_grad()
    def no_finer(self, least: Tensor) -> None:
        """Make those in :attr:`ever_visible` as large as pictures can tell.

        Args:
            least: (F,) standard deviations by triangle, in units of its size.
        """
        sizes = self.log_scales
        floor = least.log()[self.binding.long(), None].expand_as(sizes)
        raised = torch.where(self.ever_visible[:, None], torch.maximum(sizes, floor), sizes)
        sizes.copy_(raised)

    def splats(
        self, vertices: Tensor, expression: Tensor, viewpoint: Tensor, head_matrix: Tensor
    ) -> Splats:
        """The splats of one timestep for one camera, differentiable by all parameters.

        Args:
            vertices: (V, 3) of the head in world space, its pose included.
            expression: (E,) ψ.
            viewpoint: (3,) of the camera in world space.
            head_matrix: (4, 4) head space to world; the view's direction is taken in head space.
        """
        means, quats, scales = self.bind(vertices)
        with torch.no_grad():
            rays = (means - viewpoint) @ torch.linalg.inv(head_matrix[:3, :3]).T
            view = torch.nn.functional.normalize(rays, dim=-1)
        return Splats(
            means,
            quats,
            scales,
            torch.sigmoid(self.gaussians["opacity_logits"]),
            self.colors(expression, view),
        )

    def colors(self, expression: Tensor, view: Tensor, rows: Tensor | None = None) -> Tensor:
        """(G, 3) sRGB for ψ (E,) and directions of view (G, 3); of some rows where given."""
        values = {name: self.gaussians[name] for name in self.color.per_gaussian}
        if rows is not None:
            values = {name: value[rows] for name, value in values.items()}
        colors: Tensor = self.color(values, expression, view)
        return colors

    def bind(self, vertices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Means (G, 3), quaternions (G, 4) and scales (G, 3) on (V, 3) vertices in world space."""
        return _bind(vertices, self.faces, self.binding, dict(self.gaussians.items()))

    def avatar(
        self,
        provenance: Mapping[str, str] | None = None,
        identity: Identity | None = None,
        light: Tensor | None = None,
    ) -> GaussianAvatar:
        """A copy as the engine has it, on the CPU.

        Args:
            provenance: how it was made.
            identity: of its head, with what was trained on; of the head alone by default.
            light: (V, 3) of the capture, where it is known.
        """
        values = {name: value.detach().cpu().clone() for name, value in self.gaussians.items()}
        color = self.color.model({name: values[name] for name in self.color.per_gaussian})
        return GaussianAvatar(
            identity=identity or Identity.of(self.head),
            faces=self.faces.cpu(),
            binding=self.binding.cpu().clone(),
            color=color,
            light=light,
            provenance=dict(provenance or {}),
            **{name: values[name] for name in SHAPE},
        )


def new_color(settings: AvatarSettings, head: Head) -> ColorHead:
    """An untrained colour model."""
    if settings.color == "sh":
        return HarmonicColor(settings.degree)
    return NetworkColor(settings.latent, settings.hidden, len(head.expression_names), settings.seed)


@torch.no_grad()
def first_colors(
    color: ColorHead,
    head: Head,
    binding: Tensor,
    shape: Mapping[str, Tensor],
    colors: Tensor,
    settings: AvatarSettings,
) -> dict[str, Tensor]:
    """The rows of a colour model that nothing has been learned of yet.

    Args:
        color: the model.
        head: what the Gaussians are bound to.
        binding: (G,) triangles.
        shape: parameters of :data:`SHAPE`, on the CPU.
        colors: (G, 3) display-referred sRGB from everywhere, at any expression.
        settings: the seed.
    """
    template = torch.from_numpy(head.template)
    faces = torch.from_numpy(np.array(head.faces, np.int32))
    means, _, _ = _bind(template, faces, binding, shape)
    low, high = template.amin(0), template.amax(0)
    places = (2 * means - low - high) / (high - low).max()
    normals = triangle_frames(template, faces).rotations[binding.long(), :, 1]
    generator = torch.Generator().manual_seed(settings.seed)
    return color.rows(colors, places, normals, generator)


def _bind(
    vertices: Tensor, faces: Tensor, binding: Tensor, shape: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    local = torch.nn.functional.normalize(shape["quats"], dim=-1)
    scales = shape["log_scales"].exp()
    return bind_to_triangles(vertices, faces, binding, shape["positions"], local, scales)


def can_resume_colors(avatar: GaussianAvatar, settings: AvatarSettings, head: Head) -> bool:
    """Whether an avatar has a colour network as the settings want it."""
    given = avatar.color
    return (
        settings.color == "mlp"
        and isinstance(given, MlpColor)
        and given.latents.shape[1] == settings.latent
        and len(given.first_bias) == settings.hidden
        and given.expression_size == len(head.expression_names)
    )


def from_avatar(avatar: GaussianAvatar, settings: AvatarSettings, head: Head) -> TrainableAvatar:
    """Continue from an avatar; colours of another kind or size are taken over as constants."""
    color = new_color(settings, head)
    given = avatar.color
    shape = {name: getattr(avatar, name) for name in SHAPE}
    if can_resume_colors(avatar, settings, head) and isinstance(given, MlpColor):
        names = ("first_weight", "first_bias", "second_weight", "second_bias")
        color.load_state_dict({name: getattr(given, name) for name in names})
        rows = {"latents": given.latents}
    elif isinstance(given, ShColor) and isinstance(color, HarmonicColor):
        constant = given.coefficients[:, 0]
        harmonics = torch.zeros(given.count, (color.degree + 1) ** 2 - 1, 3)
        shared = min(harmonics.shape[1], given.coefficients.shape[1] - 1)
        harmonics[:, :shared] = given.coefficients[:, 1 : 1 + shared]
        rows = {"constant": constant, "harmonics": harmonics}
    else:
        with torch.no_grad():
            rows = first_colors(
                color, head, avatar.binding, shape, given.colors(None, None), settings
            )
    return TrainableAvatar(head, color, avatar.binding, shape | rows)
