# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds the default avatar's eyeballs: lids' shade, lashes, tears, reflections."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.assets.build.avatar_strands import FrontView, Strands, strands

Array = NDArray[np.float64]

_REACH = 0.0155
"""Half the width in which an eye is looked for, metres."""


_RIM = 0.0008
"""Metres above the lid's edge where skin turns as one: the edge itself rolls as the eye closes."""


class Opening(NamedTuple):
    """An eye between its lids, seen from the front.

    Attributes:
        center: (3,) of the eyeball.
        x: (N,) columns across the opening.
        upper: (N,) y of the upper lid's edge.
        lower: (N,) y of the lower lid's edge.
        radius: of the eyeball, metres.
    """

    center: Array
    x: Array
    upper: Array
    lower: Array
    radius: float


def opening(view: FrontView, center: Array, eyeball: NDArray[np.bool_]) -> Opening:
    """Find the lids' edges of an open eye.

    Args:
        view: the face from the front, eyes open.
        center: (3,) of the eyeball.
        eyeball: (F,) triangles that belong to eyeballs.
    """
    columns = center[0] + _REACH * np.linspace(-1, 1, 320)
    edges = []
    for direction in (1.0, -1.0):
        sweep = center[1] - 0.0005 + direction * np.arange(0, 0.012, view.seen.pixel)
        edge = np.full_like(columns, np.nan)
        for k, column in enumerate(columns):
            on_eye = eyeball[view.at(np.full_like(sweep, column), sweep)[0]]
            if on_eye[0] and not on_eye.all():
                edge[k] = sweep[on_eye.argmin()]
        edges.append(edge)
    found = ~np.isnan(edges[0]) & ~np.isnan(edges[1])
    x, upper, lower = columns[found], edges[0][found], edges[1][found]
    deep = view.vertices[view.faces[eyeball].ravel()]
    mine = deep[deep[:, 0] * center[0] > 0]
    return Opening(center, x, _smooth(upper), _smooth(lower), 0.5 * float(np.ptp(mine[:, 0])))


def _smooth(values: Array) -> Array:
    """(N,) without the steps of the pixels they were measured in."""
    kernel = np.hanning(15)
    result: Array = np.convolve(np.pad(values, 7, "edge"), kernel / kernel.sum(), "valid")
    return result


def lid_shade(points: Array, eye: Opening) -> Array:
    """(N,) what the lids and lashes leave of the light on an eyeball at (N, 3) points."""
    x, y = points[:, 0], points[:, 1]
    below = (np.interp(x, eye.x, eye.upper) - y).clip(0, None)
    above = (y - np.interp(x, eye.x, eye.lower)).clip(0, None)
    shade: Array = 1 - 0.58 * np.exp(-below / 0.0016) - 0.18 * np.exp(-above / 0.0007)
    return shade.clip(0.2, 1)


def under_eyes(points: Array, eyes: tuple[Opening, ...]) -> Array:
    """(N,) 1 under the lower lids, fading out over a centimetre."""
    total = np.zeros(len(points))
    for eye in eyes:
        x = (points[:, 0] - eye.x.mean()) / 0.017
        y = (points[:, 1] - eye.lower.min() + 0.0045) / 0.0058
        total += np.exp(-(x**4) - y**2) * (points[:, 2] > eye.center[2])
    return total.clip(0, 1)


def lashes(view: FrontView, eye: Opening, random: np.random.Generator, count: int) -> Strands:
    """The upper lashes of an eye; bound to the lid's edge, they close with it.

    Args:
        view: the face from the front, eyes open.
        eye: where to put them.
        random: source of the small differences between hairs.
        count: hairs.
    """
    pick = np.sort(random.choice(len(eye.x), min(count, len(eye.x)), replace=False))
    x, y = eye.x[pick], eye.upper[pick]
    _, roots, normals = view.at(x, y + 0.0003)
    face = view.at(x, y + _RIM)[0]
    aside = (x - eye.center[0]) / _REACH
    fan = 0.75 * aside + 0.12 * random.normal(size=len(x))
    along = np.stack([fan, np.full(len(x), 0.36), np.full(len(x), 0.95)], 1)
    # Longest at the outer corner.
    size = 0.0012 + 0.0005 * np.sign(eye.center[0]) * aside
    return strands(
        face,
        roots,
        normals,
        along,
        lift=np.full(len(x), 0.0001),
        length=size * random.uniform(0.75, 1.1, len(x)),
        width=np.full(len(x), 0.000065),
        colors=np.full((len(x), 3), 0.12),
        shade=np.ones(len(x)),
    )


def lash_line(view: FrontView, eye: Opening) -> Strands:
    """The lashes' roots, one soft dark line along the upper lid's edge."""
    return _along_lid(
        view, eye, eye.upper + 0.0002, width=0.00026, color=0.13, lift=0.00015, rim=_RIM
    )


def tear_line(view: FrontView, eye: Opening) -> Strands:
    """The wet rim of the lower lid."""
    return _along_lid(view, eye, eye.lower - 0.0001, width=0.00013, color=0.93, lift=0.0, rim=0.0)


def _along_lid(
    view: FrontView,
    eye: Opening,
    y: Array,
    *,
    width: float,
    color: float,
    lift: float,
    rim: float,
) -> Strands:
    """Splats end to end along a line over the lid, bound ``rim`` metres above it."""
    pick = np.linspace(3, len(eye.x) - 4, 44).round().astype(int)
    face, roots, normals = view.at(eye.x[pick], y[pick])
    face = view.at(eye.x[pick], y[pick] + rim)[0]
    depth = np.convolve(np.pad(roots[:, 2], 2, "edge"), np.full(5, 0.2), "valid")
    roots = np.stack([roots[:, 0], roots[:, 1], np.minimum(roots[:, 2], depth + 0.0003)], 1)
    along = np.gradient(roots, axis=0)
    gap = np.linalg.norm(along, axis=1)
    end = np.abs(np.linspace(-1, 1, len(pick)))
    opacity = 1 - 0.7 * end**3
    result = strands(
        face,
        roots,
        normals,
        along,
        lift=np.full(len(pick), lift),
        length=np.maximum(0.9 * gap, 0.0003),
        width=np.full(len(pick), width),
        colors=np.full((len(pick), 3), color),
        shade=np.ones(len(pick)),
        opacity=opacity,
    )
    return result._replace(centers=roots + lift * normals)


def catch_lights(eye: Opening) -> tuple[Array, Array, Array]:
    """Reflections on an eye: centres (N, 3), deviations (N,), opacities (N,).

    They lie where a cornea's normal halves the angle between a lamp and a viewer in front: the
    key's up at the left of the picture, the fill's low at the right.
    """
    centers, sizes, opacities = [], [], []
    for (dx, dy), size, opacity in (
        ((-0.0023, 0.0025), 0.00078, 0.97),
        ((-0.0019, 0.0021), 0.00130, 0.16),
        ((0.0026, -0.0014), 0.00060, 0.26),
    ):
        depth = np.sqrt(eye.radius**2 - dx**2 - dy**2) + 0.0006
        centers.append(eye.center + np.array([dx, dy, depth]))
        sizes.append(size)
        opacities.append(opacity)
    return np.array(centers), np.array(sizes), np.array(opacities)
