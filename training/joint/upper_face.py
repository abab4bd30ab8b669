# SPDX-License-Identifier: GPL-3.0-or-later
"""The upper face of the capture over a predicted mouth.

A sound does not say when somebody blinks, frowns or looks aside. Were the colours trained on a
prediction's brows and lids, they would learn to paint the true ones over them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.heads.head import Head
from engine.motion.arkit import COLUMN

_UPPER = ("brow", "eye")
"""How ARKit's names of expressions of the upper face begin."""
_RIDGE = 1e-3
"""Of the fit, beside the mean square of an expression."""


@dataclass(frozen=True, eq=False)
class UpperFace:
    """How much of a head is upper face.

    Attributes:
        share: (V, 1) 1 from the eyeballs upwards, 0 from the lips downwards, smooth between.
        carried: (E, E) what a difference of expressions is on the upper face alone; a row each.
    """

    share: Tensor
    carried: Tensor

    @classmethod
    def of(cls, head: Head) -> UpperFace:
        """Of a head that names eyeballs and lips; of others nothing is upper face.

        Where expressions have ARKit's names they are of one part of the face or the other. FLAME's
        move all of it: their difference goes over as the expressions that come closest, by least
        squares, to what it does above the lips.
        """
        share = _share(head)
        names = head.expression_names
        if any(name in COLUMN and name.startswith(_UPPER) for name in names):
            diagonal = [float(name.startswith(_UPPER)) for name in names]
            carried = np.diag(diagonal) * bool(share.any())
        else:
            flat = head.expression_basis.reshape(len(names), -1).astype(np.float64)
            above = (head.expression_basis * share[:, None]).reshape(len(names), -1)
            gram = flat @ flat.T
            gram += np.eye(len(gram)) * _RIDGE * np.trace(gram) / max(len(gram), 1)
            carried = np.linalg.solve(gram, flat @ above.T.astype(np.float64)).T
        return cls(
            torch.from_numpy(share[:, None].astype(np.float32)),
            torch.from_numpy(carried.astype(np.float32)),
        )

    def taken_from(
        self, true: Tensor, true_expression: Tensor, ours: Tensor, our_expression: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A face with the upper face of another.

        Args:
            true: (V, 3) vertices of the captured face.
            true_expression: (E,) its ψ.
            ours: (V, 3) vertices of the predicted one, in the same pose.
            our_expression: (E,) its ψ.

        Returns:
            Vertices and expression of both together.
        """
        vertices = torch.lerp(ours, true, self.share)
        return vertices, our_expression + (true_expression - our_expression) @ self.carried


def _share(head: Head) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    height = head.template[:, 1].astype(np.float64)
    eyes, lips = (head.regions.get(name, np.zeros(0, np.int32)) for name in ("eyeballs", "lips"))
    if not len(eyes) or not len(lips):
        return np.zeros_like(height)
    high, low = height[eyes].min(), height[lips].max()
    if high <= low:
        return np.zeros_like(height)
    part = np.clip((height - low) / (high - low), 0.0, 1.0)
    share: np.ndarray[tuple[int], np.dtype[np.float64]] = part * part * (3.0 - 2.0 * part)
    return share
