# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera of a render, in gsplat's conventions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole or orthographic camera.

    Attributes:
        viewmat: (4, 4) float32 world-to-camera, OpenCV axes: x right, y down, z forward.
        K: (3, 3) float32 intrinsics in pixels; pixel centres lie at +0.5. Orthographic: ``fx``,
            ``fy`` are pixels per metre.
        width: pixels.
        height: pixels.
        near: metres; Gaussians nearer are dropped.
        far: metres; Gaussians farther are dropped.
        orthographic: parallel rays instead of a pinhole.
    """

    viewmat: Float
    K: Float
    width: int
    height: int
    near: float = 0.01
    far: float = 1e10
    orthographic: bool = False

    @property
    def position(self) -> Float:
        """(3,) the camera's centre in world space, metres."""
        rotation, translation = self.viewmat[:3, :3], self.viewmat[:3, 3]
        return (-rotation.T @ translation).astype(np.float32)

    @property
    def viewpoint(self) -> Float:
        """(3,) where the rays come from, world space, metres.

        The centre of a pinhole camera; for parallel rays a point so far behind the camera that
        they differ by nothing that shows.
        """
        if not self.orthographic:
            return self.position
        return (self.position - 1e4 * self.viewmat[2, :3]).astype(np.float32)


def look_at(
    eye: Float,
    target: Float,
    *,
    width: int,
    height: int,
    vertical_fov: float,
    up: tuple[float, float, float] = (0.0, 1.0, 0.0),
) -> Camera:
    """A camera at ``eye`` that looks at ``target``.

    Args:
        eye: (3,) world space, metres.
        target: (3,) world space, metres.
        width: pixels.
        height: pixels.
        vertical_fov: radians.
        up: world up; +Y in head space.
    """
    eye64, target64 = np.asarray(eye, np.float64), np.asarray(target, np.float64)
    forward = (target64 - eye64) / np.linalg.norm(target64 - eye64)
    right: NDArray[np.float64] = np.cross(forward, np.asarray(up, np.float64))
    right = right / np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    viewmat = np.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ eye64
    focal = 0.5 * height / math.tan(0.5 * vertical_fov)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(viewmat.astype(np.float32), K.astype(np.float32), width, height)
