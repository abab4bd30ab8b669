# SPDX-License-Identifier: GPL-3.0-or-later
"""How shape keys part the inner lips of a mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import bpy
import numpy as np

from ...engine.core.arrays import Float
from ...engine.motion.lip_contact import LipGap, gap_of_pairs

_CLOSES = "mouthClose"
"""The expression without which no lips are known to close."""


def lip_gap_of_keys(
    keys: bpy.types.Key,
    names: Sequence[str],
    lip_pairs: Sequence[Sequence[int]],
    more: Mapping[str, Float] = MappingProxyType({}),
) -> LipGap | None:
    """How the named keys part the inner lips, on the mesh as it is.

    Args:
        keys: the mesh's shape keys.
        names: of those that count.
        lip_pairs: vertices of the upper and of the lower inner lip, opposite each other.
        more: (V, 3) offsets of shape keys that are still to be added, by name.
    """
    upper, lower = (list(side) for side in lip_pairs)
    parting = np.zeros((len(names), len(upper)), np.float32)
    if not upper or _CLOSES not in names:
        return None
    points = np.empty(3 * len(keys.reference_key.points), np.float32)

    def opened(name: str) -> Float:
        keys.key_blocks[name].points.foreach_get("co", points)
        height = points[2::3]
        return height[upper] - height[lower]

    rest = opened(keys.reference_key.name)
    for row, name in enumerate(names):
        if name in more:
            parting[row] = more[name][upper, 2] - more[name][lower, 2]
        else:
            parting[row] = opened(name) - rest
    return gap_of_pairs(names, parting)
