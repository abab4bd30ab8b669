# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of this add-on: which they are, filling them, and whether an artist has changed them."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .. import compat
from ..characters.targets import Channel
from .keying import LINEAR, ChannelKeys, Keying, keys_of
from .prediction import Prediction
from .reach import group_of, reach_of

Float = NDArray[np.float32]

_ABOUT = "gaussianspeech_prediction"
_VALUES = "gaussianspeech_values"
_FINGERPRINT = "gaussianspeech_fingerprint"
_NUMBERS = "gaussianspeech_keys"

_ID = "gaussianspeech_id"

_FREE, _ALIGNED = 0, 3
"""Numbers of handle types in ``foreach_set``."""

_FORM = "3:"
"""Begins the fingerprints of this form; those of 0.1.0 have no such mark."""

_SHAPING = (
    ("handle_left", 2),
    ("handle_right", 2),
    ("amplitude", 1),
    ("back", 1),
    ("period", 1),
)
"""What shapes a curve between keys that are not joined by straight lines, with components."""

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
    if not kept.startswith(_FORM):
        return kept != _positions_fingerprint(action)
    if kept != _fingerprint(action):
        return True
    numbers = _numbers(action)
    written = np.frombuffer(zlib.decompress(bytes(action[_NUMBERS])), np.float32)
    # Aligned handles are computed anew, with other rounding, when a curve is updated.
    return len(numbers) != len(written) or not np.allclose(numbers, written, rtol=1e-5, atol=1e-5)


def remember(action: bpy.types.Action) -> None:
    """Keep what the curves are now, to see later whether they were edited."""
    action[_FINGERPRINT] = _fingerprint(action)
    # Blender cuts bytes that replace shorter ones to the old length.
    action.pop(_NUMBERS, None)
    action[_NUMBERS] = zlib.compress(_numbers(action).tobytes())


def fill_channels(
    action: bpy.types.Action,
    datablock: bpy.types.ID,
    channels: Sequence[Channel],
    frames: NDArray[np.float64],
    keying: Keying | None = None,
    rate: float = 1.0,
) -> None:
    """Make the action's channels anew, and remember them, to see later whether they were edited.

    Args:
        action: to fill.
        datablock: what it animates.
        channels: path, component and (T,) values of each; one that moves nothing gets no curve.
        frames: (T,) frames of the Action, evenly spaced.
        keying: how keys are made; fitted by default.
        rate: scene frames for each frame of the Action.
    """
    compat.clear_fcurves(action)
    keying = Keying() if keying is None else keying
    if channels:
        spacing = float(frames[1] - frames[0]) if len(frames) > 1 else 1.0
        values = np.stack([values for _, _, values in channels], axis=1)
        reach = reach_of(datablock, channels, keying.lips)
        for (path, index, _), keys in zip(
            channels, keys_of(values, keying, reach, rate * spacing), strict=True
        ):
            if keys is not None:
                curve = compat.new_fcurve(action, datablock, path, index, group_of(path))
                _set_keys(curve, keys, float(frames[0]), spacing)
    compat.remove_empty_groups(action)
    remember(action)


def _set_keys(curve: Any, keys: ChannelKeys, start: float, spacing: float) -> None:
    """Fill a curve; samples lie ``spacing`` frames apart from ``start``."""
    points, count = curve.keyframe_points, len(keys.at)
    frames = start + spacing * keys.at
    points.add(count)
    points.foreach_set("co", _pairs(frames, keys.value))
    points.foreach_set("interpolation", np.full(count, keys.interpolation, np.int32))
    if keys.curve is not None:
        # Handles a third of the way: then a curve's x is linear, as it was fitted.
        before = np.diff(keys.at, prepend=keys.at[0] - 1.0) / 3.0
        after = np.diff(keys.at, append=keys.at[-1] + 1.0) / 3.0
        left, right = keys.curve.left, keys.curve.right
        kinds = np.where(left == right, _ALIGNED, _FREE).astype(np.int32)
        for side, reach, slope in (("left", -before, left), ("right", after, right)):
            points.foreach_set(f"handle_{side}_type", kinds)
            handles = _pairs(frames + spacing * reach, keys.value + reach * slope)
            points.foreach_set(f"handle_{side}", handles)
    curve.update()


def _pairs(x: NDArray[np.float64], y: NDArray[np.float64]) -> Float:
    return np.stack([x, y], axis=1).astype(np.float32).ravel()


def _fingerprint(action: bpy.types.Action) -> str:
    """Checksum of everything that shapes the curves and is no number of their keys."""
    checksum = 0
    for curve in sorted(compat.fcurves(action), key=_channel):
        muted = curve.mute or (curve.group is not None and curve.group.mute)
        about = [curve.data_path, curve.array_index, curve.extrapolation, muted]
        checksum = zlib.crc32(repr([*about, _properties(curve.modifiers)]).encode(), checksum)
        shapes = _key_array(curve, "interpolation", 1, np.int32)
        checksum = zlib.crc32(shapes.tobytes(), checksum)
        if (shapes > LINEAR).any():
            checksum = zlib.crc32(_key_array(curve, "easing", 1, np.int32).tobytes(), checksum)
    return f"{_FORM}{checksum:08x}"


def _numbers(action: bpy.types.Action) -> Float:
    """The numbers that shape the curves, one after the other."""
    numbers = [np.zeros(0, np.float32)]
    for curve in sorted(compat.fcurves(action), key=_channel):
        numbers.append(_key_array(curve, "co", 2, np.float32))
        if (_key_array(curve, "interpolation", 1, np.int32) > LINEAR).any():
            # Only then; where they shape nothing, versions of Blender put handles differently.
            numbers += [_key_array(curve, name, size, np.float32) for name, size in _SHAPING]
    return np.concatenate(numbers)


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
