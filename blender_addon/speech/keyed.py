# SPDX-License-Identifier: GPL-3.0-or-later
"""Controls over time: the sliders of a head or of a line, or their keyframes.

A keyed control is read from its F-curve in the head's own Action, at each frame of a line. Strips
of the NLA and drivers are not looked at.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.motion.face.emotion import EMOTIONS
from .. import compat
from .adjust import AMOUNTS, Adjustments, Amount
from .slices import Steps

Curves = Mapping[str, bpy.types.FCurve]

CONTROLS = (*AMOUNTS, *EMOTIONS, "smoothing", "offset")
"""The controls that can be keyed."""

_OF_LINE = ("strength", "offset")
"""What a line has beside its controls, and can be keyed."""


def keyed(owner: Any) -> Curves:
    """The F-curves of the properties of controls, or of a line, by property."""
    prefix = owner.path_from_id() + "."
    return {
        curve.data_path.removeprefix(prefix): curve
        for curve in compat.fcurves_of(owner.id_data)
        if curve.data_path.startswith(prefix)
        and not (curve.mute or (curve.group is not None and curve.group.mute))
    }


def amount(owner: Any, name: str, frames: NDArray[np.float64], curves: Curves) -> Amount:
    """A control: its value, or (T,) float64 over scene frames where it is keyed.

    Args:
        owner: of the property.
        name: of the property.
        frames: (T,) scene frames.
        curves: of the owner.
    """
    if name not in curves:
        return float(getattr(owner, name))
    limits = owner.bl_rna.properties[name]
    values = [curves[name].evaluate(frame) for frame in frames]
    return np.clip(np.array(values), limits.hard_min, limits.hard_max)


def fixed_offset(owner: Any) -> int:
    """Frames by which all of a line comes later; a keyed offset delays it as it is baked."""
    return 0 if "offset" in keyed(owner) else int(owner.offset)


def asked(
    find: Callable[[], tuple[Any, Any]], frames: NDArray[np.float64], rate: float
) -> Steps[Adjustments]:
    """What controls and a line ask for.

    Args:
        find: gives the controls that count for the line, and the line: ``GAUSSIANSPEECH_PG_line``.
        frames: (T,) scene frames.
        rate: scene frames for each frame of the prediction.
    """
    amounts: dict[str, Amount] = {}
    for name in (*AMOUNTS, *EMOTIONS, "smoothing"):
        controls, _ = find()
        amounts[name] = amount(controls, name, frames, keyed(controls))
        yield None
    controls, line = find()
    curves, of_line = keyed(controls), keyed(line)
    amounts["strength"] = amounts["strength"] * amount(line, "strength", frames, of_line)
    emotions = np.zeros((len(frames), len(EMOTIONS)))
    for column, name in enumerate(EMOTIONS):
        emotions[:, column] = amounts.pop(name)
    amounts["smoothing"] = amounts["smoothing"] / 1000
    delay: Amount = 0.0
    for owner, found in ((controls, curves), (line, of_line)):
        if "offset" in found:
            delay = delay + amount(owner, "offset", frames, found) / rate
    return Adjustments(
        **amounts,
        emotions=emotions if emotions.any() else None,
        delay=delay,
        seed=controls.seed,
    )


def digest(controls: Any, line: Any) -> str:
    """What distinguishes controls with their keys from others."""
    about: list[Any] = [controls.seed]
    about.append(controls.look_at.name if controls.look_at is not None else None)
    checksum = 0
    animation = controls.id_data.animation_data
    driven = {driver.data_path for driver in animation.drivers} if animation is not None else ()
    for owner, names in ((controls, CONTROLS), (line, _OF_LINE)):
        curves, prefix = keyed(owner), owner.path_from_id()
        still = [name for name in names if name not in curves and f"{prefix}.{name}" not in driven]
        about += [round(float(getattr(owner, name)), 5) for name in still]
        for name in sorted(set(curves) & set(names)):
            about += [name, curves[name].extrapolation, len(curves[name].modifiers)]
            checksum = zlib.crc32(_shape(curves[name]), checksum)
    return f"{zlib.crc32(json.dumps(about).encode(), checksum):08x}"


def _shape(curve: bpy.types.FCurve) -> bytes:
    """The keys of a curve, rounded: Blender computes handles anew when it updates a curve."""
    points = curve.keyframe_points
    shape = np.empty(len(points), np.int32)
    points.foreach_get("interpolation", shape)
    parts = [shape.tobytes()]
    for name in ("co", "handle_left", "handle_right"):
        values = np.empty(2 * len(points), np.float32)
        points.foreach_get(name, values)
        parts.append(np.rint(values * 100).astype(np.int64).tobytes())
    return b"".join(parts)
