# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's jaw joint as expressions; the standard library and numpy alone, for the add-on too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

JAW_DIRECTIONS: dict[str, tuple[float, float, float]] = {
    "jawOpen": (0.3, 0.0, 0.0),
    "jawLeft": (0.0, 0.1, 0.0),
    "jawRight": (0.0, -0.1, 0.0),
}
"""Rotation vector of the jaw joint, radians, whose offsets each of these expressions is.

0.3 rad moves a point 90 mm from the joint, about where lower incisors are, by 27 mm.
"""


def jaw_amounts(jaw_pose: NDArray[Any]) -> NDArray[Any]:
    """The jaw's rotation as amounts of :data:`JAW_DIRECTIONS`.

    Args:
        jaw_pose: (..., 3) rotation vectors, radians.

    Returns:
        (..., 3); left and right are one axis, of which each takes its own side.
    """
    amounts = []
    for name, direction in JAW_DIRECTIONS.items():
        along = np.array(direction, np.float32)
        amount = jaw_pose @ along / (along @ along)
        amounts.append(amount if name == "jawOpen" else np.maximum(amount, 0.0))
    return np.stack(amounts, -1)
