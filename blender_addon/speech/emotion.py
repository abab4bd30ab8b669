# SPDX-License-Identifier: GPL-3.0-or-later
"""The emotions an artist asks for: sliders of a head, or their keyframes."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.motion.face.emotion import EMOTIONS
from .. import compat

Double = NDArray[np.float64]


def keyed_emotions(obj: bpy.types.Object) -> dict[str, bpy.types.FCurve]:
    """The F-curves of a head's emotions in its own Action, by emotion."""
    paths = {f"gaussianspeech_speech.{name}": name for name in EMOTIONS}
    return {
        paths[curve.data_path]: curve
        for curve in compat.fcurves_of(obj)
        if curve.data_path in paths and not curve.mute
    }


def asked_emotions(obj: bpy.types.Object, frames: NDArray[np.float64]) -> Double | None:
    """How much of each emotion a head is asked for at scene frames.

    Args:
        obj: the head.
        frames: (T,) scene frames.

    Returns:
        (T, 6) in 0 to 1, in the order of :data:`engine.motion.face.emotion.EMOTIONS`; ``None``
        where there is nothing.
    """
    settings, keyed = obj.gaussianspeech_speech, keyed_emotions(obj)
    amounts = np.zeros((len(frames), len(EMOTIONS)))
    for column, name in enumerate(EMOTIONS):
        curve = keyed.get(name)
        if curve is None:
            amounts[:, column] = getattr(settings, name)
        else:
            amounts[:, column] = [curve.evaluate(frame) for frame in frames]
    return np.clip(amounts, 0.0, 1.0) if amounts.any() else None
