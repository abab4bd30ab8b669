# SPDX-License-Identifier: GPL-3.0-or-later
"""Head space and Blender space: the one conversion between them.

Head space has +Y up and +Z forward; in Blender Z is up and the head faces −Y:
``(x, y, z) → (x, −z, y)``. numpy only: the add-on uses it too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HEAD_TO_BLENDER: NDArray[np.float32] = np.array(
    [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.float32
)
"""(4, 4) homogeneous matrix from head space to Blender space; its inverse is its transpose."""


def head_to_blender(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 3) head-space points or offsets in Blender space."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)


def blender_to_head(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 3) Blender-space points or offsets in head space."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)
