# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrinkle features: how furrowed each region of a face is, from pictures or from a mesh.

- :class:`RidgeDetector` measures pictures: valleys of brightness at several widths, by the Hessian
  of scale space (Frangi et al. 1998; Lindeberg 1998), differentiable, so that it serves as a loss
  for avatars and as the measure of captured frames.
- :class:`SkinTension` measures meshes without pictures: skin wrinkles where it is compressed (mesh
  tension, Raman et al. 2023).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.heads.head import Head

REGIONS: tuple[str, ...] = (
    "forehead",
    "brows",
    "eyelids",
    "nose",
    "cheeks",
    "upper_lip",
    "lower_lip",
    "lips",
    "inner_lips",
    "face",
    "ears",
    "neck",
)
"""Regions of a head, each with two features: compression and stretching."""
TENSIONS = 2 * len(REGIONS)
"""W of a mesh without pictures."""


class SkinTension:
    """Mean compression and stretching of the edges of each region.

    The strain of an edge is taken to first order, e·Δe / ‖e‖², which is linear in the expression
    weights; compression is its negative part, stretching its positive one.

    Args:
        head: whose neutral mesh is at rest; a region it lacks has features 0.
    """

    def __init__(self, head: Head) -> None:
        pairs = np.concatenate(
            [head.faces[:, [0, 1]], head.faces[:, [1, 2]], head.faces[:, [2, 0]]]
        )
        edges = np.unique(np.sort(pairs, axis=1), axis=0)
        rest = head.template[edges[:, 1]] - head.template[edges[:, 0]]
        square = np.maximum(np.square(rest).sum(axis=1), 1e-12)
        moved = head.expression_basis[:, edges[:, 1]] - head.expression_basis[:, edges[:, 0]]
        strain = np.einsum("kec,ec->ke", moved, rest) / square
        self._strains = []
        for name in REGIONS:
            inside = np.zeros(head.vertex_count, bool)
            inside[head.regions.get(name, np.zeros(0, np.int32))] = True
            self._strains.append(strain[:, inside[edges].all(axis=1)].astype(np.float32))

    def features(self, expression: Float) -> Float:
        """(T, E) expression weights to (T, 24) features: compression then stretching by region."""
        columns = []
        for strain in self._strains:
            if strain.shape[1] == 0:
                columns += [np.zeros(len(expression), np.float32)] * 2
                continue
            values = expression @ strain
            columns.append(np.maximum(-values, 0.0).mean(axis=1))
            columns.append(np.maximum(values, 0.0).mean(axis=1))
        return np.stack(columns, axis=1).astype(np.float32)


class RidgeDetector(nn.Module):
    """Dark furrows in pictures of a face, at several widths, differentiable everywhere.

    At each scale σ the picture is smoothed with a Gaussian and the larger eigenvalue of its
    Hessian, times σ² (Lindeberg's normalisation), says how dark and how ridge-like a furrow is;
    the smaller one, where it is as large, takes blobs out.

    Args:
        scales: widths of furrows, pixels.
    """

    def __init__(self, scales: tuple[float, ...] = (1.0, 2.0, 4.0)) -> None:
        super().__init__()
        if not scales or min(scales) <= 0:
            raise BadInputError(
                f"Wrinkles cannot be {scales} pixels wide.", "Give widths above 0 pixels."
            )
        self.scales = scales

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3 or 1, H, W) pictures in [0, 1] → (B, scales, H, W) furrows, at least 0."""
        grey = pictures.mean(dim=1, keepdim=True)
        return torch.cat([self._furrows(grey, scale) for scale in self.scales], dim=1)

    def regions(self, pictures: Tensor, masks: Tensor) -> Tensor:
        """Mean furrow in each region at each scale.

        Args:
            pictures: (B, 3 or 1, H, W) in [0, 1].
            masks: (B or 1, R, H, W), how much each pixel belongs to each region.

        Returns:
            (B, R · scales), the scales of a region beside each other.
        """
        furrows = self(pictures)
        weight = masks / masks.sum(dim=(-2, -1), keepdim=True).clamp(min=1.0)
        return torch.einsum(
            "bshw,brhw->brs", furrows, weight.expand(len(furrows), -1, -1, -1)
        ).flatten(1)

    @staticmethod
    def _furrows(grey: Tensor, scale: float) -> Tensor:
        radius = int(4 * scale + 1)
        x = torch.arange(-radius, radius + 1, dtype=grey.dtype, device=grey.device)
        smooth = torch.exp(-0.5 * (x / scale) ** 2)
        smooth = smooth / smooth.sum()
        # Derivatives of the Gaussian, corrected so that a constant and a slope give exactly 0.
        first = -x / scale**2 * smooth
        first = first / -(first * x).sum()
        second = (x**2 / scale**4 - 1 / scale**2) * smooth
        second = second - second.mean()
        second = second * 2.0 / (second * x**2).sum()
        xx = _separable(grey, smooth, second)
        yy = _separable(grey, second, smooth)
        xy = _separable(grey, first, first)
        middle, half = (xx + yy) / 2, torch.sqrt(((xx - yy) / 2) ** 2 + xy**2 + 1e-12)
        across, along = middle + half, middle - half
        return scale**2 * functional.relu(across - along.abs())


def _separable(grey: Tensor, down: Tensor, right: Tensor) -> Tensor:
    radius = len(down) // 2
    padded = functional.pad(grey, (radius,) * 4, mode="replicate")
    padded = functional.conv2d(padded, down.view(1, 1, -1, 1))
    return functional.conv2d(padded, right.view(1, 1, 1, -1))
