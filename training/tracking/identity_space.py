# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes a head can take: the default head's own basis, and smooth deformations beyond it.

The latter are a Gaussian process morphable model (Lüthi et al. 2018, "Gaussian Process Morphable
Models"): the deformation of the neutral head is a Gaussian process over space with kernels of
several lengths, in its low-rank (Nyström) form. Space is deformed rather than the surface, so that
lips which touch keep touching and teeth and eyes go along; eyeballs stay balls. Faces are nearly
symmetric: what differs between the sides has a smaller deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from engine.core.arrays import Double, Float
from engine.heads.default import load_default_head
from engine.heads.head import Head
from engine.heads.shape_basis import LARGEST, load_shape_basis
from engine.heads.shaped_head import shaped_head

_KERNELS = ((0.12, 0.007), (0.05, 0.003), (0.025, 0.0015))
"""Lengths of the kernels, and deviations of a shape at each, metres."""
_ONE_SIDED = 0.3
"""Deviation of what differs between the sides against what both share."""
_SYMMETRIC, _OTHERS = 28, 8
"""Components a coordinate, by parity."""
_BEYOND = 0.35
"""Factor of the deviations of what goes beyond the default head's own shapes."""
_POINTS = 420
"""Points of the face at which the process is known."""


@dataclass(frozen=True, eq=False)
class IdentitySpace:
    """Offsets of the neutral head of unit normal coefficients.

    Attributes:
        basis: (K, V, 3) float32 metres.
        mean: (K,) coefficients of the mean person.
        shapes: how many of the first components are those of the default head's own basis.
        name: for the record.
    """

    basis: Float
    mean: Float
    shapes: int
    name: str

    def shaped(self, coefficients: Double) -> Head:
        """The default head with coefficients (K,), its expressions carried along."""
        beyond = np.tensordot(coefficients[self.shapes :], self.basis[self.shapes :], 1)
        shape = np.clip(coefficients[: self.shapes], -LARGEST, LARGEST)
        return shaped_head(shape.astype(np.float32), beyond.astype(np.float32))


@cache
def default_space() -> IdentitySpace:
    """People of the default head's basis, and smooth offsets for what it has not seen."""
    known, beyond = load_shape_basis(), smooth_space(load_default_head(), _BEYOND)
    return IdentitySpace(
        np.concatenate([known.components, beyond.basis]),
        np.concatenate([known.mean, beyond.mean]),
        known.count,
        f"{known.count} shapes of the default head, {beyond.name}",
    )


def smooth_space(head: Head, share: float = 1.0) -> IdentitySpace:
    """The smooth deformations of a head.

    Args:
        head: any head whose nose points along +Z.
        share: factor of all deviations, for what another space leaves.
    """
    template = head.template.astype(np.float64)
    face = template[_known(head)]
    middle = np.array([np.median(face[:, 0]), 0.0, 0.0])
    rng = np.random.default_rng(0)
    chosen = face[rng.choice(len(face), min(_POINTS, len(face)), replace=False)] - middle
    everything = template - middle
    rows: list[Double] = []
    for coordinate in range(3):
        for sign in (1.0, -1.0):
            # A symmetric face mirrors y and z, and turns x over.
            symmetric = (sign > 0) == (coordinate > 0)
            count = _SYMMETRIC if symmetric else _OTHERS
            deviation = share * (1.0 if symmetric else _ONE_SIDED)
            for function in _eigenfunctions(everything, chosen, sign, count):
                row = np.zeros((len(template), 3))
                row[:, coordinate] = deviation * function
                rows.append(row)
    basis: Float = _round_eyes(head, np.array(rows)).astype(np.float32)
    zeros = np.zeros(len(basis), np.float32)
    return IdentitySpace(basis, zeros, 0, f"{len(basis)} smooth deformations")


def _known(head: Head) -> Any:
    """Vertices between which the face lies; a head that does not name them is known all over."""
    for name in ("face", "lips"):
        if name in head.regions and len(head.regions[name]) > _POINTS:
            return head.regions[name]
    return np.arange(head.vertex_count)


def _eigenfunctions(points: Double, known: Double, sign: float, count: int) -> Double:
    """(count, N) the strongest functions of a parity at points (N, 3), with their deviations."""

    def covariance(a: Double, b: Double) -> Double:
        mirrored = b * np.array([-1.0, 1.0, 1.0])
        return 0.5 * (_kernel(a, b) + sign * _kernel(a, mirrored))

    values, vectors = np.linalg.eigh(covariance(known, known))
    order = np.argsort(values)[::-1][:count]
    kept = order[values[order] > 1e-10 * values.max()]
    # Nyström: φ(x) = k(x, X)·v / λ is the eigenfunction, √λ its deviation.
    functions: Double = (covariance(points, known) @ vectors[:, kept] / np.sqrt(values[kept])).T
    return functions


def _kernel(a: Double, b: Double) -> Double:
    squared = np.maximum(
        np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * a @ b.T, 0.0
    )
    total: Double = sum(
        (deviation**2 * np.exp(-squared / (2 * length**2)) for length, deviation in _KERNELS),
        np.zeros_like(squared),
    )
    return total


def _round_eyes(head: Head, basis: Double) -> Double:
    """The basis with each eyeball's motion replaced by its nearest shift and growth."""
    for side in ("left", "right"):
        ball = head.regions.get(f"{side}_eyeball")
        if ball is None or not len(ball):
            continue
        rest = head.template[ball].astype(np.float64)
        arm = rest - rest.mean(axis=0)
        shift = basis[:, ball].mean(axis=1)
        growth = np.einsum("kvd,vd->k", basis[:, ball], arm) / np.square(arm).sum()
        basis[:, ball] = shift[:, None] + growth[:, None, None] * arm
    return basis
