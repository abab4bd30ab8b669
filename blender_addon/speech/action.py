# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of this add-on: which they are, filling them, and whether an artist has changed them."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterable
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

_FORM = "2:"
"""Begins the fingerprints of this form; those of 0.1.0 have no such mark."""

_SHAPING = (
    ("handle_left", 2, np.float32),
    ("handle_right", 2, np.float32),
    ("easing", 1, np.int32),
    ("amplitude", 1, np.float32),
    ("back", 1, np.float32),
    ("period", 1, np.float32),
)
"""What shapes a curve between keys that are not joined by straight lines."""

_NOT_SHAPING = {"rna_type", "show_expanded", "active", "is_valid", "name"}
"""Properties of modifiers that are about the interface."""


def is_bake(action: bpy.types.Action | None) -> bool:
    """Whether an action holds a bake of this add-on."""
    return action is not None and _ABOUT in action


def is_filled(action: bpy.types.Action) -> bool:
    """Whether the channels of an action are of this add-on: a bake's, or head motion."""
    return _FINGERPRINT in action


def bake_id(action: bpy.types.Action) -> str:
    """Identity of a bake, which survives renaming; given at the first call."""
    if _ID not in action:
        action[_ID] = uuid.uuid4().hex
    return action[_ID]


def copy_bake(action: bpy.types.Action) -> bpy.types.Action:
    """A copy of a bake that is a bake of its own."""
    copy = action.copy()
    copy[_ID] = uuid.uuid4().hex
    return copy


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
    """Whether somebody has changed the curves since the bake."""
    kept = str(action.get(_FINGERPRINT, ""))
    current = _fingerprint if kept.startswith(_FORM) else _positions_fingerprint
    return kept != current(action)


def fill_channels(
    action: bpy.types.Action,
    datablock: bpy.types.ID,
    channels: Iterable[tuple[str, int, Float]],
    frames: NDArray[np.float64],
) -> None:
    """Make the action's channels anew, and remember them, to see later whether they were edited.

    Args:
        action: to fill.
        datablock: what it animates.
        channels: path, component and (T,) values of each.
        frames: (T,) frames of the Action.
    """
    compat.clear_fcurves(action)
    for path, index, values in channels:
        needed = needed_keys(values)
        _set_keys(compat.new_fcurve(action, datablock, path, index), frames[needed], values[needed])
    action[_FINGERPRINT] = _fingerprint(action)


def _set_keys(curve: Any, frames: NDArray[np.float64], values: Float) -> None:
    points = curve.keyframe_points
    points.add(len(values))
    points.foreach_set("co", np.stack([frames, values], axis=1).astype(np.float32).ravel())
    points.foreach_set("interpolation", np.full(len(values), _LINEAR, np.int32))
    curve.update()


def _fingerprint(action: bpy.types.Action) -> str:
    """Checksum of everything that shapes the curves."""
    checksum = 0
    for curve in sorted(compat.fcurves(action), key=_channel):
        muted = curve.mute or (curve.group is not None and curve.group.mute)
        about = [curve.data_path, curve.extrapolation, muted, _properties(curve.modifiers)]
        checksum = zlib.crc32(repr(about).encode(), checksum)
        shapes = _key_array(curve, "interpolation", 1, np.int32)
        checksum = zlib.crc32(shapes.tobytes(), checksum)
        checksum = zlib.crc32(_key_array(curve, "co", 2, np.float32).tobytes(), checksum)
        if (shapes != _LINEAR).any():
            # Only then; where they shape nothing, versions of Blender put handles differently.
            for name, size, kind in _SHAPING:
                checksum = zlib.crc32(_key_array(curve, name, size, kind).tobytes(), checksum)
    return f"{_FORM}{checksum:08x}"


def _channel(curve: bpy.types.FCurve) -> tuple[str, int]:
    return curve.data_path, curve.array_index


def _key_array(curve: bpy.types.FCurve, name: str, size: int, kind: type) -> NDArray[Any]:
    points = curve.keyframe_points
    values = np.empty(size * len(points), kind)
    points.foreach_get(name, values)
    return values


def _properties(values: Any) -> Any:
    """The settings of modifiers as plain values, to compare them by."""
    if isinstance(values, bpy.types.bpy_prop_collection):
        return [_properties(value) for value in values]
    if isinstance(values, bpy.types.bpy_struct):
        return [
            (known.identifier, _properties(getattr(values, known.identifier)))
            for known in values.bl_rna.properties
            if known.identifier not in _NOT_SHAPING
        ]
    return values if isinstance(values, bool | int | float | str) else list(values)


def _positions_fingerprint(action: bpy.types.Action) -> str:
    """What 0.1.0 kept: a checksum of the keys' positions."""
    checksum = 0
    for curve in sorted(compat.fcurves(action), key=lambda curve: curve.data_path):
        checksum = zlib.crc32(curve.data_path.encode(), checksum)
        checksum = zlib.crc32(_key_array(curve, "co", 2, np.float32).tobytes(), checksum)
    return f"{checksum:08x}"
