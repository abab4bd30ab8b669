# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion on a basis of its own, such as a person's, read as ARKit expressions.

Contacts, blinks and styles are laid over ARKit weights. A motion on another basis gets them by the
weights x that come closest to it: a layer that makes x′ of x adds (x′ − x) · expressions to the
motion, which stays factored and is not changed where the layer changes nothing. What the
expressions cannot say of the gap between the lips is kept beside them, so a contact is solved for
the lips as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.core.arrays import Double, Float
from engine.heads.head import Head
from engine.motion.bounded_fit import fit_bounded
from engine.motion.lip_contact import LipGap, gap_of_pairs

if TYPE_CHECKING:
    from engine.motion.model.live import Frames

_PRECISION = 1e-3


class Joined(NamedTuple):
    """A motion with what layers added to it.

    Attributes:
        weights: (T, K') float32.
        basis: (K', V, 3) float32, metres.
        expression: (T, E') float32.
    """

    weights: Float
    basis: Float
    expression: Float


@dataclass(frozen=True, eq=False)
class FaceFit:
    """A motion and the ARKit weights that come closest to it.

    Attributes:
        motion: (T, K) weights of the basis, and (T, E) the expression weights that go with them.
        basis: (K, V, 3) float32, metres.
        face: the head, with ARKit expressions.
        weights: (T, E) float32 weights of the face's expressions, in [0, 1].
        gap: of the inner lips of the motion, in those weights; ``None`` without landmarks.
    """

    motion: Frames
    basis: Float
    face: Head
    weights: Float
    gap: LipGap | None

    def joined(self, weights: Float, names: tuple[str, ...]) -> Joined:
        """The motion after layers have changed the (T, E) weights.

        Expressions that no layer moved take no room. The expression weights take part where they
        are of the face's own expressions, of the (E',) ``names``.
        """
        change = weights - self.weights
        motion, expression = self.motion
        if names == self.face.expression_names:
            expression = expression + change
        moved = np.flatnonzero(np.abs(change).max(axis=0, initial=0.0) > 0.0)
        return Joined(
            np.concatenate([motion, change[:, moved]], axis=1),
            np.concatenate([self.basis, self.face.expression_basis[moved]]),
            expression,
        )


def fit_face(motion: Frames, basis: Float, face: Head) -> FaceFit:
    """Read a motion as ARKit expressions, by least squares over all vertices.

    Args:
        motion: weights of the basis, and what they go with.
        basis: (K, V, 3) offsets, metres.
        face: the head that moves, with ARKit expressions.
    """
    expressions = face.expression_basis.reshape(len(face.expression_basis), -1).astype(np.float64)
    flat = basis.reshape(len(basis), -1).astype(np.float64)
    count = len(expressions)
    weights = fit_bounded(
        expressions @ expressions.T,
        motion.weights.astype(np.float64) @ (flat @ expressions.T),
        np.array([np.zeros(count), np.ones(count)]),
        np.full(count, _PRECISION),
    )
    gap = _gap(motion.weights, basis, face, weights)
    return FaceFit(motion, basis, face, weights.astype(np.float32), gap)


def _gap(motion: Float, basis: Float, face: Head, weights: Double) -> LipGap | None:
    upper, lower = (face.landmarks.get(f"inner_lip_{side}") for side in ("upper", "lower"))
    if upper is None or lower is None:
        return None
    offsets = np.concatenate([face.expression_basis, basis])[:, :, 1].astype(np.float64)
    own = tuple(f"component {k}" for k in range(len(basis)))
    every = gap_of_pairs((*face.expression_names, *own), offsets[:, upper] - offsets[:, lower])
    if every is None:
        return None
    count = len(face.expression_names)
    gap = replace(every, names=face.expression_names, parting=every.parting[:count])
    return replace(gap, beyond=motion @ every.parting[count:] - gap.apart(weights))
