# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of this add-on: recognised, filled, and told apart from those an artist has changed."""

from __future__ import annotations

import uuid
import zlib
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .. import compat
from .adjust import needed_keys
from .prediction import Prediction

Float = NDArray[np.float32]

_ABOUT = "gaussianspeech_prediction"
_VALUES = "gaussianspeech_values"
_FINGERPRINT = "gaussianspeech_fingerprint"

_ID = "gaussianspeech_id"

_LINEAR = 1
"""Number of the interpolation LINEAR in ``foreach_set``."""


def is_bake(action: bpy.types.Action | None) -> bool:
    """Whether an action holds a bake of this add-on."""
    return action is not None and _ABOUT in action


def bake_id(action: bpy.types.Action) -> str:
    """Identity of a bake, which survives renaming; given at the first call."""
    if _ID not in action:
        action[_ID] = uuid.uuid4().hex
    return action[_ID]


def read_prediction(action: bpy.types.Action) -> Prediction:
    """The prediction an action was baked from.

    Raises:
        BadInputError: it cannot be read.
    """
    return Prediction.unpack(action[_ABOUT], bytes(action[_VALUES]))


def store_prediction(action: bpy.types.Action, prediction: Prediction) -> None:
    """Keep the prediction with the action, so that the saved file can be baked again."""
    for name, value in zip((_ABOUT, _VALUES), prediction.pack(), strict=True):
        # Blender cuts bytes that replace shorter ones to the old length.
        action.pop(name, None)
        action[name] = value


def is_edited(action: bpy.types.Action) -> bool:
    """Whether somebody has changed the keys since the bake."""
    return action.get(_FINGERPRINT) != _fingerprint(action)


def fill(
    action: bpy.types.Action,
    keys: bpy.types.Key,
    names: tuple[str, ...],
    values: Float,
    frames: NDArray[np.float64],
) -> list[str]:
    """Make the action's channels anew; keys that stay at zero get none.

    Args:
        action: assigned to ``keys``.
        keys: the mesh's shape keys.
        names: N shape keys.
        values: (T, N).
        frames: (T,) scene frames.

    Returns:
        Names of the keys that are animated.
    """
    compat.clear_fcurves(action)
    animated = [index for index in range(len(names)) if values[:, index].any()]
    for index in animated:
        curve = compat.new_fcurve(action, keys, data_path(names[index]))
        column = values[:, index]
        needed = needed_keys(column)
        _set_keys(curve, frames[needed], column[needed])
    action[_FINGERPRINT] = _fingerprint(action)
    return [names[index] for index in animated]


def animated_keys(action: bpy.types.Action, keys: bpy.types.Key) -> list[str]:
    """Names of the shape keys that an action animates."""
    paths = {curve.data_path for curve in compat.fcurves(action)}
    return [block.name for block in keys.key_blocks if data_path(block.name) in paths]


def data_path(key_name: str) -> str:
    """Path of a shape key's value, seen from the key datablock."""
    return f'key_blocks["{bpy.utils.escape_identifier(key_name)}"].value'


def _set_keys(curve: Any, frames: NDArray[np.float64], values: Float) -> None:
    points = curve.keyframe_points
    points.add(len(values))
    points.foreach_set("co", np.stack([frames, values], axis=1).astype(np.float32).ravel())
    points.foreach_set("interpolation", np.full(len(values), _LINEAR, np.int32))
    curve.update()


def _fingerprint(action: bpy.types.Action) -> str:
    checksum = 0
    for curve in sorted(compat.fcurves(action), key=lambda curve: curve.data_path):
        points = curve.keyframe_points
        values = np.empty(2 * len(points), np.float32)
        points.foreach_get("co", values)
        checksum = zlib.crc32(curve.data_path.encode(), checksum)
        checksum = zlib.crc32(values.tobytes(), checksum)
    return f"{checksum:08x}"
