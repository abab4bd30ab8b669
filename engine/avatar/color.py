# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours of an avatar's Gaussians: one protocol, a model per way of making them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch

from engine.avatar.kernels import color_mlp
from engine.core.errors import BadInputError
from engine.splatting.cpu.threads import compilable


class ColorModel(Protocol):
    """Colours of G Gaussians from the expression and the direction of view.

    Attributes:
        kind: identifier in files.
    """

    kind: ClassVar[str]

    @property
    def count(self) -> int:
        """G."""
        ...

    def colors(
        self, expression: torch.Tensor | None, directions: torch.Tensor | None
    ) -> torch.Tensor:
        """Colours of one frame.

        Args:
            expression: (E,) the expression weights ψ; ``None`` is the neutral face.
            directions: (G, 3) unit vectors from the eye to each Gaussian in the head's own frame,
                so that an avatar that is turned in the scene keeps its look, or (C, G, 3) from
                several eyes; ``None`` leaves the view-dependent part out.

        Returns:
            (G, 3) display-referred sRGB, or (C, G, 3).
        """
        ...

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a file has to keep."""
        ...

    def to(self, device: torch.device | str) -> ColorModel:
        """The same colours worked out on another device."""
        ...


@dataclass(frozen=True, eq=False)
class ShColor:
    """Spherical harmonics, as 3D Gaussian Splatting; the expression changes nothing.

    Attributes:
        coefficients: (G, (degree + 1)², 3), degree 0 to 3; colour = ½ + Σ cᵢ·Yᵢ(v), not below 0.
    """

    coefficients: torch.Tensor
    kind: ClassVar[str] = "sh"

    def __post_init__(self) -> None:
        """Check the shape.

        Raises:
            BadInputError: not a number of coefficients that degrees 0 to 3 have.
        """
        shape = tuple(self.coefficients.shape)
        if len(shape) != 3 or shape[1] not in {1, 4, 9, 16} or shape[2] != 3:
            raise BadInputError(f"Spherical harmonics of shape {shape} are of no degree 0 to 3.")

    @classmethod
    def constant(cls, colors: torch.Tensor) -> ShColor:
        """Degree 0: the same (G, 3) colours from everywhere."""
        return cls(((colors - 0.5) / _Y0)[:, None])

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> ShColor:
        """From what :meth:`tensors` gave."""
        return cls(tensors["coefficients"])

    @property
    def count(self) -> int:
        """G."""
        return len(self.coefficients)

    @property
    def degree(self) -> int:
        """0 to 3."""
        return math.isqrt(self.coefficients.shape[1]) - 1

    def colors(
        self,
        expression: torch.Tensor | None = None,  # noqa: ARG002 - the protocol's argument
        directions: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """See :class:`ColorModel`."""
        if directions is None or self.degree == 0:
            plain = (0.5 + _Y0 * self.coefficients[:, 0]).clamp(min=0)
            return plain if directions is None else plain.expand(*directions.shape[:-2], -1, -1)
        basis = sh_basis(directions, self.degree)
        return (0.5 + torch.einsum("...gk,gkc->...gc", basis, self.coefficients)).clamp(min=0)

    def tensors(self) -> dict[str, torch.Tensor]:
        """See :class:`ColorModel`."""
        return {"coefficients": self.coefficients}

    def to(self, device: torch.device | str) -> ShColor:
        """See :class:`ColorModel`."""
        return ShColor(self.coefficients.to(device))


_Y0 = 0.5 / math.sqrt(math.pi)


def sh_basis(directions: torch.Tensor, degree: int) -> torch.Tensor:
    """Real spherical harmonics in the order and with the signs of 3D Gaussian Splatting.

    Args:
        directions: (..., 3) unit vectors.
        degree: 0 to 3.

    Returns:
        (..., (degree + 1)²).
    """
    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    y1 = math.sqrt(3 / (4 * math.pi))
    values = [torch.full_like(x, _Y0)]
    if degree >= 1:
        values += [-y1 * y, y1 * z, -y1 * x]
    if degree >= 2:
        y2 = math.sqrt(15 / (4 * math.pi))
        values += [
            y2 * x * y,
            -y2 * y * z,
            y2 / math.sqrt(12) * (2 * zz - xx - yy),
            -y2 * x * z,
            y2 / 2 * (xx - yy),
        ]
    if degree >= 3:
        a = math.sqrt(35 / (32 * math.pi))
        b = math.sqrt(105 / (4 * math.pi))
        c = math.sqrt(21 / (32 * math.pi))
        values += [
            -a * y * (3 * xx - yy),
            b * x * y * z,
            -c * y * (4 * zz - xx - yy),
            math.sqrt(7 / (16 * math.pi)) * z * (2 * zz - 3 * xx - 3 * yy),
            -c * x * (4 * zz - xx - yy),
            b / 2 * z * (xx - yy),
            -a * x * (xx - 3 * yy),
        ]
    return torch.stack(values, -1)


@dataclass(frozen=True, eq=False)
class MlpColor:
    """The paper's colour network θ(ψ; z; v): two layers, ReLU between, sigmoid at the end.

    The first layer takes [z | v | ψ]. Its latent part is one matrix product for all frames when
    nothing trains, its expression part one vector per frame, so only the direction's three columns
    and the second layer are worked per Gaussian.

    Attributes:
        latents: (G, D) the latent z of each Gaussian.
        first_weight: (H, D + 3 + E).
        first_bias: (H,).
        second_weight: (3, H).
        second_bias: (3,).
    """

    latents: torch.Tensor
    first_weight: torch.Tensor
    first_bias: torch.Tensor
    second_weight: torch.Tensor
    second_bias: torch.Tensor
    kind: ClassVar[str] = "mlp"

    def __post_init__(self) -> None:
        """Check that the layers fit each other.

        Raises:
            BadInputError: they do not.
        """
        H = len(self.first_bias)
        fits = (
            self.latents.ndim == 2
            and self.first_weight.ndim == 2
            and self.first_weight.shape[0] == H
            and self.first_weight.shape[1] >= self.latents.shape[1] + 3
            and tuple(self.second_weight.shape) == (3, H)
            and tuple(self.second_bias.shape) == (3,)
        )
        if not fits:
            shapes = {name: tuple(tensor.shape) for name, tensor in self.tensors().items()}
            raise BadInputError(f"The layers of the colour network do not fit: {shapes}.")
        object.__setattr__(self, "_latent_part", None)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> MlpColor:
        """From what :meth:`tensors` gave."""
        names = ("latents", "first_weight", "first_bias", "second_weight", "second_bias")
        return cls(*(tensors[name] for name in names))

    @property
    def count(self) -> int:
        """G."""
        return len(self.latents)

    @property
    def expression_size(self) -> int:
        """E."""
        return int(self.first_weight.shape[1] - self.latents.shape[1] - 3)

    def _from_latents(self) -> torch.Tensor:
        """(G, H) the latent part of the first layer, kept between frames where nothing trains."""
        kept: torch.Tensor | None = getattr(self, "_latent_part", None)
        if kept is not None:
            return kept
        weight = self.first_weight[:, : self.latents.shape[1]]
        if self.latents.requires_grad or self.first_weight.requires_grad:
            return self.latents @ weight.T
        # Not an inference tensor, whatever asks first: autograd would refuse it later.
        with torch.inference_mode(mode=False):
            value = self.latents @ weight.T
        object.__setattr__(self, "_latent_part", value)
        return value

    def colors(
        self, expression: torch.Tensor | None = None, directions: torch.Tensor | None = None
    ) -> torch.Tensor:
        """See :class:`ColorModel`.

        Raises:
            BadInputError: an expression of another size than the network was made for.
        """
        D = self.latents.shape[1]
        hidden = self._from_latents()
        bias = self.first_bias
        if expression is not None:
            if tuple(expression.shape) != (self.expression_size,):
                raise BadInputError(
                    f"The avatar's colours take {self.expression_size} expression weights, "
                    f"the performance has {tuple(expression.shape)}.",
                    "Use a performance made for the avatar's head.",
                )
            bias = torch.addmv(bias, self.first_weight[:, D + 3 :], expression)
        if directions is None or directions.ndim == 2:
            return self._shaded(hidden, bias, directions)
        return torch.stack([self._shaded(hidden, bias, view) for view in directions])

    def _shaded(
        self, hidden: torch.Tensor, bias: torch.Tensor, directions: torch.Tensor | None
    ) -> torch.Tensor:
        """The rest of both layers: ``hidden`` (G, H) of the latents, ``bias`` of the frame."""
        D = self.latents.shape[1]
        view = self.latents.new_zeros(self.count, 3) if directions is None else directions
        first = torch.cat([bias[None], self.first_weight[:, D : D + 3].T])
        inputs = (hidden, first, self.second_weight, self.second_bias, view)
        wants_gradient = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
        if compilable(*inputs) and not wants_gradient:
            return color_mlp.network_colors_of(*inputs)
        hidden = hidden + bias
        if directions is not None:
            hidden = torch.addmm(hidden, directions, self.first_weight[:, D : D + 3].T)
        outputs = torch.addmm(self.second_bias, torch.relu(hidden), self.second_weight.T)
        return torch.sigmoid(outputs)

    def tensors(self) -> dict[str, torch.Tensor]:
        """See :class:`ColorModel`."""
        return {
            "latents": self.latents,
            "first_weight": self.first_weight,
            "first_bias": self.first_bias,
            "second_weight": self.second_weight,
            "second_bias": self.second_bias,
        }

    def to(self, device: torch.device | str) -> MlpColor:
        """See :class:`ColorModel`."""
        return MlpColor(*(tensor.to(device) for tensor in self.tensors().values()))
