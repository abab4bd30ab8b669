# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyebrows and eyelashes, hair by hair."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import median_filter
from scipy.spatial import cKDTree

from engine.core.arrays import Double
from engine.heads.head import Head
from training.synthetic.person.patterns import step
from training.synthetic.person.strands import Field, Front, Roots, joined

POINTS = 5
"""Points a hair."""
_ARCH = np.array([-0.6, 1.0, 2.6, 4.6, 5.6, 5.2, 3.8]) * 1e-3
"""Height of the brow's middle over the region's lower edge, from the nose outwards, metres."""
_REACH = 0.002
"""How far from its root a lash may hang on, metres."""


def eyebrows(head: Head, front: Front, random: np.random.Generator, count: int) -> Field:
    """Both eyebrows.

    Args:
        head: the head, neutral; the brows follow its region ``brows``.
        front: its skin from the front.
        random: source of the differences between hairs.
        count: hairs a brow.
    """
    region = head.template[head.regions["brows"]].astype(np.float64)
    side = region[region[:, 0] > 0]
    low, high = side[:, 0].min() + 0.0005, side[:, 0].max() + 0.002
    floor = side[:, 1].min()
    total = 2 * count
    u = random.uniform(0, 1, total) ** 0.92
    v = random.normal(0, 0.48, total).clip(-1.15, 1.15)
    sign = np.repeat([-1.0, 1.0], count)
    x = low + (high - low) * u + 0.0010 * step(0.2, 0.0, u) * random.normal(size=total)
    arch = floor + np.interp(u, [0, 0.15, 0.3, 0.5, 0.66, 0.85, 1], _ARCH)
    half = 0.0046 * step(-0.25, 0.15, u) * (1 - 0.60 * step(0.45, 1.0, u))
    roots, found = front.at(sign * x, arch + half * v)
    kept = found & (
        random.uniform(0, 1, total)
        < (0.35 + 0.65 * step(-0.02, 0.25, u)) * (1 - 0.65 * step(0.6, 1.0, u))
    )
    roots, u, v, sign = roots.chosen(kept), u[kept], v[kept], sign[kept]
    number = len(u)
    turn = np.radians(54 - 48 * step(0.0, 0.5, u) - 26 * step(0.5, 1, u) - 20 * v)
    turn += 0.16 * random.normal(size=number)
    lying = np.stack([sign * np.cos(turn), np.sin(turn), np.zeros(number)], 1)
    lying -= (lying * roots.normals).sum(1, keepdims=True) * roots.normals
    lying /= np.linalg.norm(lying, axis=1, keepdims=True)
    length = 0.0078 * random.uniform(0.65, 1.15, number) * (1 - 0.28 * u)
    # Upper hairs lie down, lower ones rise: they meet along the middle.
    bend = np.stack([sign, -0.75 * v - 0.15, np.zeros(number)], 1)
    s = np.linspace(0, 1, POINTS)
    lift = 0.28 * s - 0.20 * s**2
    points = (
        (roots.points - 0.0003 * roots.normals)[:, None]
        + (length[:, None] * s)[..., None] * lying[:, None]
        + (length[:, None] * lift)[..., None] * roots.normals[:, None]
        + 0.28 * (length[:, None] * s**2)[..., None] * bend[:, None]
    )
    radius = 0.000062 * random.uniform(0.75, 1.2, number)
    return Field(roots, points, radius[:, None] * (1 - 0.8 * s**2)[None])


class LidEdges(NamedTuple):
    """The opening between an eye's lids, seen from the front.

    Attributes:
        center: (3,) of the eyeball.
        x: (N,) columns from the right end to the left.
        upper: (N,) y of the upper lid's edge.
        lower: (N,) y of the lower lid's edge.
    """

    center: Double
    x: Double
    upper: Double
    lower: Double


def lid_edges(head: Head, front: Front, side: str) -> LidEdges:
    """Find where the lids of an open eye end.

    Args:
        head: the head, neutral.
        front: its skin from the front.
        side: ``"left"`` or ``"right"``.
    """
    ball = head.template[head.regions[f"{side}_eyeball"]].astype(np.float64)
    center = (ball.min(0) + ball.max(0)) / 2
    radius = np.ptp(ball[:, 0]) / 2
    x = center[0] + np.linspace(-0.0152, 0.0152, 90)
    sweep = center[1] - 0.001 + np.arange(-0.012, 0.012, 0.00012)
    grid_x, grid_y = np.meshgrid(x, sweep, indexing="ij")
    roots, found = front.at(grid_x.ravel(), grid_y.ravel())
    off = (grid_x.ravel() - center[0]) ** 2 + (grid_y.ravel() - center[1]) ** 2
    depth = center[2] + np.sqrt((radius**2 - off).clip(0, None))
    seen = (~(found & (roots.points[:, 2] > depth - 0.0002))).reshape(grid_x.shape)
    seen &= np.abs(grid_x - center[0]) < 0.0150
    # From the middle both ways to the first skin: what is seen beyond it is no eye.
    middle = len(sweep) // 2
    above, below = ~seen[:, middle:], ~seen[:, middle::-1]
    open_ = seen[:, middle] & above.any(1) & below.any(1)
    upper = sweep[middle + above.argmax(1)][open_]
    lower = sweep[middle - below.argmax(1)][open_]
    return LidEdges(center, x[open_], _smooth(upper), _smooth(lower))


def _smooth(values: Double) -> Double:
    """(N,) without stray values and the steps of the sweep."""
    values = median_filter(values, 11, mode="nearest")
    kernel = np.hanning(11)
    result: Double = np.convolve(np.pad(values, 5, "edge"), kernel / kernel.sum(), "valid")
    return result


def eyelashes(head: Head, front: Front, random: np.random.Generator, count: int) -> Field:
    """Upper and lower lashes of both eyes; they close with the lids.

    Args:
        head: the head, neutral, eyes open.
        front: its skin from the front.
        random: source of the differences between hairs.
        count: hairs an upper lid; a lower one has half as many.
    """
    fields = []
    for side in ("right", "left"):
        edges = lid_edges(head, front, side)
        for upper, number in ((True, count), (False, count // 2)):
            fields.append(_lashes(head, edges, front, random, number, upper=upper))
    return joined(fields)


def _lashes(
    head: Head,
    edges: LidEdges,
    front: Front,
    random: np.random.Generator,
    count: int,
    *,
    upper: bool,
) -> Field:
    span = edges.x[-1] - edges.x[0]
    x = edges.x[0] + span * random.uniform(0.06, 0.97, count)
    up = 1.0 if upper else -1.0
    edge = np.interp(x, edges.x, edges.upper if upper else edges.lower)
    start, found = front.at(x, edge + up * 0.00025)
    start, x = start.chosen(found), x[found]
    number = len(x)
    outward = np.sign(edges.center[0])
    aside = (x - edges.center[0]) / (span / 2)
    fan = 0.55 * aside + 0.20 * outward + 0.13 * random.normal(size=number)
    s = np.linspace(0, 1, POINTS)
    if upper:
        length = 0.0064 * (0.80 + 0.25 * outward * aside) * random.uniform(0.75, 1.1, number)
        direction = np.stack([fan, np.full(number, 0.05), np.full(number, 1.0)], 1)
        curl, radius = 0.42, 0.000060
    else:
        length = 0.0036 * (0.80 + 0.25 * outward * aside) * random.uniform(0.7, 1.1, number)
        direction = np.stack([fan, np.full(number, -0.55), np.full(number, 0.9)], 1)
        curl, radius = -0.10, 0.000045
    direction += 0.08 * random.normal(size=direction.shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    bend = np.array([0.0, 1.0, -0.15])
    points = (
        start.points[:, None]
        + (length[:, None] * s)[..., None] * direction[:, None]
        + curl * (length[:, None] * s**2)[..., None] * bend
    )
    thick = radius * random.uniform(0.8, 1.2, number)
    return Field(_on_lid(head, front, start), points, thick[:, None] * (1 - 0.85 * s**1.5)[None])


def _on_lid(head: Head, front: Front, roots: Roots) -> Roots:
    """Roots moved to the triangle nearby that a blink moves farthest.

    The fold above an open lid hangs before it, but stays where it is when the eye closes.
    """
    blink = [head.expression_names.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    motion = np.linalg.norm(head.expression_basis[blink].sum(0), axis=1)[head.faces].mean(1)
    faces, centers = front.faces, front.centers
    distance, near = cKDTree(centers).query(roots.points, k=16)
    score = motion[faces[near]] - np.where(distance < _REACH, 0.25 * distance, np.inf)
    face = faces[near[np.arange(len(near)), score.argmax(1)]]
    thirds = np.full((len(face), 3), 1 / 3)
    return Roots(face, thirds, roots.points, roots.normals)
