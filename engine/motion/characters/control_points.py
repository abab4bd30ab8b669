# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of a face that rigs have controls for, and how ARKit's expressions move them.

A control of the lips moves as that point of the default head does, times the size of the rig's
face. Written by ``python -m training.assets.expression_geometry``.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from ...core.arrays import Double
from ...core.npz import open_npz
from ..arkit import ARKIT_NAMES
from .mapping import GEOMETRY

POINTS = (
    "jaw", "tongue", "upper lip", "lower lip",
    "upper lip left", "upper lip right", "lower lip left", "lower lip right",
    "mouth corner left", "mouth corner right", "upper lid left", "upper lid right",
    "inner brow left", "inner brow right", "middle brow left", "middle brow right",
    "outer brow left", "outer brow right", "eye left", "eye right",
)  # fmt: skip
"""Their names; left and right are the character's."""


class FaceControls(NamedTuple):
    """The points of the default head.

    Attributes:
        rest: (P, 3) float64 where they are, head space, metres.
        moves: (52, P, 3) float64 metres by which each ARKit expression moves them.
        jaw_turn: (3,) float64 rotation vector of the jaw at jawOpen 1, head space, radians.
    """

    rest: Double
    moves: Double
    jaw_turn: Double

    def moves_of(self, point: str) -> Double:
        """(52, 3) metres by which each ARKit expression moves a point."""
        moves: Double = self.moves[:, POINTS.index(point)]
        return moves

    def distance(self, first: str, second: str) -> float:
        """Metres between two points at rest."""
        apart = self.rest[POINTS.index(first)] - self.rest[POINTS.index(second)]
        return float(np.linalg.norm(apart))


_VISIBLE = 0.001
"""Metres of the default head."""


def visible(moves: Double) -> dict[str, Double]:
    """(3,) motions by ARKit expression, those that nobody sees left out.

    Args:
        moves: (52, 3) metres of the default head.
    """
    return {
        name: move
        for name, move in zip(ARKIT_NAMES, moves, strict=True)
        if np.linalg.norm(move) >= _VISIBLE
    }


@cache
def face_controls() -> FaceControls:
    """The points, read once."""
    found = open_npz(GEOMETRY, "Install the project again.")
    points = len(POINTS)
    return FaceControls(
        found.numbers("point_rest", (points, 3), np.float64),
        found.numbers("point_moves", (len(ARKIT_NAMES), points, 3), np.float64),
        found.numbers("jaw_turn", (3,), np.float64),
    )
