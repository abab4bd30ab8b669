# SPDX-License-Identifier: GPL-3.0-or-later
"""How the mouths of a scene move over its frames, and checks of it."""

from __future__ import annotations

import bpy
import numpy as np
from walking import check


def keys_of(obj: bpy.types.Object) -> bpy.types.bpy_prop_collection:
    return obj.data.shape_keys.key_blocks


def values(obj: bpy.types.Object, frames: range) -> dict[str, np.ndarray]:
    """(T,) values of each shape key over some frames of the scene."""
    rows = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        rows.append([key.value for key in keys_of(obj)[1:]])
    return dict(zip([key.name for key in keys_of(obj)[1:]], np.array(rows).T, strict=True))


def line_of(obj: bpy.types.Object, name: str) -> range:
    """Make a line the active one; the frames that it takes are returned."""
    obj.gaussianspeech_active_line = obj.gaussianspeech_lines.find(name)
    scene = bpy.context.scene
    strip = scene.sequence_editor.strips_all[obj.gaussianspeech_lines[name].strip]
    return range(strip.left_handle, strip.right_handle)


def opening(obj: bpy.types.Object, frames: range) -> np.ndarray:
    """(T,) how far the mouth is open; ARKit's mouthClose takes back what the jaw opens."""
    found = values(obj, frames)
    return found["jawOpen"] - found["mouthClose"]


def closing(opened: np.ndarray) -> int:
    """The first frame on which the lips are all but closed."""
    return int((opened < 0.06).argmax())


def open_frame(obj: bpy.types.Object, name: str) -> int:
    frames = line_of(obj, name)
    return frames[int(opening(obj, frames).argmax())]


def own_keys(obj: bpy.types.Object) -> list[tuple[float, ...]]:
    """The keyframes of an object's own Action, which lies above its lines."""
    animation = obj.data.shape_keys.animation_data
    curves = animation.action.layers[0].strips[0].channelbag(animation.action_slot).fcurves
    return [tuple(key.co) for curve in curves for key in curve.keyframe_points]


def check_same(out: dict[str, np.ndarray], back: dict[str, np.ndarray], most: float) -> None:
    """Check that what has come back moves as what went out."""
    check(np.ptp(out["jawOpen"]) > 0.2, "What went out does not move")
    apart = {name: float(abs(out[name] - back[name]).max()) for name in out}
    worst = max(apart, key=apart.get)
    print("largest difference of what came back:", worst, apart[worst], flush=True)
    check(apart[worst] < most, f"'{worst}' comes back {apart[worst]} off")
