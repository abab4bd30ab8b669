# SPDX-License-Identifier: GPL-3.0-or-later
"""The emotions an artist asks for: sliders of a head, or their keyframes."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.motion.face.emotion import EMOTIONS
from .. import compat

Double = NDArray[np.float64]


def keyed_emotions(controls: Any) -> dict[str, bpy.types.FCurve]:
    """The F-curves of the emotions among controls, in the head's own Action, by emotion."""
    prefix = controls.path_from_id()
    paths = {f"{prefix}.{name}": name for name in EMOTIONS}
    return {
        paths[curve.data_path]: curve
        for curve in compat.fcurves_of(controls.id_data)
        if curve.data_path in paths and not curve.mute
    }


def asked_emotions(controls: Any, frames: NDArray[np.float64]) -> Double | None:
    """How much of each emotion is asked for at scene frames.

    Args:
        controls: of a head, or of a line.
        frames: (T,) scene frames.

    Returns:
        (T, 6) in 0 to 1, in the order of :data:`engine.motion.face.emotion.EMOTIONS`; ``None``
        where there is nothing.
    """
    keyed = keyed_emotions(controls)
    amounts = np.zeros((len(frames), len(EMOTIONS)))
    for column, name in enumerate(EMOTIONS):
        curve = keyed.get(name)
        if curve is None:
            amounts[:, column] = getattr(controls, name)
        else:
            amounts[:, column] = [curve.evaluate(frame) for frame in frames]
    return np.clip(amounts, 0.0, 1.0) if amounts.any() else None
