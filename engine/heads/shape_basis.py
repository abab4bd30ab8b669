# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity space of the default head: a linear basis of head shapes, free of any licence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.npz import open_npz

SHAPE_ASSET = Path(__file__).parents[1] / "assets" / "default_shapes.npz"
GRID = 2.0**-17
"""Metres (7.6 µm): the components are whole multiples of it."""
LARGEST = 6.0
"""Coefficients beyond this, in standard deviations, are no longer a person's."""
_HINT = "Install the package again."


@dataclass(frozen=True, eq=False)
class ShapeBasis:
    """Principal components of adult heads on the default head's vertices.

    A head is template + Σ cₖ·Bₖ; where all c are 0 it is the default head. The people that the
    components were made from have c = ``mean`` on average and a variance of 1 along each component.

    Attributes:
        components: (K, V, 3) float32 metres for one standard deviation, in falling order of
            variance; orthogonal under the areas of the face.
        joints: (K, J, 3) float32 metres, how the joints move with them.
        mean: (K,) float32.
    """

    components: Float
    joints: Float
    mean: Float

    @property
    def count(self) -> int:
        """K."""
        return len(self.components)

    def random(self, seed: int) -> Float:
        """(K,) the coefficients of a person drawn from the population; a seed is one person."""
        drawn = np.random.Generator(np.random.PCG64(seed)).standard_normal(self.count)
        return (self.mean + drawn).astype(np.float32)

    def checked(self, coefficients: Float) -> Float:
        """(K,) coefficients, those that are left out as zeros.

        Raises:
            BadInputError: too many, or one that is not finite or beyond :data:`LARGEST`.
        """
        given = np.asarray(coefficients, np.float32)
        if given.ndim != 1 or len(given) > self.count:
            raise BadInputError(
                f"A shape of the default head has {self.count} coefficients at most, not an array "
                f"of shape {given.shape}.",
                "Use those of 'engine.heads.shape_basis'.",
            )
        # Written so that NaN is refused too.
        if not (np.abs(given) <= LARGEST).all():
            worst = int(np.argmax(~(np.abs(given) <= LARGEST)))
            raise BadInputError(
                f"Coefficient {worst} of the head's shape is {given[worst]:g}.",
                f"Coefficients are standard deviations, from {-LARGEST:g} to {LARGEST:g}.",
            )
        return np.pad(given, (0, self.count - len(given)))


@cache
def load_shape_basis() -> ShapeBasis:
    """The basis that ships with the default head; read once per process.

    Raises:
        BadInputError: the shipped asset is missing or damaged.
    """
    file = open_npz(SHAPE_ASSET, _HINT)
    steps: NDArray[np.int16] = file.numbers("steps", (3, None, None), np.int16)
    count = steps.shape[1]
    components = np.cumsum(steps, axis=2, dtype=np.int32).transpose(1, 2, 0) * np.float32(GRID)
    return ShapeBasis(
        components=np.ascontiguousarray(components),
        joints=file.numbers("joints", (count, None, 3)),
        mean=file.numbers("mean", (count,)),
    )
