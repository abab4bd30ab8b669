# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training.assets.expression_geometry``: how the default head's expressions compare.

Writes ``engine/assets/expression_geometry.npz``, by which speech is carried to characters that have
other shapes than ARKit's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double
from engine.core.npz_writing import write_npz
from engine.heads import load_head
from engine.heads.head import Head
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.control_points import POINTS
from engine.motion.characters.mapping import GEOMETRY
from engine.motion.face.pose import rotation_vectors

_WEIGHTS = {"face": 1.0, "eyelids": 1.0, "tongue": 4.0, "lips": 4.0}
"""Weight of the vertices of each region: what is said is read from lips and tongue."""

_SIDES = {"left": 1.0, "right": -1.0}
_SIDE_OF_LIP = 0.008
_INNER, _MIDDLE, _OUTER = 0.0117, 0.030, 0.045
"""Metres from the middle of the face to a point of a lip and to three of a brow."""


def expression_geometry(head: Head) -> dict[str, Double]:
    """Inner products of the expressions, mm² per vertex, and metres by which they move the lips."""
    order = [head.expression_names.index(name) for name in ARKIT_NAMES]
    basis = head.expression_basis[order].astype(np.float64)
    weights = np.zeros(basis.shape[1])
    for region, weight in _WEIGHTS.items():
        weights[head.regions[region]] = weight
    flat = (1000 * basis * np.sqrt(weights / weights.sum())[None, :, None]).reshape(len(order), -1)
    upper = basis[:, head.landmarks["inner_lip_upper"], 1]
    lower = basis[:, head.landmarks["inner_lip_lower"], 1]
    points = [_vertices(head, name) for name in POINTS]
    return {
        "metric": flat @ flat.T,
        "parting": upper - lower,
        "point_rest": np.stack([head.template[found].mean(axis=0) for found in points]),
        "point_moves": np.stack([basis[:, found].mean(axis=1) for found in points], axis=1),
        "jaw_turn": _turn(head, "lower_teeth", basis[ARKIT_NAMES.index("jawOpen")]),
    }


def _vertices(head: Head, point: str) -> NDArray[np.int32]:
    """The vertices that a point of :data:`POINTS` is the mean of."""
    where, _, side = point.rpartition(" ")
    if side not in _SIDES:
        where, side = point, ""
    if where in ("jaw", "eye"):
        region = "lower_teeth" if where == "jaw" else f"{side}_eyeball"
        return np.asarray(head.regions[region])
    if where == "tongue":
        tongue = np.asarray(head.regions["tongue"])
        return tongue[[head.template[tongue, 2].argmax()]]
    if where == "upper lid":
        lids = np.asarray(head.regions["eyelids"])
        blink = head.expression_names.index(f"eyeBlink{side.capitalize()}")
        return lids[[head.expression_basis[blink, lids, 1].argmin()]]
    listed, x = {
        "upper lip": (head.landmarks["inner_lip_upper"], _SIDE_OF_LIP),
        "lower lip": (head.landmarks["inner_lip_lower"], _SIDE_OF_LIP),
        "mouth corner": (head.landmarks["mouth_corners"], 1.0),
        "inner brow": (head.regions["brows"], _INNER),
        "middle brow": (head.regions["brows"], _MIDDLE),
        "outer brow": (head.regions["brows"], _OUTER),
    }[where]
    chosen = np.asarray(listed)
    return chosen[[np.abs(head.template[chosen, 0] - _SIDES.get(side, 0.0) * x).argmin()]]


def _turn(head: Head, region: str, offsets: Double) -> Double:
    """(3,) rotation vector, radians, of the rigid motion that comes closest (Kabsch 1976)."""
    found = np.asarray(head.regions[region])
    before = head.template[found].astype(np.float64)
    after = before + offsets[found]
    left, _, right = np.linalg.svd((before - before.mean(axis=0)).T @ (after - after.mean(axis=0)))
    rotation = right.T @ np.diag([1.0, 1.0, np.linalg.det(right.T @ left.T)]) @ left.T
    turn: Double = rotation_vectors(rotation[None])[0].astype(np.float64)
    return turn


def main(path: Path = GEOMETRY) -> None:
    """Write the asset."""
    arrays = expression_geometry(load_head("default"))
    write_npz(path, **{name: values.astype(np.float32) for name, values in arrays.items()})


if __name__ == "__main__":
    main()
