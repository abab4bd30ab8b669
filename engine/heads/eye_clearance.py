# SPDX-License-Identifier: GPL-3.0-or-later
"""Lids that stay outside the eyeballs, whatever an expression does to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double

CLEARANCE = 0.0004
"""Metres: lids are polygons, whose sides cut into a ball that their corners just touch."""
LID_REACH = 0.012
"""Metres from the ball within which skin is the lids'."""
# Expressions that press on the eyes together, by side.
_TOGETHER = (("eyeSquint", "cheekSquint"), ("eyeSquint", "cheekSquint", "mouthSmile"))


def fitted_sphere(points: Double) -> tuple[Double, float]:
    """Centre and radius of the sphere through points, by linear least squares."""
    system = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    solution = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0]
    centre = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))


def lids_at(vertices: Double, ball: tuple[Double, float]) -> NDArray[np.bool_]:
    """(V,) which of a neutral skin's vertices lie in front of an eyeball and near it."""
    centre, radius = ball
    height = np.linalg.norm(vertices - centre, axis=1) - radius
    near = (height > 0) & (height < LID_REACH) & (vertices[:, 2] > centre[2])
    return np.asarray(near)


def push_out_of_eye(
    vertices: Double,
    deltas: Double,
    names: Sequence[str],
    side: str,
    ball: tuple[Double, float],
    lids: NDArray[np.bool_],
) -> None:
    """Push lids out of an eyeball wherever an expression, or a usual mix, takes them in.

    Args:
        vertices: (V, 3) the skin, neutral, head space, metres.
        deltas: (E, V, 3) its expressions; changed in place.
        names: E names, ARKit's.
        side: ``"left"`` or ``"right"``.
        ball: centre and radius of the eyeball.
        lids: (V,) which vertices are pushed; those that are inside in the neutral no further out
            than they are there.
    """
    centre, radius = ball
    height = np.linalg.norm(vertices[lids] - centre, axis=1) - radius
    wanted = radius + np.minimum(height, CLEARANCE)
    mixes: list[tuple[str, ...]] = [(name,) for name in names]
    mixes += [tuple(f"{name}{side.title()}" for name in mix) for mix in _TOGETHER]
    for mix in mixes:
        members = [names.index(name) for name in mix]
        moved = vertices[lids] + deltas[members][:, lids].sum(axis=0) - centre
        distance = np.linalg.norm(moved, axis=1)
        push = moved * (np.maximum(wanted - distance, 0) / distance)[:, None]
        for member in members:
            deltas[member][lids] += push / len(members)
