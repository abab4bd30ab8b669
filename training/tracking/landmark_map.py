# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the detector's landmarks lie on the default head, and how they move with its expressions.

The file is made by ``python -m training.assets.landmark_map``, which renders the default avatar
and runs the detector on the pictures: no table is copied. A detector has a style of its own: it
parts closed lips a little, and follows a wide open mouth or a closing lid only so far. What it adds
to the mesh's own motion is part of the file, linear in the expressions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.core.arrays import Float, Index
from engine.core.files import atomic_write
from engine.core.npz import open_npz
from training.tracking.landmarks import POINTS

ASSET = Path(__file__).with_name("landmark_map.npz")
_ARRAYS = ("corners", "weights", "offset", "response", "deviation", "expression_names", "detector")


@dataclass(frozen=True, eq=False)
class LandmarkMap:
    """Landmarks as points of the default head.

    Attributes:
        corners: (478, 3) int32 vertices of the triangle that a landmark lies in.
        weights: (478, 3) float32 barycentric coordinates in it.
        offset: (478, 3) float32 metres, from that point to where the detector sees it, neutral.
        response: (E, 478, 3) float32 metres a unit: what the detector adds to the motion of the
            mesh for each expression.
        deviation: (478,) float32 metres: how far detections lie from what this says, as a standard
            deviation across the line of sight.
        expression_names: E names.
        detector: what it was measured with.
    """

    corners: Index
    weights: Float
    offset: Float
    response: Float
    deviation: Float
    expression_names: tuple[str, ...]
    detector: str

    def on_mesh(self, vertices: Float) -> Float:
        """(..., 478, 3) the landmarks' points of a mesh, (..., V, 3), of the default topology."""
        picked = vertices[..., self.corners, :]
        points: Float = np.einsum("lc,...lcd->...ld", self.weights, picked)
        return points


def save_landmark_map(found: LandmarkMap, path: Path) -> None:
    """Write it, whole or not at all; small amounts in half precision."""
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            corners=found.corners.astype(np.int32),
            weights=found.weights.astype(np.float32),
            offset=found.offset.astype(np.float16),
            response=found.response.astype(np.float16),
            deviation=found.deviation.astype(np.float16),
            expression_names=np.array(found.expression_names, np.str_),
            detector=np.array(found.detector),
        )


def load_landmark_map(path: Path = ASSET) -> LandmarkMap:
    """Read it.

    Raises:
        BadInputError: missing or damaged.
    """
    data = open_npz(path, "Install this program again.", _ARRAYS)
    names = data.texts("expression_names")
    corners = data["corners"]
    if corners.shape != (POINTS, 3) or corners.dtype != np.int32 or corners.min() < 0:
        raise data.wrong(f"it does not name three vertices for each of {POINTS} landmarks")
    return LandmarkMap(
        corners=corners,
        weights=data.numbers("weights", (POINTS, 3)),
        offset=data.numbers("offset", (POINTS, 3)),
        response=data.numbers("response", (len(names), POINTS, 3)),
        deviation=data.numbers("deviation", (POINTS,)),
        expression_names=names,
        detector=data.text("detector"),
    )
