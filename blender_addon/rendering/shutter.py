# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion blur and depth of field of a final render: how many pictures are averaged. No ``bpy``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.core.arrays import Float
from .camera import ViewCamera, ViewLens
from .instances import AvatarInstance

_PIXELS = 2.0
"""Largest distance that anything moves between two pictures of one frame."""
_MOST_TIMES = 32
_SHARP = 0.5
"""Radius of a circle of confusion that does not show, pixels."""
_LEAST_LENS, _MOST_LENS = 8, 64


def shutter_of(render: Any) -> tuple[float, float] | None:
    """Frames before and after the frame while the shutter is open; ``None`` without motion blur.

    Args:
        render: ``bpy.types.RenderSettings``.
    """
    if not render.use_motion_blur or render.motion_blur_shutter <= 0:
        return None
    length = float(render.motion_blur_shutter)
    start = {"START": 0.0, "CENTER": -length / 2, "END": -length}[render.motion_blur_position]
    return start, start + length


def times_needed(
    opened: Sequence[Float], closed: Sequence[Float], camera: tuple[ViewCamera, ViewCamera]
) -> int:
    """Pictures over the time that the shutter is open: one where nothing moves.

    Args:
        opened: (V, 3) vertices of each avatar when it opens, world space.
        closed: likewise, when it closes; others, where avatars come or go.
        camera: when it opens and when it closes.
    """
    farthest = 0.0
    for before, after in zip(opened, closed, strict=False):
        if len(before) == len(after):
            moved = pixels_of(camera[1], after) - pixels_of(camera[0], before)
            farthest = max(farthest, float(np.abs(moved).max(initial=0.0)))
    return min(_MOST_TIMES, max(1, math.ceil(farthest / _PIXELS)))


def lens_samples(lens: ViewLens | None, camera: ViewCamera, vertices: Sequence[Float]) -> int:
    """Points of the aperture that are averaged; 0 where all avatars are sharp.

    Args:
        lens: of the camera.
        camera: from where.
        vertices: (V, 3) of each avatar, world space.
    """
    if lens is None or not vertices:
        return 0
    depths = [points @ camera.viewmat[2, :3] + camera.viewmat[2, 3] for points in vertices]
    ends = [float(end) for depth in depths for end in (depth.min(), depth.max()) if end > 0]
    widest = max((lens.blur(camera.K[0, 0], end) for end in ends), default=0.0)
    if widest < _SHARP:
        return 0
    return min(_MOST_LENS, max(_LEAST_LENS, math.ceil(2 * widest)))


def world_vertices(instance: AvatarInstance) -> Float:
    """(V, 3) world space."""
    turned = instance.vertices @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
    return turned.astype(np.float32)


def pixels_of(camera: ViewCamera, points: Float) -> NDArray[np.float64]:
    """(V, 2) where points of the world are seen; what lies behind the camera is held before it."""
    local = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    away = 1.0 if camera.orthographic else np.maximum(local[:, 2:], camera.near)
    return local[:, :2] / away * np.diag(camera.K)[:2] + camera.K[:2, 2]
