# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair, brows and lashes of the default avatar: thin splats that grow from the skin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.assets.build.avatar_light import DepthMap
from engine.assets.build.avatar_palette import HAIR, noise, step

Array = NDArray[np.float64]
Faces = NDArray[np.int32]


class Strands(NamedTuple):
    """Thin splats.

    Attributes:
        face: (N,) the triangle each grows from.
        centers: (N, 3) metres.
        axes: (N, 3, 3) columns: along the hair, across, outward.
        deviations: (N, 3) metres.
        colors: (N, 3) sRGB before light.
        shade: (N,) light that reaches it, from 0 to 1: roots lie in the shade of tips.
        opacity: (N,) factor on the opacity of its kind.
    """

    face: NDArray[np.int64]
    centers: Array
    axes: Array
    deviations: Array
    colors: Array
    shade: Array
    opacity: Array


def strands(
    face: NDArray[np.int64],
    roots: Array,
    normals: Array,
    along: Array,
    *,
    lift: Array,
    length: Array,
    width: Array,
    colors: Array,
    shade: Array,
    opacity: Array | None = None,
) -> Strands:
    """Put one splat on each hair, its root end on the skin's side.

    Args:
        face: (N,) triangle of the root.
        roots: (N, 3).
        normals: (N, 3) of the skin.
        along: (N, 3) direction of growth, any length.
        lift: (N,) height of the splat's centre above the root, metres.
        length: (N,) deviation along the hair, metres.
        width: (N,) deviation across.
        colors: (N, 3).
        shade: (N,).
        opacity: (N,), 1 by default.
    """
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(normals, along)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    axes = np.stack([along, across, np.cross(along, across)], 2)
    centers = roots + lift[:, None] * normals + (1.2 * length)[:, None] * along
    deviations = np.stack([length, width, 0.6 * width], 1)
    solid = np.ones(len(face)) if opacity is None else opacity
    return Strands(face, centers, axes, deviations, colors, shade, solid)


def hair_mask(points: Array) -> Array:
    """(N,) 1 where hair grows on the skull, 0 on bare skin, with an uneven line between.

    The hairline is a height by the angle round the head: high over the forehead with receding
    corners, down in front of the ear as a sideburn, round the ear, and low at the nape.
    """
    x, y, z = points.T
    angle = np.degrees(np.arctan2(np.abs(x), z - 0.002))
    knots = [0, 18, 30, 42, 56, 66, 74, 80, 88, 102, 116, 132, 150, 180]
    heights = [84, 86, 90, 78, 54, 22, 2, 4, 31, 33, 14, -18, -34, -38]
    line = np.interp(angle, knots, np.array(heights) * 1e-3)
    ragged = 0.0022 * noise(points, 0.006, 11) + 0.0016 * noise(points, 0.0022, 12)
    return step(-0.0075, 0.0060, y - line + ragged)


def _growth(points: Array, normals: Array, seed: int) -> Array:
    """(N, 3) direction of the hair: swept back and to one side, down where the head is steep."""
    _, y, z = points.T
    swept = np.stack(
        [
            0.42 * step(0.02, 0.1, y) + 0.30 * noise(points, 0.012, seed),
            -0.75 * step(0.10, 0.03, y)
            - 0.9 * step(-0.02, -0.07, z)
            + 0.25 * noise(points, 0.01, seed + 1),
            -1.0 + 0.75 * step(-0.03, -0.08, z) + 0.2 * noise(points, 0.014, seed + 2),
        ],
        1,
    )
    flat = swept - (swept * normals).sum(1, keepdims=True) * normals
    unit: Array = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return unit


def _volume(points: Array) -> Array:
    """(N,) thickness of the hair, metres: full on top, cropped at the sides and the nape."""
    y, z = points[:, 1], points[:, 2]
    top = step(0.035, 0.105, y)
    front = step(0.02, 0.075, z) * step(0.075, 0.095, y)
    return 0.0022 + 0.0085 * top + 0.0035 * front


def scalp_hair(
    face: NDArray[np.int64],
    roots: Array,
    normals: Array,
    random: np.random.Generator,
) -> Strands:
    """Short hair over the skull, in layers from the skin outward.

    Args:
        face: (N,) triangle of each root.
        roots: (N, 3) points spread evenly over the skull.
        normals: (N, 3) smooth unit normals there.
        random: source of the small differences between hairs.
    """
    mask = hair_mask(roots)
    grows = mask > random.uniform(0.15, 0.85, len(roots))
    face, roots, normals, mask = face[grows], roots[grows], normals[grows], mask[grows]
    count = len(roots)
    layer = random.uniform(0, 1, count)
    volume = _volume(roots) * (0.35 + 0.65 * mask)
    along = _growth(roots, normals, 21) + 0.10 * random.normal(size=(count, 3))
    # At the forehead's edge they stand up from the line instead of lying along it.
    front = step(0.05, 0.085, roots[:, 2]) * step(0.95, 0.4, mask)
    along += front[:, None] * np.array([-0.35, 1.3, 0.0])
    rise = 0.16 + 0.20 * layer * step(0.004, 0.012, volume)
    along = along / np.linalg.norm(along, axis=1, keepdims=True) + rise[:, None] * normals
    clump = 0.5 + 0.5 * noise(roots, 0.0075, 31)
    tint = 1 + 0.20 * (clump - 0.5) + 0.14 * random.normal(size=count)
    colors = (
        HAIR
        * tint.clip(0.55, 1.7)[:, None]
        * (1 + 0.25 * layer[:, None] * np.array([1.0, 0.8, 0.6]))
    )
    short = step(0.003, 0.010, volume)
    thick = random.uniform(0.75, 1.3, count)
    return strands(
        face,
        roots,
        normals,
        along,
        lift=volume * layer,
        length=(0.0030 + 0.0040 * short) * random.uniform(0.8, 1.25, count),
        width=(0.00048 + 0.00026 * short) * (0.30 + 0.70 * mask**1.5) * thick,
        colors=colors,
        shade=0.30 + 0.70 * layer**0.8 * (0.75 + 0.5 * (clump - 0.5)),
        opacity=0.35 + 0.65 * step(0.15, 0.85, mask),
    )


def edge_hair(
    face: NDArray[np.int64],
    roots: Array,
    normals: Array,
    random: np.random.Generator,
) -> Strands:
    """Single fine hairs along the hairline, which has no edge then.

    Args:
        face: (N,) triangle of each root.
        roots: (N, 3) points spread evenly over the skull.
        normals: (N, 3) smooth unit normals there.
        random: source of the small differences between hairs.
    """
    mask = hair_mask(roots)
    edge = np.flatnonzero((mask > 0.06) & (mask < 0.80) & (roots[:, 2] > -0.02))
    edge = edge.repeat(3)
    count = len(edge)
    # About a third of the distance between roots.
    aside = 0.0011 * random.normal(size=(count, 3))
    aside -= (aside * normals[edge]).sum(1, keepdims=True) * normals[edge]
    # Over the forehead they rise before they turn back with the others.
    rising = step(0.05, 0.085, roots[edge, 2])[:, None] * np.array([-0.25, 1.5, 0.0])
    along = 0.7 * _growth(roots[edge], normals[edge], 21) + rising
    along += 0.28 * random.normal(size=(count, 3))
    along -= (along * normals[edge]).sum(1, keepdims=True) * normals[edge]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    return strands(
        face[edge],
        roots[edge] + aside,
        normals[edge],
        along + 0.12 * normals[edge],
        lift=np.full(count, 0.0003),
        length=0.0021 * random.uniform(0.6, 1.3, count),
        width=0.00013 * random.uniform(0.7, 1.3, count),
        colors=HAIR * random.uniform(0.8, 1.4, (count, 1)),
        shade=np.full(count, 0.8),
        opacity=random.uniform(0.4, 1.0, count) * (0.45 + 0.55 * mask[edge]),
    )


class FrontView(NamedTuple):
    """The face seen from the front, for hairs that are placed by their x and y."""

    seen: DepthMap
    vertices: Array
    faces: Faces
    normals: Array

    def at(self, x: Array, y: Array) -> tuple[NDArray[np.int64], Array, Array]:
        """Triangle, point and normal of the front-most surface at (N,) x and y."""
        row, column, _ = self.seen.pixels(np.stack([x, y, np.zeros_like(x)], 1))
        face = self.seen.face[row, column].astype(np.int64)
        points = np.stack([x, y, self.seen.depth[row, column]], 1)
        normal = self.normals[self.faces[face]].mean(1)
        return face, points, normal / np.linalg.norm(normal, axis=1, keepdims=True)


def brows(
    view: FrontView, region: Array, random: np.random.Generator, count: int, *, width: float
) -> Strands:
    """Both eyebrows, ``count`` hairs each.

    Args:
        view: the face from the front.
        region: (N, 3) vertices of the brows' region; the brow follows its lower edge.
        random: source of the small differences between hairs.
        count: hairs a brow.
        width: deviation across a hair, metres; wide faint ones make the shade between hairs.
    """
    side = region[region[:, 0] > 0]
    low, high = side[:, 0].min() + 0.001, side[:, 0].max() + 0.004
    floor, ceiling = side[:, 1].min(), side[:, 1].max()
    u = np.tile(random.uniform(0, 1, count) ** 0.9, 2)
    sign = np.repeat([-1.0, 1.0], count)
    x = low + (high - low) * u
    arch = floor + (ceiling - floor) * (0.20 + 0.52 * np.sin(np.pi * (0.08 + 0.80 * u) ** 1.15))
    half = 0.0040 * step(-0.15, 0.12, u) * (1 - 0.62 * step(0.35, 1.0, u))
    v = random.uniform(-1, 1, 2 * count)
    x = x + 0.0016 * step(0.25, 0.0, u) * random.normal(size=2 * count)
    # Sparser and softer towards the nose and at the rims.
    faint = (0.30 + 0.70 * step(-0.05, 0.35, u)) * (1 - 0.45 * v**2)
    face, roots, normals = view.at(sign * x, arch + half * v)
    turn = np.radians(62 - 72 * step(0.0, 0.75, u) - 16 * v) + 0.15 * random.normal(size=2 * count)
    along = np.stack([sign * np.cos(turn), np.sin(turn), np.zeros_like(x)], 1)
    along -= (along * normals).sum(1, keepdims=True) * normals
    tint = random.uniform(0.75, 1.25, (2 * count, 1))
    return strands(
        face,
        roots,
        normals,
        along + 0.10 * normals,
        lift=np.full(2 * count, 0.0003),
        length=0.0020 * random.uniform(0.7, 1.2, 2 * count) * (1 - 0.25 * u),
        width=np.full(2 * count, width),
        colors=HAIR * 1.05 * tint,
        shade=np.full(2 * count, 0.8),
        opacity=faint,
    )
