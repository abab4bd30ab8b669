# SPDX-License-Identifier: GPL-3.0-or-later
"""The losses of the speech model (GaussianSpeech, section 4.2).

L_lip (Eq. 7) teaches the lip encoder the lip vertices, L_wrinkle (Eq. 8) the wrinkle encoder the
measured wrinkles, L_expr (Eq. 9) the expression encoder the expression weights, and L_vertices
(Eq. 13, 14) the whole model all vertices. Some terms are this project's: lips that must touch each
other or the teeth, or rest, count for more; weights on the head's own expressions are compared as
such, for small parts of the mesh such as a rolled lip hardly weigh among all vertices; and
velocities are compared so that motion is neither damped nor restless.

Lengths are in millimetres. Motion is factored, so a vertex error is a quadratic form in the
weights: ‖Δw·B‖² = Δw·(B·Bᵀ)·Δw; no vertex is ever made dense but the lips of Eq. 7.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn

from engine.core.errors import BadInputError
from engine.heads.head import Head
from engine.motion.model.network import Motion, SpeechNetwork

MM = 1000.0

_CLOSED_BELOW = 0.05
"""Part of the open gap under which lips count as shut, as in the lip-sync measures."""
_BITING = 2.0
"""Millimetres from the upper teeth under which the lower lip is at them."""
_TOUCHING = 1.0
"""Millimetres from the upper teeth that count as a contact."""
_OPEN = 6.0
"""Millimetres of the mean open gap of ordinary speech."""
_PRESSED = 0.4
"""Millimetres by which lips that close are to overlap: what a prediction may miss, and they still
touch. The lip contact brings overlapping lips back to a touch."""
_TINY = 1e-8
"""mm², under the root of a norm, whose slope at 0 has no end."""
_RESTING = 0.03
"""Largest weight of a face at rest."""


@dataclass(frozen=True)
class LossWeights:
    """How much each term counts.

    Attributes:
        lip, wrinkle, expression: of Eq. 7 to 9, squared.
        lip_norm: of Eq. 7 as it is printed: the L2 norm of the lips of a frame, over √L, mm.
        vertices: of the error of all vertices, mm².
        lip_vertices: of that of the lips on top.
        weights: of the expression weights of the motion itself, on a head's own basis.
        gap: of the opening of the mouth, mm².
        bite: of the place of the lower lip, mm².
        touch: factor of the gap where the lips are truly shut, and of the bite where the lower lip
            is truly at the upper teeth.
        velocity: of the change of the lips from frame to frame, mm².
        width: of the width of the mouth, mm².
        contact: of what the lower lip lacks to the upper teeth where it is truly at them, mm².
        closure: of what parts the lips where they truly close while speaking, mm².
        bilabial: of the error of all vertices where p, b or m is said, mm².
        motion: of the change of all vertices from frame to frame, mm².
        absolute: of the error of all vertices, coordinate by coordinate and not squared, mm.
    """

    lip: float = 0.3
    wrinkle: float = 0.1
    expression: float = 3.0
    vertices: float = 2.0
    lip_vertices: float = 1.0
    weights: float = 2.0
    gap: float = 0.3
    bite: float = 0.15
    touch: float = 6.0
    velocity: float = 1.0
    width: float = 0.0
    contact: float = 0.0
    closure: float = 0.0
    lip_norm: float = 0.0
    bilabial: float = 0.0
    motion: float = 0.0
    absolute: float = 0.0

    @classmethod
    def only(cls, **weights: float) -> LossWeights:
        """Those terms, and no other."""
        return cls(**({field.name: 0.0 for field in fields(cls)} | {"touch": 1.0} | weights))


@dataclass(frozen=True, eq=False)
class LossTerms:
    """Scalars; ``total`` is what is minimised, ``penalty`` what the network itself asks for."""

    total: Tensor
    lip: Tensor
    lip_norm: Tensor
    wrinkle: Tensor
    expression: Tensor
    vertices: Tensor
    weights: Tensor
    gap: Tensor
    bite: Tensor
    velocity: Tensor
    width: Tensor
    contact: Tensor
    closure: Tensor
    bilabial: Tensor
    motion: Tensor
    absolute: Tensor
    penalty: Tensor


class SpeechLoss(nn.Module):
    """All terms for a head.

    Args:
        head: regions and landmarks.
        basis: (K, V, 3) the basis of the true weights, metres.
        wrinkle_scale: (W,) size of each wrinkle feature in the data, above 0.
        weights: of the terms.

    Raises:
        BadInputError: the head has no lips.
    """

    lips: Tensor
    basis: Tensor
    wrinkle_scale: Tensor
    upper: Tensor
    lower: Tensor
    teeth: Tensor
    corners: Tensor
    template: Tensor

    def __init__(
        self,
        head: Head,
        basis: Tensor,
        wrinkle_scale: Tensor,
        weights: LossWeights | None = None,
    ) -> None:
        super().__init__()
        if not len(head.regions.get("lips", ())):
            raise BadInputError(
                f"The head {head.id!r} has no region of lips.", "Train on a head that names them."
            )
        self.weigh = weights or LossWeights()
        self.register_buffer("lips", torch.from_numpy(np.asarray(head.regions["lips"], np.int64)))
        self.register_buffer("basis", basis * MM)
        self.register_buffer("wrinkle_scale", wrinkle_scale)
        for name, landmark in (
            ("upper", "inner_lip_upper"),
            ("lower", "inner_lip_lower"),
            ("teeth", "upper_teeth_edge"),
            ("corners", "mouth_corners"),
        ):
            index = head.landmarks.get(landmark, np.zeros(0, np.int32))
            self.register_buffer(name, torch.from_numpy(np.asarray(index, np.int64)))
        self.register_buffer("template", torch.from_numpy(head.template) * MM)
        self._grams: tuple[Tensor, Tensor] | None = None

    def forward(
        self,
        model: SpeechNetwork,
        motion: Motion,
        weights: Tensor,
        expression: Tensor,
        wrinkles: Tensor,
        present: Tensor,
        bilabials: Tensor | None = None,
    ) -> LossTerms:
        """Compare predicted with true motion.

        Args:
            model: for the basis that it predicts in.
            motion: what it predicted.
            weights: (B, T, K) true weights.
            expression: (B, T, E) true expression weights.
            wrinkles: (B, T, W) measured wrinkle features.
            present: (B, T) 1 where there is a true frame.
            bilabials: (B, T) 1 where p, b or m is said, where that is known.
        """
        weigh = self.weigh
        lip = lip_norm = wrinkle = expressions = weights.new_zeros(())
        if motion.lips is not None:
            true_lips = torch.einsum("btk,kvc->btvc", weights, self.basis[:, self.lips])
            squared = (motion.lips - true_lips).square().mean(dim=(-2, -1))
            lip, lip_norm = _mean(squared, present), _mean((3 * squared + _TINY).sqrt(), present)
        if motion.wrinkles is not None:
            difference = (motion.wrinkles - wrinkles) / self.wrinkle_scale
            wrinkle = _mean(difference.square().mean(dim=-1), present)
        if motion.expression is not None:
            apart = (motion.expression - expression).square().sum(dim=-1)
            expressions = _mean(apart, present)
        every, of_lips = self._squared(model, motion.weights, weights)
        vertices = _mean(every, present)
        found = self._contacts(model, motion.weights, weights)
        gap, bite, width, contact, closure = (_mean(x, present) for x in found)
        own = bilabial = absolute = lip.new_zeros(())
        if bilabials is not None:
            bilabial = (every * present * bilabials).sum() / present.sum().clamp(min=1.0)
        if weigh.absolute:
            absolute = _mean(self._absolute(model, motion.weights, weights), present)
        if not model.config.learned_basis:
            own = _mean((motion.weights - weights).square().sum(dim=-1), present)
        moved = motion.weights[:, 1:] - motion.weights[:, :-1]
        truly = weights[:, 1:] - weights[:, :-1]
        steady = present[:, 1:] * present[:, :-1]
        changed, velocity = (_mean(x, steady) for x in self._squared(model, moved, truly))
        total = (
            weigh.lip * lip
            + weigh.wrinkle * wrinkle
            + weigh.expression * expressions
            + weigh.vertices * vertices
            + weigh.lip_vertices * _mean(of_lips, present)
            + weigh.weights * own
            + weigh.gap * gap
            + weigh.bite * bite
            + weigh.velocity * velocity
            + weigh.width * width
            + weigh.contact * contact
            + weigh.closure * closure
            + weigh.lip_norm * lip_norm
            + weigh.bilabial * bilabial
            + weigh.motion * changed
            + weigh.absolute * absolute
        )
        penalty = lip.new_zeros(()) if motion.penalty is None else motion.penalty
        return LossTerms(
            total + penalty,
            lip,
            lip_norm,
            wrinkle,
            expressions,
            vertices,
            own,
            gap,
            bite,
            velocity,
            width,
            contact,
            closure,
            bilabial,
            changed,
            absolute,
            penalty,
        )

    def _squared(self, model: SpeechNetwork, ours: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) mean squared distance of all vertices, and of the lips, mm²."""
        if not model.config.learned_basis:
            if self._grams is None:
                self._grams = _gram(self.basis), _gram(self.basis[:, self.lips])
            difference = ours - true
            grams = self._grams
        else:
            both = torch.cat([model.mapper.basis * MM, self.basis])
            difference = torch.cat([ours, -true], dim=-1)
            grams = _gram(both), _gram(both[:, self.lips])
        every, lips = ((difference @ g * difference).sum(-1).clamp(min=0.0) for g in grams)
        return every, lips

    def _absolute(self, model: SpeechNetwork, ours: Tensor, true: Tensor) -> Tensor:
        """(B, T) mean absolute difference of the coordinates of all vertices, mm."""
        basis = model.mapper.basis * MM if model.config.learned_basis else self.basis
        both = torch.cat([ours, -true], -1), torch.cat([basis, self.basis]).flatten(1)
        return (both[0] @ both[1]).abs().mean(dim=-1)

    def _contacts(self, model: SpeechNetwork, ours: Tensor, true: Tensor) -> tuple[Tensor, ...]:
        """(B, T) squared errors of the mouth, mm²: opening, lower lip, width, and two lacks.

        The first two count for more where there is truly a
        contact: lips shut, lower lip at the teeth. The last two are only there, and only what is
        missing: to the teeth, and to lips that close so far that they press.
        """
        if not all(map(len, (self.upper, self.lower, self.teeth, self.corners))):
            return (ours.new_zeros(ours.shape[:2]),) * 5
        basis = model.mapper.basis * MM if model.config.learned_basis else self.basis
        upper, lower = self._moved(basis, ours, self.upper), self._moved(basis, ours, self.lower)
        true_upper = self._moved(self.basis, true, self.upper)
        true_lower = self._moved(self.basis, true, self.lower)
        rest = self.template[self.upper, 1] - self.template[self.lower, 1]
        opened = true_upper[..., 1] - true_lower[..., 1] - rest
        parted = upper[..., 1] - lower[..., 1] - rest
        gap = (parted - opened).square().mean(dim=-1)
        shut = opened.amax(dim=-1) < _CLOSED_BELOW * _OPEN
        closing = shut & (true.abs().amax(dim=-1) > _RESTING)
        biting = _reach(true_lower, self._moved(self.basis, true, self.teeth)) < _BITING
        bite = (lower - true_lower).square().sum(dim=-1).mean(dim=-1)
        third = len(self.lower) // 3
        middle = lower[..., third : len(self.lower) - third, :]
        missing = _reach(middle, self._moved(basis, ours, self.teeth)) - _TOUCHING
        width = _width(self._moved(basis, ours, self.corners))
        width = (width - _width(self._moved(self.basis, true, self.corners))).square()
        one, more = gap.new_ones(()), gap.new_full((), self.weigh.touch)
        return (
            torch.where(shut, more, one) * gap,
            torch.where(biting, more, one) * bite,
            width,
            biting * missing.clamp(min=0.0).square(),
            closing * (parted.amax(dim=-1) + _PRESSED).clamp(min=0.0).square(),
        )

    def _moved(self, basis: Tensor, weights: Tensor, vertices: Tensor) -> Tensor:
        """(B, T, P, 3) places of some vertices, mm."""
        return self.template[vertices] + torch.einsum("btk,kvc->btvc", weights, basis[:, vertices])


def _reach(lips: Tensor, teeth: Tensor) -> Tensor:
    """(B, T) smallest distance of (B, T, P, 3) from (B, T, Q, 3)."""
    apart = torch.linalg.vector_norm(lips[..., :, None, :] - teeth[..., None, :, :], dim=-1)
    nearest: Tensor = apart.flatten(-2).amin(dim=-1)
    return nearest


def _width(corners: Tensor) -> Tensor:
    """(B, T) distance between (B, T, 2, 3)."""
    width: Tensor = torch.linalg.vector_norm(corners[..., 0, :] - corners[..., 1, :], dim=-1)
    return width


def _gram(basis: Tensor) -> Tensor:
    """(K, K) quadratic form of the mean squared distance over the (K, V, 3) basis's vertices."""
    flat = basis.flatten(1)
    return flat @ flat.T / basis.shape[1]


def _mean(values: Tensor, present: Tensor) -> Tensor:
    return (values * present).sum() / present.sum().clamp(min=1.0)
