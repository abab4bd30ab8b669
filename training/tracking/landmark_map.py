# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the detector's landmarks lie on the default head, and how they move with its expressions.

The file is made by ``python -m training.assets.landmark_map``, which renders the default avatar
and runs the detector on the pictures: no table is copied. A detector has a style of its own: it
parts closed lips a little, and follows a wide open mouth or a closing lid only so far. What it adds
to the mesh's own motion is part of the file, linear in the expressions. Of faces it has a style,
too: it sees each a little like others. What it adds to a person's shape is linear in the identity
space that the faces were drawn from (:mod:`training.tracking.identity_space`). What the looks of a
person add, colours, hair and light, nobody knows beforehand: in which directions is in the file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.core.arrays import Double, Float, Index
from engine.core.npz import open_npz
from engine.core.npz_writing import write_npz
from training.tracking.landmarks import POINTS

VIEW_FEATURES = 5

ASSET = Path(__file__).with_name("landmark_map.npz")
_ARRAYS = (
    *("corners", "weights", "offset", "response", "identity", "aspect", "looks", "deviation"),
    *("expression_names", "detector"),
)
_MIDDLE = np.array([0.0, 0.0, 0.05])
"""Of the face, head space, metres: seen from the camera."""


@dataclass(frozen=True, eq=False)
class LandmarkMap:
    """Landmarks as points of the default head.

    Attributes:
        corners: (478, 3) int32 vertices of the triangle that a landmark lies in.
        weights: (478, 3) float32 barycentric coordinates in it.
        offset: (478, 3) float32 metres, from that point to where the detector sees it, neutral.
        response: (E, 478, 3) float32 metres a unit: what the detector adds to the motion of the
            mesh for each expression.
        identity: (K, 478, 3) float32 metres a unit: what it adds to each shape of a head.
        aspect: (5, 478, 3) float32 metres: what the view adds, for :func:`view_features`.
        looks: (L, 478, 3) float32 metres: where a person's looks move landmarks, of unit normal
            coefficients.
        deviation: (478,) float32 metres: how far detections lie from what this says, as a standard
            deviation across the line of sight.
        expression_names: E names.
        detector: what it was measured with.
    """

    corners: Index
    weights: Float
    offset: Float
    response: Float
    identity: Float
    aspect: Float
    looks: Float
    deviation: Float
    expression_names: tuple[str, ...]
    detector: str

    def on_mesh(self, vertices: Float) -> Float:
        """(..., 478, 3) the landmarks' points of a mesh, (..., V, 3), of the default topology."""
        picked = vertices[..., self.corners, :]
        points: Float = np.einsum("lc,...lcd->...ld", self.weights, picked)
        return points

    def of_person(self, coefficients: Double) -> LandmarkMap:
        """The map with what the detector adds to a shape, (K,), taken for where landmarks rest."""
        moved = np.tensordot(coefficients, self.identity, 1)
        return replace(self, offset=(self.offset + moved).astype(np.float32))


def view_features(rotation: Double, translation: Double) -> Double:
    """(T, 5) how a head is seen: x, y, x², xy, y² of the direction from the face to the camera.

    A detector that sees a cheek or the side of a nose edge-on puts the landmarks elsewhere than it
    does from in front.

    Args:
        rotation: (T, 3, 3) head space to camera.
        translation: (T, 3) metres.
    """
    away = np.einsum("tij,j->ti", rotation, _MIDDLE) + translation
    direction = -np.einsum("tij,ti->tj", rotation, away)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    x, y = direction[:, 0], direction[:, 1]
    return np.stack([x, y, x * x, x * y, y * y], 1)


def save_landmark_map(found: LandmarkMap, path: Path) -> None:
    """Write it, whole or not at all; small amounts in half precision."""
    write_npz(
        path,
        corners=found.corners.astype(np.int32),
        weights=found.weights.astype(np.float32),
        offset=found.offset.astype(np.float16),
        response=found.response.astype(np.float16),
        identity=found.identity.astype(np.float16),
        aspect=found.aspect.astype(np.float16),
        looks=found.looks.astype(np.float16),
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
        identity=data.numbers("identity", (None, POINTS, 3)),
        aspect=data.numbers("aspect", (VIEW_FEATURES, POINTS, 3)),
        looks=data.numbers("looks", (None, POINTS, 3)),
        deviation=data.numbers("deviation", (POINTS,)),
        expression_names=names,
        detector=data.text("detector"),
    )
