# SPDX-License-Identifier: GPL-3.0-or-later
"""How a head's joints stand over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.arrays import Float
from ..core.errors import BadInputError


@dataclass(frozen=True, eq=False)
class JointPose:
    """The part of a performance's offsets that linear blend skinning makes.

    A joint turns its part of the mesh about where it is at rest, p, and moves it:
    x ↦ R·(x − p) + p + l, then as its parent does. The turn of the whole head (``head_rotation``)
    comes after the root's.

    Attributes:
        rotation: (T, J, 3) float32 rotation vectors of each joint relative to its parent, in the
            order of the head's skeleton, head space, radians.
        location: (T, J, 3) float32 l, head space, metres: of the root the whole head's, of others
            what the expression moves FLAME's joints by, δ, makes of it: l = δ − R·δ.
    """

    rotation: Float
    location: Float

    def __post_init__(self) -> None:
        """Check that the arrays fit each other.

        Raises:
            BadInputError: they do not.
        """
        T, J = self.rotation.shape[:2] if self.rotation.ndim == 3 else (0, 0)
        if self.rotation.shape != (T, J, 3) or self.location.shape != (T, J, 3):
            raise BadInputError(
                f"The pose of the joints has shapes {self.rotation.shape} and "
                f"{self.location.shape} instead of (T, J, 3)."
            )

    @classmethod
    def rest(cls, frames: int, joints: int) -> JointPose:
        """All joints as they are at rest."""
        rotation, location = np.zeros((2, frames, joints, 3), np.float32)
        return cls(rotation, location)

    def frames(self, part: slice) -> JointPose:
        """Some of the frames."""
        return JointPose(self.rotation[part], self.location[part])
