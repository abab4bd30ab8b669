# SPDX-License-Identifier: GPL-3.0-or-later
"""The light of a capture: as the capture says, else fitted to the low frequencies of its pictures.

Of the light about a head, spherical harmonics to degree 2 say what a diffuse surface reflects, to
1 % (Ramamoorthi and Hanrahan 2001); what the head itself keeps from a vertex is left out of them
there (precomputed transfer, Sloan et al. 2002). Pictures show that times the albedo, which is taken
to be one of each region of the head. What is not so, highlights and hair before the skin, counts
little by the weights of a robust fit (Tukey's biweight).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double, Float, Index
from engine.core.srgb import linear
from engine.heads.head import Head
from training.avatar.preview import spread
from training.avatar.views import reduced
from training.data.capture_light import load_light
from training.data.multiview import MultiViewCapture, View

SKIN_LUMINANCE = 0.43
"""Of light skin: pictures say what is reflected, so one of light and skin has to be assumed."""
_VIEWS = 48
_HEIGHT = 200
"""Pixels of a picture that is looked at, at most twice as many."""
_PARTS = ("lips", "brows", "scalp")
"""Regions with an albedo of their own; what is left is skin."""
_LEFT_OUT = ("mouth_interior", "gums", "tongue", "teeth", "eyeballs")
_FACING = 0.35
"""Cosine of view from which on a vertex is looked at."""
_CELL, _BEHIND = 0.006, 0.012
"""Metres: of the depth map's cells, and that a vertex may lie behind what is seen."""
_SOLID = 0.98
_DIRECTIONS = 192
_SAMPLES = 40_000
_ROUNDS = 30
_TUKEY = 4.685
_RIDGE = 5e-3
_LEAST = 0.02
"""Of the mean light: no vertex is darker."""
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


class LightFit(NamedTuple):
    """The light of a capture in its world.

    Attributes:
        harmonics: (9, 3) of :func:`harmonics`, scene-linear radiance from the directions.
        albedos: (3,) of each region that was seen.
        rotation: (3, 3) mean of the head's, head space to world.
    """

    harmonics: Double
    albedos: dict[str, Double]
    rotation: Double

    def on(self, head: Head) -> Float:
        """(V, 3) float32 the light at the vertices of the neutral head."""
        found = transfer(head) @ harmonics(sphere() @ self.rotation.T) @ self.harmonics
        return np.maximum(found, _LEAST * found.mean()).astype(np.float32)


def light_of(capture: MultiViewCapture) -> tuple[Float, str]:
    """The light of a capture at the vertices of its neutral head, and where it is known from.

    Raises:
        BadInputError: the capture's file of it is damaged.
    """
    known = load_light(capture.folder, capture.head)
    if known is not None:
        return known, "the capture's own"
    views = capture.split("train")
    chosen = [views[index] for index in spread(len(views), _VIEWS)]
    return fit_light(capture.head, chosen).on(capture.head), f"fitted to {len(chosen)} pictures"


def fit_light(head: Head, views: list[View]) -> LightFit:
    """Find the light in pictures.

    Args:
        head: that they show.
        views: composited on black.
    """
    region, carried = _regions(head), transfer(head)
    step = max(1, len(views) * head.vertex_count // _SAMPLES)
    found = []
    for number, view in enumerate(views):
        vertices, colors = _seen(head, region, view)
        chosen = slice(number % step, None, step)
        incoming = harmonics(sphere() @ view.head_matrix[:3, :3].numpy().T)
        found.append(
            (carried[vertices[chosen]] @ incoming, colors[chosen], region[vertices[chosen]])
        )
    basis, colors, regions = (np.concatenate(parts) for parts in zip(*found, strict=True))
    names = ("skin", *_PARTS)
    present = [number for number in range(len(names)) if (regions == number).any()]
    albedos = np.ones((len(names), 3))
    light = np.zeros((9, 3))
    for channel in range(3):
        light[:, channel], albedos[:, channel] = _factored(
            basis, colors[:, channel], regions, len(names)
        )
    skin = regions == present[0]
    # White balance makes the mean light grey; its level is what skin of that albedo reflects.
    level = float(np.median(colors[skin], axis=0) @ _LUMINANCE) / SKIN_LUMINANCE
    scale = level / np.maximum((basis[skin] @ light).mean(axis=0), 1e-6)
    by_name = {names[number]: albedos[number] / scale for number in present}
    turns = np.mean([view.head_matrix[:3, :3].numpy() for view in views], axis=0)
    u, _, v = np.linalg.svd(turns.astype(np.float64))
    return LightFit(light * scale, by_name, u @ v)


def harmonics(normals: Double) -> Double:
    """(N, 9) the real spherical harmonics to degree 2, unnormalised, at unit vectors (N, 3)."""
    x, y, z = normals.T
    one = np.ones_like(x)
    return np.stack([one, x, y, z, x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1], axis=1)


def vertex_normals(vertices: Float, faces: Index) -> Double:
    """(V, 3) unit normals, means of the triangles' by their areas."""
    corners = vertices[faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals: Double = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return normals


def _regions(head: Head) -> Index:
    """(V,) 0 for skin, the number of a part, or -1 where nothing is looked at."""
    region = np.zeros(head.vertex_count, np.int32)
    for number, name in enumerate(_PARTS, 1):
        region[head.regions.get(name, [])] = number
    for name in _LEFT_OUT:
        region[head.regions.get(name, [])] = -1
    return region


def sphere() -> Double:
    """(D, 3) unit vectors that are evenly spread (Fibonacci lattice)."""
    index = np.arange(_DIRECTIONS) + 0.5
    z, angle = 1 - 2 * index / _DIRECTIONS, index * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


@lru_cache(maxsize=1)  # The fit and what it says of the head need the same.
def transfer(head: Head) -> Double:
    """(V, D) what a white diffuse vertex reflects of the radiance from each of :func:`sphere`.

    Neutral face; a direction that the head itself is before gives nothing.
    """
    normals = vertex_normals(head.template, head.faces)
    directions = sphere()
    cosines = np.clip(normals @ directions.T, 0, None)
    points = _with_centres(head.template, head.faces).astype(np.float64)
    for number, direction in enumerate(directions):
        side = np.cross(direction, np.eye(3)[np.argmin(np.abs(direction))])
        side /= np.linalg.norm(side)
        axes = np.stack([side, np.cross(direction, side), -direction], axis=1)
        cosines[_hidden(points @ axes, len(normals), _CELL), number] = 0
    carried: Double = cosines * (4 / _DIRECTIONS)
    return carried


def _seen(head: Head, region: Index, view: View) -> tuple[Index, Double]:
    """The vertices that a picture shows, and their scene-linear colours."""
    small = reduced(view, max(1, view.camera.height // _HEIGHT))
    camera, vertices = small.camera, view.vertices.numpy()
    normals = vertex_normals(vertices, head.faces)
    towards = camera.viewpoint - vertices
    towards = towards / np.linalg.norm(towards, axis=1, keepdims=True)
    local = (vertices @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]).astype(np.float64)
    flat = np.concatenate([local[:, :2] / local[:, 2:], local[:, 2:]], axis=1)
    column, row = (
        np.floor(camera.K[axis, axis] * flat[:, axis] + camera.K[axis, 2]).astype(int)
        for axis in (0, 1)
    )
    seen = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    seen &= ((towards * normals).sum(axis=1) > _FACING) & (region >= 0)
    every = _with_centres(flat, head.faces)
    seen &= ~_hidden(every, len(flat), _CELL / float(np.median(local[:, 2])))
    chosen = np.flatnonzero(seen)
    chosen = chosen[small.alpha.numpy()[row[chosen], column[chosen]] > _SOLID]
    colors = small.image.numpy()[row[chosen], column[chosen]].astype(np.float64)
    return chosen.astype(np.int32), linear(colors)


def _with_centres(points: NDArray[np.floating[Any]], faces: Index) -> NDArray[np.floating[Any]]:
    """(V + F, 3) the vertices, and the middles of the triangles."""
    return np.concatenate([points, points[faces].mean(axis=1)])


def _hidden(points: Double, vertices: int, cell: float) -> NDArray[np.bool_]:
    """(V,) whether a vertex lies behind the mesh, by a coarse map of the nearest depths.

    Args:
        points: (V + F, 3) of :func:`_with_centres`: where in the picture's plane, and the depth in
            metres.
        vertices: V.
        cell: size of the map's cells, in units of the plane.
    """
    cells = np.floor(points[:, :2] / cell).astype(np.int64)
    cells -= cells.min(axis=0)
    index = cells[:, 1] * (int(cells[:, 0].max()) + 1) + cells[:, 0]
    nearest = np.full(int(index.max()) + 1, np.inf)
    np.minimum.at(nearest, index, points[:, 2])
    hidden: NDArray[np.bool_] = points[:vertices, 2] > nearest[index[:vertices]] + _BEHIND
    return hidden


def _factored(basis: Double, colors: Double, regions: Index, count: int) -> tuple[Double, Double]:
    """A channel's light (9,) and albedos (count,): their products are the colours, by and large."""
    light: Double = np.zeros(9)
    albedo: Double = np.ones(count)
    light[0] = 1.0
    weight = np.ones_like(colors)
    ridge = _RIDGE * np.diag([0.0, *([1.0] * 3), *([4.0] * 5)])
    for _ in range(_ROUNDS):
        shown = basis @ light
        for number in range(count):
            of = regions == number
            if of.any():
                albedo[number] = (weight * shown * colors)[of].sum() / max(
                    float((weight * shown * shown)[of].sum()), 1e-12
                )
        rows = basis * albedo[regions][:, None]
        normal = (rows * weight[:, None]).T @ rows
        normal += ridge * normal[0, 0]
        light = np.linalg.solve(normal, (rows * weight[:, None]).T @ colors)
        light /= max(float(light[0]), 1e-12)
        off = colors - albedo[regions] * (basis @ light)
        spread_of = 1.4826 * float(np.median(np.abs(off))) + 1e-6
        kept: Double = np.maximum(1.0 - np.square(off / (_TUKEY * spread_of)), 0.0)
        weight = kept * kept
    return light, albedo
