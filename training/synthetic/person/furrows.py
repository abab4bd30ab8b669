# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrinkles that come with expressions: where each furrow runs, and what calls it up.

A furrow is a line on the neutral face. Each kind of furrow is a layer of height in a map unrolled
from a cylinder round the head; the expression decides how deep each layer shows, left and right
apart. What causes which follows the Facial Action Coding System (Ekman and Friesen, 1978).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from engine.core.arrays import Double
from engine.heads.head import Head
from training.synthetic.person.patterns import noise, step

RADIUS = 0.1
"""Of the cylinder, metres: turns its angle into an arc's length."""
HALF_WIDTH, LOW, HIGH = 0.125, -0.115, 0.105
"""The map's extent along the arc (both ways) and in height, metres."""
COLUMNS, ROWS = 1000, 880
"""0.25 mm a pixel."""


class Cause(NamedTuple):
    """How much an expression calls a layer up; ``S`` stands for the side, Left or Right."""

    expression: str
    amount: float


CAUSES: Mapping[str, tuple[Cause, ...]] = {
    "forehead": (Cause("browInnerUp", 0.75), Cause("browOuterUpS", 0.35)),
    "temple": (Cause("browOuterUpS", 1.0), Cause("browInnerUp", 0.15)),
    "frown": (Cause("browDownS", 1.0), Cause("noseSneerS", 0.25)),
    "crow": (
        Cause("eyeSquintS", 0.55),
        Cause("cheekSquintS", 0.55),
        Cause("mouthSmileS", 0.60),
        Cause("eyeBlinkS", 0.15),
    ),
    "under_eye": (
        Cause("eyeSquintS", 0.70),
        Cause("cheekSquintS", 0.60),
        Cause("mouthSmileS", 0.35),
    ),
    "nasolabial": (
        Cause("mouthSmileS", 0.90),
        Cause("cheekSquintS", 0.35),
        Cause("noseSneerS", 0.60),
        Cause("mouthUpperUpS", 0.55),
        Cause("mouthStretchS", 0.35),
    ),
    "cheek": (Cause("mouthSmileS", 0.80), Cause("mouthDimpleS", 0.80)),
    "nose": (Cause("noseSneerS", 1.0), Cause("eyeSquintS", 0.15)),
    "lip_rim": (
        Cause("mouthPucker", 0.95),
        Cause("mouthFunnel", 0.30),
        Cause("mouthRollUpper", 0.55),
        Cause("mouthRollLower", 0.55),
        Cause("mouthPressS", 0.45),
    ),
    "chin": (
        Cause("mouthShrugLower", 1.0),
        Cause("mouthPressS", 0.40),
        Cause("mouthFrownS", 0.55),
        Cause("mouthPucker", 0.35),
    ),
    "corner": (
        Cause("mouthFrownS", 0.90),
        Cause("mouthPressS", 0.60),
        Cause("mouthStretchS", 0.55),
        Cause("mouthLowerDownS", 0.30),
        Cause("mouthDimpleS", 0.50),
        Cause("jawOpen", 0.25),
    ),
    "chin_fold": (
        Cause("mouthShrugLower", 0.70),
        Cause("mouthRollLower", 0.50),
        Cause("mouthFrownS", 0.40),
        Cause("mouthLowerDownS", 0.50),
    ),
}
"""What calls up each layer. A layer's strength is the sum, at most 1.2."""

LAYERS = tuple(CAUSES)
_MOST = 1.2


def strengths(names: Sequence[str], expression: NDArray[np.float32]) -> Double:
    """How deep each layer shows.

    Args:
        names: E expression names; causes that are not among them count nothing.
        expression: (E,) weights; below 0 counts as 0.

    Returns:
        (L, 2) for the person's right and left, 0 at neutral, in the order of ``LAYERS``.
    """
    weights = dict(zip(names, np.maximum(expression, 0).tolist(), strict=True))
    result = np.zeros((len(LAYERS), 2))
    for row, layer in enumerate(LAYERS):
        for column, side in enumerate(("Right", "Left")):
            for cause in CAUSES[layer]:
                name = cause.expression
                name = name[:-1] + side if name.endswith("S") else name
                result[row, column] += cause.amount * weights.get(name, 0.0)
    return result.clip(0, _MOST)


def left_share(points: Double) -> Double:
    """(N,) how much of the left side's strength counts at (N, 3) neutral points."""
    return step(-0.008, 0.008, points[:, 0])


def unrolled(points: Double) -> Double:
    """(N, 2) arc length and height of (N, 3) neutral head-space points, metres."""
    return np.stack([RADIUS * np.arctan2(points[:, 0], points[:, 2] + 0.005), points[:, 1]], 1)


def map_coordinates(points: Double) -> Double:
    """(N, 2) in [0, 1] where the map lies."""
    flat = unrolled(points)
    return np.stack(
        [(flat[:, 0] + HALF_WIDTH) / (2 * HALF_WIDTH), (flat[:, 1] - LOW) / (HIGH - LOW)], 1
    )


class _Line(NamedTuple):
    """A furrow on the left half, or across the middle.

    Attributes:
        layer: which it belongs to.
        points: (P, 2) x and y in millimetres.
        width: from its middle to its shoulder, millimetres.
        depth: millimetres.
        lean: 1 where only the side away from the face's middle bulges, 0 for both alike.
    """

    layer: str
    points: tuple[tuple[float, float], ...]
    width: float
    depth: float
    lean: float = 0.0


def _lines() -> list[_Line]:
    lines = []
    for y, depth in ((56.5, 0.42), (63.5, 0.55), (71.0, 0.45)):
        middle = ((-30, y + 1), (-15, y + 1.2), (0, y), (15, y + 1.2), (30, y + 1))
        aside = ((20, y + 1.0), (32, y + 1.2), (42, y - 1.5), (50, y - 6))
        lines += [_Line("forehead", middle, 1.8, depth), _Line("temple", aside, 1.7, depth)]
    lines += [
        _Line("frown", ((5.2, 31), (5.8, 38), (7.5, 47)), 1.4, 0.80),
        _Line("frown", ((10.5, 36), (11.5, 42), (13.5, 48)), 1.3, 0.35),
        _Line("frown", ((-7, 29), (0, 28), (7, 29)), 1.3, 0.45),
        _Line("crow", ((51.5, 26), (55, 29.5), (59, 34)), 1.15, 0.28),
        _Line("crow", ((52, 22.5), (57, 24.2), (62.5, 26)), 1.25, 0.38),
        _Line("crow", ((52, 19), (57, 17.5), (63, 16.5)), 1.25, 0.38),
        _Line("crow", ((50.5, 15.5), (55, 11.5), (60, 8)), 1.15, 0.28),
        _Line("under_eye", ((18, 12), (24, 7.4), (31, 6.2), (39, 7.6), (46, 11.5)), 1.5, 0.26),
        _Line("under_eye", ((16, 9), (23, 2.4), (32, 0.0), (43, 2.6)), 2.0, 0.36),
        _Line(
            "nasolabial", ((19, -15), (22.5, -23), (26.5, -32), (30, -41), (32, -50)), 2.7, 1.25, 1
        ),
        _Line("cheek", ((41, -28), (44, -37), (44.5, -46), (42.5, -55)), 2.6, 0.36, 0.5),
        _Line("nose", ((4.0, 26), (8.5, 18.5), (13.5, 13)), 1.3, 0.50),
        _Line("nose", ((3.2, 18.5), (8.2, 11.0), (12.5, 6.5)), 1.3, 0.45),
        _Line("corner", ((27.5, -52.0), (30.5, -59), (31, -67), (29, -75)), 2.0, 0.70, 0.6),
        _Line("corner", ((29.0, -45), (30.8, -50.5), (30.2, -56)), 1.5, 0.45),
        _Line("chin_fold", ((-17, -70), (-9, -67.2), (0, -66.5), (9, -67.2), (17, -70)), 2.3, 0.75),
    ]
    for x, top, depth in (
        (1.8, -33.5, 0.28),
        (5.2, -31.6, 0.42),
        (9.6, -32.6, 0.46),
        (13.2, -31.4, 0.36),
        (17.6, -33.2, 0.40),
    ):
        lines.append(_Line("lip_rim", ((x, -39.0 - 0.10 * x), (1.22 * x, top)), 0.95, depth))
    for x, end, depth in ((4.0, -68.3, 0.26), (8.8, -69.6, 0.34), (12.6, -68.0, 0.26)):
        lines.append(_Line("lip_rim", ((x, -62.8 + 0.14 * x), (1.16 * x, end)), 0.95, depth))
    return lines


def height_maps(head: Head) -> NDArray[np.float32]:
    """Each layer's height at strength 1.

    Args:
        head: its neutral skin is what the lines lie on.

    Returns:
        (L, ROWS, COLUMNS) metres, bottom row first; furrows below 0, their shoulders above.
    """
    face = head.template[head.regions["face"]].astype(np.float64)
    front = face[face[:, 2] > 0.02]
    surface = cKDTree(front[:, :2] * 1e3)
    maps = np.zeros((len(LAYERS), ROWS, COLUMNS), np.float32)
    for number, line in enumerate(_lines()):
        crosses = min(x for x, _ in line.points) < 0
        for sign in (1.0,) if crosses else (1.0, -1.0):
            path = _resampled(np.array(line.points) * np.array([sign, 1.0]))
            distance, near = surface.query(path, k=4)
            share = 1 / (distance + 0.3)
            depth = (share * front[near, 2]).sum(1) / share.sum(1)
            flat = _smooth(unrolled(np.concatenate([path * 1e-3, depth[:, None]], 1)))
            _draw(maps[LAYERS.index(line.layer)], flat, line, 2 * number + int(sign > 0))
    maps[LAYERS.index("chin")] += _chin(front)
    return maps


def _smooth(path: Double) -> Double:
    """(M, 2) the cubic next to a path that jumps from vertex to vertex."""
    along = np.linspace(-1, 1, len(path))
    return np.stack([np.polyval(np.polyfit(along, path[:, k], 4), along) for k in range(2)], 1)


def _resampled(path: Double) -> Double:
    """(M, 2) a smooth curve through (P, 2) points, every half millimetre."""
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    count = int(lengths[-1] / 0.5) + 2
    fine = np.linspace(0, lengths[-1], count)
    degree = min(3, len(path) - 1)
    return np.stack(
        [np.polyval(np.polyfit(lengths, path[:, k], degree), fine) for k in range(2)], 1
    )


def _draw(target: NDArray[np.float32], path: Double, line: _Line, seed: int) -> None:
    """Cut one furrow: thin and shallow at its ends, its depth and course a little uneven."""
    width, depth = 1e-3 * line.width, 1e-3 * line.depth
    pitch = np.array([2 * HALF_WIDTH / COLUMNS, (HIGH - LOW) / ROWS])
    along = np.linspace(0, 1, len(path))
    turn = np.gradient(path, axis=0)
    aside = np.stack([-turn[:, 1], turn[:, 0]], 1)
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    points = np.concatenate([path, np.zeros((len(path), 1))], 1)
    path = path + aside * (0.0005 * noise(points, 0.009, 100 + seed))[:, None]
    taper = np.sin(np.pi * (0.04 + 0.92 * along)) ** 0.7
    deep = depth * taper * (0.85 + 0.3 * noise(points, 0.006, 200 + seed))
    wide = width * (0.55 + 0.45 * taper)
    corner = np.array([-HALF_WIDTH, LOW])
    low = np.floor((path.min(0) - 5 * width - corner) / pitch).astype(int).clip(0)
    high = np.ceil((path.max(0) + 5 * width - corner) / pitch).astype(int)
    high = np.minimum(high, [COLUMNS, ROWS])
    x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
    places = np.stack([x.ravel(), y.ravel()], 1) * pitch + corner
    distance, near = cKDTree(path).query(places)
    scaled = distance / wide[near]
    aside_of = (places[:, 0] - path[near, 0]) * np.sign(path[near, 0])
    outer = step(-0.6, 0.9, aside_of / (distance + 1e-4))
    bulge = 0.34 * (1 + line.lean * (1.8 * outer - 1))
    spread = 0.85 + 0.55 * line.lean * outer
    shoulder = np.exp(-(((scaled - 2.0 - 0.5 * line.lean * outer) / spread) ** 2))
    profile = -np.exp(-(scaled**2)) + bulge * shoulder
    height = (deep[near] * profile).reshape(x.shape)
    area = target[low[1] : high[1], low[0] : high[0]]
    # Where two furrows meet the deeper one wins instead of both adding up.
    area[...] = np.where(height < 0, np.minimum(area, height), area + np.where(area < 0, 0, height))


def _chin(front: Double) -> Double:
    """The pebbled skin of a tightened chin."""
    row = (np.arange(ROWS) + 0.5) / ROWS * (HIGH - LOW) + LOW
    column = (np.arange(COLUMNS) + 0.5) / COLUMNS * 2 * HALF_WIDTH - HALF_WIDTH
    s, y = (a.ravel() for a in np.meshgrid(column, row))
    place = np.stack([s, y, np.zeros_like(s)], 1)
    chin = front[(np.abs(front[:, 0]) < 0.003) & (front[:, 1] < -0.068)]
    middle = chin[chin[:, 2].argmax(), 1]
    reach = np.exp(-((s / 0.014) ** 4) - ((y - middle) / 0.011) ** 4)
    pebbles = 0.00030 * noise(place, 0.0042, 301) + 0.00012 * noise(place, 0.002, 302)
    result: Double = (reach * pebbles).reshape(ROWS, COLUMNS)
    return result
