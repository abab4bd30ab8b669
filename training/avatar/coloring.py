# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours of a training avatar: the paper's network θ(ψ; z; v), or harmonics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from engine.avatar.color import ColorModel, MlpColor, ShColor, sh_basis

_Y0 = 0.28209479177387814
_EDGE = 0.02
"""Colours are held this far from 0 and 1 at the start, where a sigmoid has no slope left."""
_ENCODED = 0.4
"""Amplitude of the positional encoding in the latents at the start."""


def positional_encoding(places: Tensor, normals: Tensor, size: int) -> Tensor:
    """Positional encoding of Gaussians (Mildenhall et al. 2020, Eq. 4): a start for latents.

    Furrows and shadows of an expression depend on the position, shading on the normal. From random
    latents the network has to learn both for each Gaussian.

    Args:
        places: (G, 3) on the neutral head; the longest side of their box is 2.
        normals: (G, 3) unit vectors.
        size: how many numbers there is room for.

    Returns:
        (G, K), K ≤ size: the normal, then sines and cosines of the position; the first period is
        the head's size, each further one half of the one before.
    """
    parts = [normals]
    turns = torch.pi * places
    while sum(part.shape[1] for part in parts) + 6 <= size:
        parts += [turns.sin(), turns.cos()]
        turns = 2 * turns
    return _ENCODED * torch.cat(parts, 1)[:, :size]


class ColorHead(nn.Module):
    """What is shared by both kinds of colour.

    ``per_gaussian`` names the parameters that have a row for each Gaussian; they are added and
    removed with it.
    """

    per_gaussian: tuple[str, ...] = ()

    def forward(self, rows: Mapping[str, Tensor], expression: Tensor, view: Tensor) -> Tensor:
        """(G, 3) display-referred sRGB.

        Args:
            rows: the parameters of :attr:`per_gaussian`, (G, …) each.
            expression: (E,) ψ.
            view: (G, 3) unit vectors from the eye to each Gaussian in the head's own frame.
        """
        raise NotImplementedError

    def rows(
        self, colors: Tensor, places: Tensor, normals: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The rows that give Gaussians these colours from everywhere, at any expression.

        Args:
            colors: (G, 3) display-referred sRGB.
            places: (G, 3) on the neutral head; the longest side of its box is 2.
            normals: (G, 3) unit vectors of the neutral head.
            generator: of the random part.
        """
        raise NotImplementedError

    def model(self, rows: Mapping[str, Tensor]) -> ColorModel:
        """As the engine has it, a copy on the CPU but for the rows."""
        raise NotImplementedError


class NetworkColor(ColorHead):
    """The two-layer colour network.

    It starts as the identity: the first three numbers of z pass through three pairs of hidden
    units as the logits of the colour. All other units begin with outgoing weights of zero, and
    learn what expression and view change.

    Args:
        latent: D, size of z.
        hidden: width of the hidden layer.
        expressions: E.
        seed: of the initial weights.
    """

    per_gaussian = ("latents",)

    def __init__(self, latent: int, hidden: int, expressions: int, seed: int = 0) -> None:
        super().__init__()
        if latent < 3 or hidden < 6:
            raise ValueError((latent, hidden))
        generator = torch.Generator().manual_seed(seed)
        first = torch.randn(hidden, latent + 3 + expressions, generator=generator)
        first *= (2.0 / (latent + 3)) ** 0.5
        second = torch.zeros(3, hidden)
        first[:6] = 0.0
        # Logits are ten times as large as the other numbers of z.
        first[:, :3] *= 0.1
        for channel in range(3):
            for unit, sign in ((2 * channel, 1.0), (2 * channel + 1, -1.0)):
                first[unit, channel] = sign
                second[channel, unit] = sign
        self.latent = latent
        self.first_weight = nn.Parameter(first)
        self.first_bias = nn.Parameter(torch.zeros(hidden))
        self.second_weight = nn.Parameter(second)
        self.second_bias = nn.Parameter(torch.zeros(3))

    def forward(self, rows: Mapping[str, Tensor], expression: Tensor, view: Tensor) -> Tensor:
        """See :class:`ColorHead`."""
        D = self.latent
        bias = torch.addmv(self.first_bias, self.first_weight[:, D + 3 :], expression)
        colors: Tensor = _Network.apply(  # type: ignore[no-untyped-call]
            rows["latents"],
            view,
            self.first_weight[:, : D + 3],
            bias,
            self.second_weight,
            self.second_bias,
        )
        return colors

    def rows(
        self, colors: Tensor, places: Tensor, normals: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """See :class:`ColorHead`."""
        latents = 0.1 * torch.randn(len(colors), self.latent, generator=generator)
        latents[:, :3] = torch.logit(colors.clamp(_EDGE, 1 - _EDGE))
        known = positional_encoding(places, normals, self.latent - 3)
        latents[:, 3 : 3 + known.shape[1]] = known
        return {"latents": latents}

    def model(self, rows: Mapping[str, Tensor]) -> MlpColor:
        """See :class:`ColorHead`."""
        layers = (self.first_weight, self.first_bias, self.second_weight, self.second_bias)
        return MlpColor(rows["latents"], *(layer.detach().cpu().clone() for layer in layers))


class _Network(torch.autograd.Function):
    """Both layers with a backward over the Gaussians that were seen.

    In a picture about half of them are hidden or outside: their gradient is zero, and the hidden
    layer is worked out again for the others alone. The directions of view are constants: where a
    Gaussian lies is not learned from its sheen.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        latents: Tensor,
        view: Tensor,
        first: Tensor,
        bias: Tensor,
        second: Tensor,
        second_bias: Tensor,
    ) -> Tensor:
        inputs = torch.cat([latents, view], 1)
        hidden = torch.addmm(bias, inputs, first.T).relu_()
        colors = torch.addmm(second_bias, hidden, second.T).sigmoid_()
        ctx.save_for_backward(inputs, colors, first, bias, second)
        return colors

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, v_colors: Tensor) -> tuple[Tensor | None, ...]:
        inputs, colors, first, bias, second = ctx.saved_tensors
        seen = v_colors.any(1).nonzero()[:, 0]
        inputs, colors = inputs[seen], colors[seen]
        hidden = torch.addmm(bias, inputs, first.T).relu_()
        v_out = v_colors[seen] * colors * (1 - colors)
        v_hidden = (v_out @ second).mul_(hidden > 0)
        v_latents = v_colors.new_zeros(len(v_colors), first.shape[1] - 3)
        v_latents[seen] = v_hidden @ first[:, :-3]
        v_second = v_out.T @ hidden
        return v_latents, None, v_hidden.T @ inputs, v_hidden.sum(0), v_second, v_out.sum(0)


class HarmonicColor(ColorHead):
    """Spherical harmonics, as in 3D Gaussian Splatting; the expression changes nothing.

    Args:
        degree: 0 to 3.
    """

    per_gaussian = ("constant", "harmonics")

    def __init__(self, degree: int) -> None:
        super().__init__()
        self.degree = degree
        self.active = degree
        """Degree up to which the harmonics take part; the others' coefficients stay as they are."""

    def forward(self, rows: Mapping[str, Tensor], expression: Tensor, view: Tensor) -> Tensor:
        """See :class:`ColorHead`."""
        del expression
        colors = 0.5 + _Y0 * rows["constant"]
        if self.active:
            basis = sh_basis(view, self.active)[:, 1:]
            harmonics = rows["harmonics"][:, : basis.shape[1]]
            colors = colors + torch.einsum("gk,gkc->gc", basis, harmonics)
        return colors.clamp(min=0)

    def rows(
        self, colors: Tensor, places: Tensor, normals: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """See :class:`ColorHead`."""
        del places, normals, generator
        return {
            "constant": (colors - 0.5) / _Y0,
            "harmonics": torch.zeros(len(colors), (self.degree + 1) ** 2 - 1, 3),
        }

    def model(self, rows: Mapping[str, Tensor]) -> ShColor:
        """See :class:`ColorHead`."""
        return ShColor(torch.cat([rows["constant"][:, None], rows["harmonics"]], 1))
