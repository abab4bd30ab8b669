# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a face with ARKit's shape keys those of VRM characters by VRoid instead."""

from __future__ import annotations

import bpy
import numpy as np


def _both(name: str, value: float) -> dict[str, float]:
    return {f"{name}Left": value, f"{name}Right": value}


_MIXTURES = {
    "Fcl_MTH_A": {"jawOpen": 0.6} | _both("mouthLowerDown", 0.2),
    "Fcl_MTH_I": {"jawOpen": 0.08} | _both("mouthStretch", 0.5) | _both("mouthLowerDown", 0.4),
    "Fcl_MTH_U": {"jawOpen": 0.12, "mouthPucker": 0.8},
    "Fcl_MTH_E": {"jawOpen": 0.3} | _both("mouthStretch", 0.4) | _both("mouthUpperUp", 0.2),
    "Fcl_MTH_O": {"jawOpen": 0.4, "mouthFunnel": 0.6},
    "Fcl_EYE_Close": _both("eyeBlink", 1.0),
    "Fcl_BRW_Surprised": {"browInnerUp": 0.8} | _both("browOuterUp", 0.8),
}
"""What a shape key is made of."""


def rename_as_vrm(*objects: bpy.types.Object) -> None:
    """Replace the shape keys of each object by those mixtures that move it."""
    for obj in objects:
        keys = obj.data.shape_keys.key_blocks
        points = {key.name: _points(key) for key in keys}
        rest = points[keys[0].name]
        for key in list(keys)[1:]:
            obj.shape_key_remove(key)
        for name, mixture in _MIXTURES.items():
            offsets = sum(value * (points[part] - rest) for part, value in mixture.items())
            if abs(offsets).max() > 1e-6:
                key = obj.shape_key_add(name=name, from_mix=False)
                key.data.foreach_set("co", rest + offsets)
                key.value = 0.0  # 5.0 and newer begin at 1.


def _points(key: bpy.types.ShapeKey) -> np.ndarray:
    """(3 V,) positions in metres."""
    points = np.empty(3 * len(key.data), np.float32)
    key.data.foreach_get("co", points)
    return points
