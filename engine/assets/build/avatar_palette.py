# SPDX-License-Identifier: GPL-3.0-or-later
"""The default avatar's colours before light falls on them, as display-referred sRGB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, diags
from scipy.sparse.csgraph import connected_components

from engine.heads.head import Head

Array = NDArray[np.float64]

SKIN = np.array([0.845, 0.650, 0.548])
BLUSH = np.array([0.825, 0.515, 0.440])
SHADOWED = np.array([0.660, 0.490, 0.440])
LIPS = np.array([0.735, 0.425, 0.395])
LIP_LINE = np.array([0.520, 0.250, 0.240])
GUM = np.array([0.700, 0.370, 0.360])
CAVITY = np.array([0.520, 0.200, 0.190])
TONGUE = np.array([0.760, 0.420, 0.400])
TOOTH = np.array([0.960, 0.885, 0.820])
SCLERA = np.array([0.900, 0.870, 0.850])
SCLERA_EDGE = np.array([0.780, 0.600, 0.570])
IRIS_OUTER = np.array([0.150, 0.195, 0.215])
IRIS_MIDDLE = np.array([0.360, 0.440, 0.450])
IRIS_INNER = np.array([0.560, 0.470, 0.330])
PUPIL = np.array([0.020, 0.018, 0.018])
HAIR = np.array([0.215, 0.145, 0.105])

IRIS_RADIUS = 0.0062
PUPIL_RADIUS = 0.0023


def mix(first: Array, second: Array, amount: Array) -> Array:
    """(N, 3) from ``first`` to ``second`` by ``amount`` (N,)."""
    result: Array = first + (second - first) * amount[:, None]
    return result


def step(low: float, high: float, value: Array) -> Array:
    """Smooth step from 0 at ``low`` to 1 at ``high``; falling where ``high`` < ``low``."""
    t: Array = ((value - low) / (high - low)).clip(0, 1)
    return t * t * (3 - 2 * t)


def noise(points: Array, wavelength: float, seed: int) -> Array:
    """(N,) smooth value noise of about −1 to 1 with features of ``wavelength`` metres."""
    scaled = points / wavelength + 100
    cell = np.floor(scaled).astype(np.int64)
    part = scaled - cell
    part = part * part * (3 - 2 * part)
    total = np.zeros(len(points))
    for corner in np.ndindex(2, 2, 2):
        lattice = (cell + np.array(corner)).astype(np.uint64)
        bits = (
            lattice[:, 0] * np.uint64(0x9E3779B97F4A7C15)
            ^ lattice[:, 1] * np.uint64(0xC2B2AE3D27D4EB4F)
            ^ lattice[:, 2] * np.uint64(0x165667B19E3779F9)
        ) + np.uint64(seed)
        bits = (bits ^ (bits >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (bits >> np.uint64(40)).astype(np.float64) / 2**23 - 1
        weight = np.where(np.array(corner), part, 1 - part).prod(1)
        total += weight * value
    return total


class Soft(NamedTuple):
    """Per-vertex quantities that blend smoothly over the surface.

    Attributes:
        region: (V,) softened membership in [0, 1] by region name.
        part: (V,) connected component of each vertex.
    """

    region: Mapping[str, Array]
    part: NDArray[np.int32]


def soften(head: Head, rounds: Mapping[str, int]) -> Soft:
    """Blur each region over the mesh.

    Args:
        head: the head.
        rounds: smoothing rounds by region name; a round reaches one edge farther.
    """
    V, faces = head.vertex_count, head.faces
    i, j = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    links = coo_matrix((np.ones(len(i)), (i, j)), shape=(V, V)).tocsr()
    links = ((links + links.T) > 0).astype(np.float64)
    degree = np.asarray(links.sum(1)).ravel()
    average = diags(1 / np.maximum(degree, 1)) @ links
    region = {}
    for name, count in rounds.items():
        mask = np.zeros(V)
        mask[head.regions[name]] = 1
        for _ in range(count):
            mask = 0.5 * mask + 0.5 * (average @ mask)
        region[name] = mask
    return Soft(region, connected_components(links, directed=False)[1].astype(np.int32))


def skin(points: Array, normals: Array, region: Mapping[str, Array]) -> Array:
    """(N, 3) skin with lips, at neutral positions in head space.

    Args:
        points: (N, 3).
        normals: (N, 3).
        region: (N,) softened membership by region name.
    """
    x, y, z = points.T
    color = np.broadcast_to(SKIN, points.shape).copy()
    mottle = 0.5 * noise(points, 0.011, 1) + 0.3 * noise(points, 0.0045, 2)
    fine = 0.6 * noise(points, 0.0028, 3) + 0.4 * noise(points, 0.0016, 4)
    color *= 1 + (0.034 * mottle + 0.028 * fine)[:, None] * np.array([0.6, 1.0, 1.1])
    front = step(0.02, 0.07, z)
    cheek = np.exp(-(((np.abs(x) - 0.037) / 0.016) ** 2) - ((y + 0.009) / 0.017) ** 2) * front
    nose = np.exp(-((x / 0.013) ** 2) - ((y + 0.016) / 0.014) ** 2) * step(0.095, 0.115, z)
    chin = np.exp(-((x / 0.016) ** 2) - ((y + 0.076) / 0.012) ** 2) * front
    blush = 0.18 * cheek + 0.30 * nose + 0.14 * chin + 0.50 * region["ears"]
    color = mix(color, BLUSH, (blush * (1 + 0.25 * mottle)).clip(0, 1))
    forehead = step(0.04, 0.07, y) * front
    color = mix(color, np.array([0.850, 0.690, 0.565]), 0.5 * forehead)
    jaw = step(-0.045, -0.075, y) * step(0.0, 0.03, z) * step(0.018, 0.04, np.hypot(x, y + 0.05))
    color = mix(color, np.array([0.740, 0.585, 0.515]), 0.45 * jaw)
    eye_y = (y - 0.016) / 0.011
    hollow = np.exp(-(((np.abs(x) - 0.029) / 0.016) ** 2) - eye_y**2) * step(0.06, 0.08, z)
    color = mix(color, SHADOWED, 0.10 * hollow)
    color = mix(color, np.array([0.740, 0.510, 0.450]), 0.30 * region["eyelids"])
    return _with_lips(color, points, normals, region, mottle)


def oil(points: Array) -> Array:
    """(N,) how much more than elsewhere skin shines: the middle of the forehead, nose, chin."""
    x, y, z = points.T
    forehead = np.exp(-((x / 0.030) ** 2) - ((y - 0.060) / 0.018) ** 2)
    nose = np.exp(-((x / 0.008) ** 2)) * step(0.104, 0.114, z) * step(-0.030, -0.022, y)
    chin = np.exp(-((x / 0.012) ** 2) - ((y + 0.075) / 0.010) ** 2)
    result: Array = (forehead + 1.6 * nose + 0.6 * chin) * step(0.05, 0.08, z)
    return result


def _with_lips(
    color: Array, points: Array, normals: Array, region: Mapping[str, Array], mottle: Array
) -> Array:
    x, y, _ = points.T
    lip = region["lips"]
    # The red fades into the skin, softest along the upper border, deeper in the middle.
    amount = step(0.22, 0.98, lip + 0.05 * mottle) ** 1.25
    crease = np.sin(2 * np.pi * x / 0.0021 + 1.6 * np.sin(x / 0.0031) + 0.9 * mottle)
    crease = crease * (0.6 + 0.4 * noise(points, 0.004, 6))
    middle = np.exp(-((x / 0.016) ** 2))
    upper = step(-0.0515, -0.0485, y)
    tone = LIPS * (1 + (0.030 * crease + 0.05 * mottle - 0.05 * upper)[:, None])
    color = mix(color, tone, (0.58 + 0.20 * middle) * amount)
    slit = step(0.35, 0.95, region["inner_lips"])
    color = mix(color, LIP_LINE, 0.70 * slit)
    corner = np.exp(-(((np.abs(x) - 0.0238) / 0.0030) ** 2) - ((y + 0.0506) / 0.0022) ** 2)
    color = mix(color, np.array([0.58, 0.36, 0.32]), 0.75 * corner * step(0.08, 0.09, points[:, 2]))
    inward = step(0.1, -0.5, normals[:, 2]) * step(0.2, 0.6, region["inner_lips"])
    return mix(color, CAVITY, inward)


def eye(points: Array, center: Array, axis: Array) -> Array:
    """(N, 3) an eyeball's colours.

    Args:
        points: (N, 3) on the eyeball.
        center: (3,) of the eyeball.
        axis: (3,) unit vector out of the pupil.
    """
    outward = points - center
    along = outward @ axis
    off = outward - along[:, None] * axis
    radius = np.linalg.norm(off, axis=1)
    radius = np.where(along > 0, radius, 1.0)
    angle = np.arctan2(off[:, 1], off[:, 0])
    edge = step(0.006, 0.0155, radius)
    color = mix(np.broadcast_to(SCLERA, points.shape), SCLERA_EDGE, 0.65 * edge)
    fibres = 0.6 * np.sin(41 * angle + 2 * np.sin(5 * angle)) + 0.4 * np.sin(23 * angle + 1.7)
    r = radius / IRIS_RADIUS
    iris = mix(np.broadcast_to(IRIS_INNER, points.shape), IRIS_MIDDLE, step(0.42, 0.66, r))
    iris = mix(iris, IRIS_OUTER, step(0.72, 0.98, r))
    iris *= 1 + 0.13 * (fibres * step(0.3, 0.5, r))[:, None]
    color = mix(color, iris, step(IRIS_RADIUS + 0.0004, IRIS_RADIUS - 0.0004, radius))
    return mix(color, PUPIL, step(PUPIL_RADIUS + 0.0003, PUPIL_RADIUS - 0.0003, radius))


_TOOTH_EDGES = np.array([0.0, 8.4, 15.0, 22.4, 29.2, 36.0, 45.5, 55.5]) * 1e-3
"""Distance along the arch from the midline at which one tooth ends and the next begins, metres."""


def teeth(points: Array, *, upper: bool) -> Array:
    """(N, 3) a row of teeth with its gum.

    Args:
        points: (N, 3) on the row, neutral.
        upper: the upper row; its incisal edge is below.
    """
    _, y, z = points.T
    front = points[z > z.max() - 0.002]
    edge = front[:, 1].min() if upper else front[:, 1].max()
    height = (y - edge) if upper else (edge - y)
    arch = _along_arch(points)
    widths = _TOOTH_EDGES * (1.0 if upper else 0.78)
    index = np.searchsorted(widths, np.abs(arch)).clip(1, len(widths) - 1)
    left, right = widths[index - 1], widths[index]
    across = 2 * (np.abs(arch) - left) / (right - left) - 1
    gap = step(0.80, 1.0, np.abs(across)) * np.where(np.abs(arch) < 1e-4, 0.6, 1)
    # Canines are warmer, edges let light through, and the row sinks into the cheeks' shade.
    tone = np.where(index == 3, 0.93, 1.0) * (1 + 0.03 * np.cos(7.3 * index + 2 * np.sign(arch)))
    color = TOOTH * tone[:, None]
    color = mix(color, np.array([0.89, 0.765, 0.665]), step(0.003, 0.009, height))
    color = mix(color, np.array([0.82, 0.79, 0.77]), 0.30 * step(0.0016, 0.0, height))
    color = mix(color, np.array([0.40, 0.25, 0.20]), 0.72 * gap)
    if not upper:
        color = color * np.array([0.94, 0.90, 0.88])
    line = (0.0092 if upper else 0.0080) - 0.0016 * np.abs(across) ** 2
    color = mix(color, GUM, step(0.0, 0.0010, height - line))
    depth = step(0.0115, 0.034, np.abs(arch)) if upper else step(0.0095, 0.028, np.abs(arch))
    color = mix(color, CAVITY * 0.55, 0.80 * depth)
    return mix(color, CAVITY * 0.5, 0.85 * step(0.092, 0.062, z))


def _along_arch(points: Array) -> Array:
    """(N,) signed distance from the midline along the row, by the arch's outline from above."""
    x, z = points[:, 0], points[:, 2]
    bins = np.linspace(0, np.abs(x).max(), 24)
    which = np.digitize(np.abs(x), bins) - 1
    outline = np.array(
        [z[which == b].max() if (which == b).any() else np.nan for b in range(len(bins))]
    )
    known = ~np.isnan(outline)
    outline = np.interp(bins, bins[known], outline[known])
    lengths = np.concatenate([[0], np.cumsum(np.hypot(np.diff(bins), np.diff(outline)))])
    result: Array = np.sign(x) * np.interp(np.abs(x), bins, lengths)
    return result


def mouth_interior(points: Array) -> Array:
    """(N, 3) the inside of cheeks, palate and throat: darker the farther back."""
    back = step(0.096, 0.062, points[:, 2])
    color = mix(np.broadcast_to(CAVITY, points.shape), CAVITY * 0.05, back)
    return color * (1 + 0.05 * noise(points, 0.006, 5)[:, None])


def tongue(points: Array) -> Array:
    """(N, 3) the tongue: a furrow in the middle, darker towards the throat."""
    x, _, z = points.T
    color = np.broadcast_to(TONGUE, points.shape) * (1 + 0.06 * noise(points, 0.002, 7)[:, None])
    color = mix(color, TONGUE * 0.70, 0.6 * np.exp(-((x / 0.0018) ** 2)))
    color = mix(color, CAVITY * 0.5, 0.8 * step(0.012, 0.022, np.abs(x)))
    return mix(color, CAVITY * 0.15, step(0.091, 0.064, z))
