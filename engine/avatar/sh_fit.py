# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours of any model as spherical harmonics, for viewers that know nothing else."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from engine.avatar.color import ColorModel, ShColor, sh_basis

_DIRECTIONS, _CHECKED = 96, 48
"""Directions of view that are fitted, and others at which the error is measured."""


class ShFit(NamedTuple):
    """Harmonics fitted to a colour model, and how far they are from it.

    Attributes:
        color: the harmonics.
        rms: root of the mean squared error over Gaussians, directions and channels, in sRGB units
            of [0, 1]; measured between the directions of the fit.
        worst: the largest error there.
    """

    color: ShColor
    rms: float
    worst: float


def sphere(count: int, *, phase: float = 0.0) -> torch.Tensor:
    """(count, 3) float64 unit vectors spread evenly on the sphere (Fibonacci lattice).

    Args:
        count: directions.
        phase: turns and shifts the lattice by this fraction of its step; another phase gives
            directions between those of this one.
    """
    n = torch.arange(count, dtype=torch.float64)
    z = 1 - 2 * (n + 0.5 + 0.4 * phase) / count
    angle = n * math.pi * (3 - math.sqrt(5)) + math.tau * phase
    radius = (1 - z * z).clamp(min=0).sqrt()
    return torch.stack([radius * angle.cos(), radius * angle.sin(), z], 1)


@torch.no_grad()
def fit_sh(
    model: ColorModel,
    expression: torch.Tensor | None = None,
    degree: int = 3,
) -> ShFit:
    """Fit spherical harmonics by least squares over the view sphere.

    Args:
        model: the colours; harmonics come back exactly as they are.
        expression: (E,) the expression weights at which the colours are taken; ``None`` is neutral.
        degree: 0 to 3; for a model of harmonics the result keeps the model's own degree.
    """
    if isinstance(model, ShColor):
        return ShFit(model, 0.0, 0.0)
    view = sphere(_DIRECTIONS)
    solve = torch.linalg.pinv(sh_basis(view, degree)).float()
    coefficients = torch.zeros(model.count, (degree + 1) ** 2, 3)
    for direction, column in zip(view.float(), solve.T, strict=True):
        # One direction at a time: memory does not grow with their number.
        colors = model.colors(expression, direction.expand(model.count, 3))
        coefficients += column[None, :, None] * (colors - 0.5)[:, None]
    fitted = ShColor(coefficients)
    squared, worst = 0.0, 0.0
    for direction in sphere(_CHECKED, phase=0.5).float():
        around = direction.expand(model.count, 3)
        error = fitted.colors(expression, around) - model.colors(expression, around)
        squared += float(error.double().square().sum())
        worst = max(worst, float(error.abs().max()) if error.numel() else 0.0)
    total = max(1, 3 * _CHECKED * model.count)
    return ShFit(fitted, math.sqrt(squared / total), worst)


def turned(color: ShColor, rotation: torch.Tensor) -> ShColor:
    """The harmonics of a scene that is turned, exact: each degree stays within itself.

    Args:
        color: harmonics c with colour(v).
        rotation: (3, 3) R of the scene.

    Returns:
        Harmonics c' with colour'(R·v) = colour(v).
    """
    if color.degree == 0:
        return color
    view = sphere(4 * color.coefficients.shape[1])
    there = sh_basis(view @ rotation.double().T, color.degree)
    change = (torch.linalg.pinv(there) @ sh_basis(view, color.degree)).float()
    return ShColor(torch.einsum("jk,gkc->gjc", change, color.coefficients))
