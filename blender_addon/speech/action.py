# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of this add-on: which they are, what they were baked from, and filling them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.arrays import Float
from .. import compat
from ..characters.targets import Channel
from . import edits
from .keying import ChannelKeys
from .prediction import Prediction
from .reach import group_of
from .slices import Steps

_ABOUT = "gaussianspeech_prediction"
_VALUES = "gaussianspeech_values"

_ID = "gaussianspeech_id"

_FREE, _ALIGNED = 0, 3
"""Numbers of handle types in ``foreach_set``."""


def is_bake(action: bpy.types.Action | None) -> bool:
    """Whether an action holds a bake of this add-on."""
    return action is not None and _ABOUT in action


def is_filled(action: bpy.types.Action) -> bool:
    """Whether the channels of an action are of this add-on: a bake's, or head motion."""
    return edits.remembers(action) or edits.is_of_0_1_0(action)


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
    return _unpacked(action[_ABOUT], bytes(action[_VALUES]))


@lru_cache(maxsize=8)
def _unpacked(about: str, values: bytes) -> Prediction:
    """A slider reads the same one again and again."""
    return Prediction.unpack(about, values)


def store_prediction(action: bpy.types.Action, packed: tuple[str, bytes]) -> None:
    """Keep a packed prediction with the action, so that the saved file can be baked again."""
    for name, value in zip((_ABOUT, _VALUES), packed, strict=True):
        # Blender cuts bytes that replace shorter ones to the old length.
        action.pop(name, None)
        action[name] = value


def fill_channels(
    action: bpy.types.Action,
    datablock: bpy.types.ID,
    channels: Sequence[Channel],
    keys: Sequence[ChannelKeys | None],
    frames: NDArray[np.float64],
) -> Steps[None]:
    """Make the action's channels anew; those that were muted stay so.

    They are remembered, to see later whether they were edited.

    Args:
        action: to fill.
        datablock: what it animates, or another of its kind.
        channels: path, component and values of each.
        keys: of each channel; without any it gets no curve.
        frames: (T,) frames of the Action, evenly spaced, of the samples that the keys are on.
    """
    muted = edits.muted_channels(action)
    compat.clear_fcurves(action)
    spacing = float(frames[1] - frames[0]) if len(frames) > 1 else 1.0
    for (path, index, _), made in zip(channels, keys, strict=True):
        if made is not None:
            curve = compat.new_fcurve(action, datablock, path, index, group_of(path))
            _set_keys(curve, made, float(frames[0]), spacing)
        yield None
    compat.remove_empty_groups(action)
    edits.mute_channels(action, muted)
    yield from edits.remembering(action)


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
