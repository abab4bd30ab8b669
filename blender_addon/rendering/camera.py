# SPDX-License-Identifier: GPL-3.0-or-later
"""From Blender's cameras and views to the engine's camera: plain numbers, no ``bpy``.

Blender's image plane is described in ``BKE_camera_params_compute_viewplane``; the same sums are
written here as a pinhole matrix K with pixel centres at +0.5 and OpenCV axes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...engine.core.arrays import Double
from ...engine.core.errors import BadInputError

_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
"""Blender's cameras look along -Z with +Y up; OpenCV's look along +Z with +Y down."""


@dataclass(frozen=True)
class Crop:
    """A render region in whole pixels of the full frame, counted from its lower left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class ViewLens:
    """A lens with depth of field.

    Attributes:
        radius: of the aperture, metres.
        focus: planar distance that is sharp, metres.
    """

    radius: float
    focus: float

    def blur(self, focal: float, depth: float) -> float:
        """Radius of the circle of confusion, pixels.

        Args:
            focal: length, pixels.
            depth: planar, metres.
        """
        return focal * self.radius * abs(depth - self.focus) / (self.focus * max(depth, 1e-3))


@dataclass(frozen=True, eq=False)
class ViewCamera:
    """What ``avatar.render`` needs to know of a camera.

    Attributes:
        viewmat: (4, 4) Blender world to camera, OpenCV axes.
        K: (3, 3) intrinsics in pixels; orthographic: ``fx`` and ``fy`` are pixels per metre.
        width: pixels.
        height: pixels.
        near: metres.
        far: metres.
        orthographic: parallel rays.
    """

    viewmat: Double
    K: Double
    width: int
    height: int
    near: float
    far: float
    orthographic: bool

    @property
    def eye(self) -> Double:
        """(3,) where the rays come from; of parallel rays a point far behind the camera."""
        position = -self.viewmat[:3, :3].T @ self.viewmat[:3, 3]
        return position - 1e4 * self.viewmat[2, :3] if self.orthographic else position

    def body(self) -> dict[str, Any]:
        """The ``camera`` parameter of ``avatar.render`` (docs/protocol.md)."""
        return {
            "viewmat": [float(value) for value in self.viewmat.reshape(-1)],
            "K": [float(value) for value in self.K.reshape(-1)],
            "width": self.width,
            "height": self.height,
            "near": self.near,
            "far": self.far,
            "orthographic": self.orthographic,
        }

    def scaled(self, factor: float) -> ViewCamera:
        """The same view with ``factor`` times as many pixels along each side, at least one."""
        width = max(1, round(self.width * factor))
        height = max(1, round(self.height * factor))
        K = np.diag([width / self.width, height / self.height, 1.0]) @ self.K
        return replace(self, K=K, width=width, height=height)


def film_size(render: Any) -> tuple[int, int]:
    """Width and height of the full frame in pixels: the resolution and its percentage."""
    share = render.resolution_percentage
    return max(1, render.resolution_x * share // 100), max(1, render.resolution_y * share // 100)


def render_region(render: Any) -> Crop:
    """The pixels that are rendered: the render region where one is set, else the full frame."""
    width, height = film_size(render)
    if not render.use_border:
        return Crop(0, 0, width, height)
    # Blender multiplies in single precision and drops the fraction.
    left, right = (
        int(np.float32(v) * np.float32(width)) for v in (render.border_min_x, render.border_max_x)
    )
    bottom, top = (
        int(np.float32(v) * np.float32(height)) for v in (render.border_min_y, render.border_max_y)
    )
    return Crop(left, bottom, max(1, right - left), max(1, top - bottom))


def camera_view(
    matrix_world: Any, camera: Any, render: Any, shift_x: float | None = None
) -> ViewCamera:
    """The view through a camera object for a final render.

    Args:
        matrix_world: the camera object's matrix; its scale is ignored, as Blender does.
        camera: ``bpy.types.Camera``.
        render: ``bpy.types.RenderSettings``; gives resolution, pixel aspect and render region.
        shift_x: of the lens of one eye of a stereo pair; else the camera's.

    Raises:
        BadInputError: a panoramic camera, which a pinhole rasteriser cannot show.
    """
    if camera.type not in {"PERSP", "ORTHO"}:
        raise BadInputError(
            f"The camera '{camera.name}' is of type {camera.type.title()}.",
            "Avatars render through perspective and orthographic cameras.",
        )
    width, height = film_size(render)
    # One pixel is this much taller than wide.
    aspect = render.pixel_aspect_y / render.pixel_aspect_x
    fit = camera.sensor_fit
    if fit == "AUTO":
        fit = "HORIZONTAL" if width >= height * aspect else "VERTICAL"
    span = width if fit == "HORIZONTAL" else height * aspect
    orthographic = camera.type == "ORTHO"
    if orthographic:
        focal = span / camera.ortho_scale
    else:
        # An automatic fit measures the sensor's width even when the image is taller than wide.
        vertical = camera.sensor_fit == "VERTICAL"
        focal = span * camera.lens / (camera.sensor_height if vertical else camera.sensor_width)
    crop = render_region(render)
    center_x = width / 2 - (camera.shift_x if shift_x is None else shift_x) * span - crop.x
    center_y = height / 2 + camera.shift_y * span / aspect - (height - crop.y - crop.height)
    K = np.array([[focal, 0, center_x], [0, focal / aspect, center_y], [0, 0, 1]])
    return ViewCamera(
        _world_to_camera(np.array(matrix_world, np.float64)),
        K,
        crop.width,
        crop.height,
        camera.clip_start,
        camera.clip_end,
        orthographic,
    )


def lens_of(camera: Any, matrix_world: Any, focus_point: Any) -> ViewLens | None:
    """The lens of a camera with depth of field; ``None`` where everything is sharp.

    Args:
        camera: ``bpy.types.Camera``.
        matrix_world: of the camera object.
        focus_point: (3,) world space of what it is focused on; ``None`` for its focus distance.
    """
    if not camera.dof.use_dof or camera.type != "PERSP":
        return None
    focus = camera.dof.focus_distance
    if focus_point is not None:
        forward = -np.array(matrix_world, np.float64)[:3, 2]
        away = np.array(focus_point, np.float64) - np.array(matrix_world, np.float64)[:3, 3]
        focus = abs(float(away @ forward)) / float(np.linalg.norm(forward))
    radius = camera.lens / 1000 / (2 * max(camera.dof.aperture_fstop, 1e-3))
    return ViewLens(radius, float(focus)) if focus > 0 else None


def lens_at(camera: Any, depsgraph: Any) -> ViewLens | None:
    """The lens of an evaluated camera object, as its depsgraph has what it is focused on."""
    target = camera.data.dof.focus_object
    point = target.evaluated_get(depsgraph).matrix_world.translation if target else None
    return lens_of(camera.data, camera.matrix_world, point)


def region_view(
    view_matrix: Any, window_matrix: Any, width: int, height: int, clip: tuple[float, float]
) -> ViewCamera:
    """The view of a 3D viewport.

    Args:
        view_matrix: ``region_data.view_matrix``, world to view, OpenGL axes.
        window_matrix: ``region_data.window_matrix``, the OpenGL projection.
        width: pixels of the region.
        height: pixels of the region.
        clip: near and far, metres.
    """
    P = np.array(window_matrix, np.float64)
    orthographic = bool(P[3, 3] == 1.0)
    x, y = (P[0, 3], P[1, 3]) if orthographic else (-P[0, 2], -P[1, 2])
    K = np.array(
        [
            [P[0, 0] * width / 2, 0, (1 + x) * width / 2],
            [0, P[1, 1] * height / 2, (1 - y) * height / 2],
            [0, 0, 1],
        ]
    )
    viewmat = _OPENGL_TO_OPENCV @ np.array(view_matrix, np.float64)
    near, far = clip
    if orthographic:
        # An orthographic viewport also shows what lies behind its centre.
        near = -far
    return ViewCamera(viewmat, K, width, height, near, far, orthographic)


def _world_to_camera(matrix_world: Double) -> Double:
    """Inverse of the camera's matrix without its scale, in OpenCV axes."""
    rotation = matrix_world[:3, :3] / np.linalg.norm(matrix_world[:3, :3], axis=0)
    viewmat = np.eye(4)
    viewmat[:3, :3] = np.linalg.inv(rotation)
    viewmat[:3, 3] = -viewmat[:3, :3] @ matrix_world[:3, 3]
    return _OPENGL_TO_OPENCV @ viewmat
