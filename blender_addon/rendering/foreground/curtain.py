# SPDX-License-Identifier: GPL-3.0-or-later
"""A holdout round and behind the avatars: of the scene only what may stand before them is rendered.

Blender renders a scene for another's compositor in the whole of that one's frame; a render region
of its own is ignored. A screen before the camera, with a window where the avatars are, ends all
other rays at once. A wall behind the avatars ends those that meet nothing before it; without, what
a moving head uncovers while the shutter is open would count as standing before it.
"""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ..camera import ViewCamera, ViewLens
from .mattes import matte_material, seen_by_cameras_alone

NAME = "GaussianSpeech Curtain"

_SCREEN = 0.5
"""Distance of the screen, of that from the camera to the nearest avatar."""
_BEHIND = 0.06
"""Metres from the last vertex of a head to the wall: as far as hair may stand off."""
_AROUND = 2
"""Pixels round the avatars."""
_FACES = ((0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (8, 9, 10, 11))
"""The screen's four sides round its window, and the wall."""


def make_curtain() -> bpy.types.Object:
    """The curtain, in no collection yet; :func:`fit_curtain` gives it its shape."""
    mesh = bpy.data.meshes.new(NAME)
    mesh.from_pydata(np.zeros((12, 3)).tolist(), [], _FACES)
    mesh.materials.append(matte_material())
    curtain = bpy.data.objects.new(NAME, mesh)
    curtain.hide_select = curtain.hide_viewport = True
    seen_by_cameras_alone(curtain)
    for kind in ("COPY_LOCATION", "COPY_ROTATION"):  # A camera's scale does not count.
        curtain.constraints.new(kind)
    return curtain


def follow_camera(curtain: bpy.types.Object, camera: bpy.types.Object | None) -> None:
    """Have the curtain before another camera."""
    for constraint in curtain.constraints:
        if constraint.target != camera:
            constraint.target = camera


def fit_curtain(curtain: bpy.types.Object, corners: NDArray[np.float32]) -> None:
    """Give the curtain the shape of :func:`curtain_corners`."""
    curtain.data.vertices.foreach_set("co", corners.reshape(-1))
    curtain.data.update()


def curtain_corners(
    camera: ViewCamera,
    lens: ViewLens | None,
    covered: tuple[int, int, int, int],
    depths: tuple[float, float],
) -> NDArray[np.float32]:
    """(12, 3) corners in the space of Blender's camera, which looks along −Z.

    Args:
        camera: of the frame.
        lens: its depth of field, if any.
        covered: pixels that the avatars cover: first column and row and those after the last.
        depths: planar metres of the nearest and the farthest vertex of the heads.
    """
    nearest = max(depths[0], camera.near)
    screen = max(nearest * _SCREEN, camera.near + 0.01 * (nearest - camera.near))
    left, top, right, bottom = covered
    window = (left - _AROUND, top - _AROUND, right + _AROUND, bottom + _AROUND)
    wide, high = camera.width, camera.height
    whole = (-wide, -high, 2 * wide, 2 * high)
    return np.concatenate(
        [
            _rectangle(camera, whole, screen, _spread(lens, screen)),
            _rectangle(camera, window, screen, _spread(lens, screen)),
            _rectangle(camera, whole, depths[1] + _BEHIND, _spread(lens, depths[1] + _BEHIND)),
        ]
    )


def _spread(lens: ViewLens | None, depth: float) -> float:
    """Metres beside a pixel's middle ray that its rays reach at a depth."""
    return 0.0 if lens is None else lens.radius * abs(1 - depth / lens.focus)


def _rectangle(
    camera: ViewCamera, pixels: tuple[int, int, int, int], depth: float, spread: float
) -> NDArray[np.float32]:
    """(4, 3) corners of a part of the picture at a depth."""
    away = 1.0 if camera.orthographic else depth
    left, right = ((pixels[i] - camera.K[0, 2]) / camera.K[0, 0] * away for i in (0, 2))
    top, bottom = ((pixels[i] - camera.K[1, 2]) / camera.K[1, 1] * away for i in (1, 3))
    left, right, top, bottom = left - spread, right + spread, top - spread, bottom + spread
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return np.array([(x, -y, -depth) for x, y in corners], np.float32)
