# SPDX-License-Identifier: GPL-3.0-or-later
"""A studio's light on a mesh, with its shadows, for baking into the default avatar's colours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Faces = NDArray[np.int32]


class DepthMap(NamedTuple):
    """What a parallel projection sees.

    Attributes:
        axes: (3, 3) rows right, up, towards the viewer.
        corner: (2,) position of pixel (0, 0) along right and up, metres.
        pixel: metres per pixel.
        depth: (H, W) position along the third axis of the nearest surface, or −inf.
        face: (H, W) its triangle, or −1.
    """

    axes: Array
    corner: Array
    pixel: float
    depth: Array
    face: NDArray[np.int32]

    def pixels(self, points: Array) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """Row, column and height towards the viewer of (N, 3) points, held inside the map."""
        local = points @ self.axes.T
        index = np.floor((local[:, :2] - self.corner) / self.pixel).astype(np.int64)
        height, width = self.depth.shape
        return index[:, 1].clip(0, height - 1), index[:, 0].clip(0, width - 1), local[:, 2]


@njit(cache=True)
def _fill(local: Array, faces: Faces, corner: Array, pixel: float, depth: Array, face: Any) -> None:
    height, width = depth.shape
    for f in range(faces.shape[0]):
        a, b, c = local[faces[f, 0]], local[faces[f, 1]], local[faces[f, 2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(area) < 1e-16:
            continue
        x0 = int((min(a[0], b[0], c[0]) - corner[0]) / pixel)
        x1 = int((max(a[0], b[0], c[0]) - corner[0]) / pixel)
        y0 = int((min(a[1], b[1], c[1]) - corner[1]) / pixel)
        y1 = int((max(a[1], b[1], c[1]) - corner[1]) / pixel)
        for y in range(max(y0, 0), min(y1 + 1, height)):
            for x in range(max(x0, 0), min(x1 + 1, width)):
                px, py = corner[0] + (x + 0.5) * pixel, corner[1] + (y + 0.5) * pixel
                u = ((b[0] - px) * (c[1] - py) - (b[1] - py) * (c[0] - px)) / area
                v = ((c[0] - px) * (a[1] - py) - (c[1] - py) * (a[0] - px)) / area
                w = 1 - u - v
                if u < 0 or v < 0 or w < 0:
                    continue
                z = u * a[2] + v * b[2] + w * c[2]
                if z > depth[y, x]:
                    depth[y, x] = z
                    face[y, x] = f


def depth_map(vertices: Array, faces: Faces, direction: Array, pixel: float) -> DepthMap:
    """See a mesh from ``direction`` (3,), a unit vector towards the viewer.

    Args:
        vertices: (V, 3).
        faces: (F, 3); both sides are seen.
        direction: towards the viewer.
        pixel: metres per pixel.
    """
    up = np.array([0.0, 1, 0]) if abs(direction[1]) < 0.9 else np.array([0.0, 0, -1])
    right = np.cross(up, direction)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(direction, right), direction])
    local = vertices @ axes.T
    corner = local[:, :2].min(0) - pixel
    width, height = np.ceil((local[:, :2].max(0) - corner) / pixel).astype(int) + 1
    depth = np.full((height, width), -np.inf)
    face = np.full((height, width), -1, np.int32)
    _fill(local, faces, corner, pixel, depth, face)
    return DepthMap(axes, corner, pixel, depth, face)


class Studio(NamedTuple):
    """Light from every side.

    Attributes:
        directions: (N, 3) unit vectors, evenly spread over the sphere.
        radiance: (N, 3) linear Rec.709 light from each, times its share of the sphere.
    """

    directions: Array
    radiance: Array


def portrait_studio(count: int = 300) -> Studio:
    """A large key light from the upper left of the picture, a fill, two rims and a dim room."""
    golden = np.pi * (3 - np.sqrt(5))
    y = 1 - 2 * (np.arange(count) + 0.5) / count
    radius, angle = np.sqrt(1 - y * y), golden * np.arange(count)
    directions = np.stack([radius * np.sin(angle), y, radius * np.cos(angle)], 1)
    room = 0.08 + 0.13 * (0.5 + 0.5 * y)[:, None] * np.array([0.95, 1.0, 1.08])
    light = room * np.array([1.0, 0.97, 0.94])
    lamps: list[tuple[tuple[float, float, float], float, tuple[float, float, float]]] = [
        ((-0.70, 0.55, 0.56), 22.0, (8.2, 7.65, 7.0)),
        ((0.80, 0.10, 0.62), 34.0, (0.55, 0.60, 0.70)),
        ((0.72, 0.42, -0.62), 22.0, (3.2, 3.3, 3.6)),
        ((-0.85, 0.30, -0.45), 20.0, (1.5, 1.5, 1.6)),
        ((0.0, 0.98, 0.12), 26.0, (1.1, 1.1, 1.15)),
    ]
    for towards, spread, color in lamps:
        unit = np.array(towards) / np.linalg.norm(towards)
        off_axis = np.degrees(np.arccos((directions @ unit).clip(-1, 1)))
        light = light + np.exp(-0.5 * (off_axis / (0.6 * spread)) ** 2)[:, None] * np.array(color)
    return Studio(directions, light * 4 * np.pi / count)


class Lighting(NamedTuple):
    """Light at points of a surface: (N, 3) each, linear.

    Attributes:
        diffuse: irradiance / π: the radiance a white surface shows.
        specular: what a moderately rough, uncoloured coat reflects to a viewer in front.
    """

    diffuse: Array
    specular: Array


def light_at(
    points: Array,
    normals: Array,
    vertices: Array,
    faces: Faces,
    studio: Studio,
    *,
    wrap: Array,
    roughness: float = 0.42,
) -> Lighting:
    """Gather the studio's light at points of a mesh, with the mesh's own shadows.

    Args:
        points: (N, 3) on the mesh.
        normals: (N, 3) unit.
        vertices: (V, 3) of the mesh that shadows.
        faces: (F, 3).
        studio: the light.
        wrap: (3,) per colour, how far light creeps round the terminator: what scattering under
            the skin does, red most.
        roughness: of the specular lobe (GGX).
    """
    diffuse, specular = np.zeros((len(points), 3)), np.zeros((len(points), 3))
    viewer = np.array([0.0, 0.0, 1.0])
    facing = (normals @ viewer).clip(0.05, 1)
    lifted = points + 0.0012 * normals
    for direction, radiance in zip(studio.directions, studio.radiance, strict=True):
        seen = depth_map(vertices, faces, direction, 0.001)
        row, column, height = seen.pixels(lifted)
        lit = np.clip(1 - (seen.depth[row, column] - height - 0.0005) / 0.002, 0, 1)
        cosine = normals @ direction
        wrapped = ((cosine[:, None] + wrap) / (1 + wrap)).clip(0, 1)
        diffuse += lit[:, None] * wrapped / (1 + wrap) * radiance / np.pi
        half = direction + viewer
        half /= max(float(np.linalg.norm(half)), 1e-6)
        a2 = roughness**4
        along = (normals @ half).clip(0, 1)
        lobe = a2 / (np.pi * (along**2 * (a2 - 1) + 1) ** 2)
        fresnel = 0.028 + 0.972 * (1 - max(float(half @ viewer), 0.0)) ** 5
        specular += (
            lit * (cosine > 0) * lobe * fresnel / (4 * np.maximum(facing, cosine).clip(0.1, 1))
        )[:, None] * radiance
    return Lighting(diffuse, specular)


def to_display(linear: Array) -> Array:
    """Linear light to display-referred sRGB with a soft shoulder above 0.8."""
    knee = 0.75
    over = np.maximum(linear - knee, 0)
    soft = np.where(linear > knee, knee + (1 - knee) * (1 - np.exp(-over / (1 - knee))), linear)
    soft = np.maximum(soft, 0)
    return np.where(soft <= 0.0031308, 12.92 * soft, 1.055 * soft ** (1 / 2.4) - 0.055)


def to_linear(display: Array) -> Array:
    """Linear light of sRGB values."""
    return np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)
