# SPDX-License-Identifier: GPL-3.0-or-later
"""A holdout round and behind the avatars: of the scene only what may occlude them is rendered.

Blender renders a scene for another's compositor in the whole of that one's frame; a render region
of its own is ignored. A plane before the camera, open where the avatars are, ends all other rays at
once. A plane behind the avatars ends those that meet nothing before it; without it, what a moving
head uncovers while the shutter is open would count as an occluder.
"""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ..camera import ViewCamera, ViewLens
from .mattes import matte_material, seen_by_cameras_alone

NAME = "GaussianSpeech Holdout"

_FRONT = 0.5
"""Distance of the front plane, of that from the camera to the nearest avatar."""
BEHIND = 0.06
"""Metres from the last vertex of a head to the back plane: as far as hair may stand off."""
_AROUND = 2
"""Pixels round the avatars."""
_FACES = ((0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (8, 9, 10, 11))
"""The front plane's four sides round its opening, and the back plane."""


def make_holdout() -> bpy.types.Object:
    """The holdout, in no collection yet; :func:`fit_holdout` gives it its shape."""
    mesh = bpy.data.meshes.new(NAME)
    mesh.from_pydata(np.zeros((12, 3)).tolist(), [], _FACES)
    mesh.materials.append(matte_material())
    holdout = bpy.data.objects.new(NAME, mesh)
    holdout.hide_select = holdout.hide_viewport = True
    seen_by_cameras_alone(holdout)
    for kind in ("COPY_LOCATION", "COPY_ROTATION"):  # A camera's scale does not count.
        holdout.constraints.new(kind)
    return holdout


def follow_camera(holdout: bpy.types.Object, camera: bpy.types.Object | None) -> None:
    """Have the holdout before another camera."""
    for constraint in holdout.constraints:
        if constraint.target != camera:
            constraint.target = camera


def fit_holdout(holdout: bpy.types.Object, corners: NDArray[np.float32]) -> None:
    """Give the holdout the shape of :func:`holdout_corners`."""
    holdout.data.vertices.foreach_set("co", corners.reshape(-1))
    holdout.data.update()


def holdout_corners(
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
    front = max(nearest * _FRONT, camera.near + 0.01 * (nearest - camera.near))
    left, top, right, bottom = covered
    back = depths[1] + BEHIND
    opening = (left - _AROUND, top - _AROUND, right + _AROUND, bottom + _AROUND)
    wide, high = camera.width, camera.height
    whole = (-wide, -high, 2 * wide, 2 * high)
    return np.concatenate(
        [
            _rectangle(camera, whole, front, _spread(lens, front)),
            _rectangle(camera, opening, front, _spread(lens, front)),
            _rectangle(camera, whole, back, _spread(lens, back)),
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
