# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmarks of faces, as a detector finds them in a picture.

The points are those of MediaPipe's face mesh with irises (Kartynnik et al. 2019, "Real-time Facial
Surface Geometry from Monocular Video on Mobile GPUs"): 468 on the skin, then five of each iris.
Right and left are the person's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double, Float

Image = NDArray[np.uint8]

POINTS = 478
SKIN = 468
FACES = 2
"""Faces of a picture that are looked at."""

INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
"""The inner lips from the right corner to the left, opposite each other; both have the corners."""
OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
OUTER_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
RIGHT_EYE = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
LEFT_EYE = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)
"""The edges of the lids, from the outer corner over the upper lid."""
RIGHT_IRIS, LEFT_IRIS = tuple(range(468, 473)), tuple(range(473, 478))
"""The centre, then four points of the edge."""
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""The outline of the face: where the cheek turns away these points slide over the skin."""
EYE_CORNERS = (33, 263)
"""Outer corners, right and left: their distance is the unit of reported errors."""

LIPS = tuple(sorted({*INNER_UPPER, *INNER_LOWER, *OUTER_UPPER, *OUTER_LOWER}))
EYES = tuple(sorted({*RIGHT_EYE, *LEFT_EYE}))
IRISES = (*RIGHT_IRIS, *LEFT_IRIS)


@dataclass(frozen=True, eq=False)
class FaceLandmarks:
    """One face in a picture.

    Attributes:
        points: (478, 2) float32 pixels; (0, 0) is the picture's upper left corner, and pixel
            centres lie at +0.5. Points may lie outside the picture.
        confidence: of the whole face, 0 to 1.
    """

    points: Float
    confidence: float = 1.0

    @property
    def size(self) -> float:
        """Pixels: the diagonal of the box round the skin's points."""
        return float(np.linalg.norm(np.ptp(self.points[:SKIN], axis=0)))


class LandmarkDetector(Protocol):
    """Finds faces; made anew for each video, whose pictures it is given in their order."""

    name: str
    """Of detector and version, for the record."""

    def detect(self, image: Image, seconds: float) -> list[FaceLandmarks]:
        """The faces of a picture, the largest first.

        Args:
            image: (H, W, 3) uint8 display-referred sRGB.
            seconds: time of the picture; later than that of the one before.
        """
        ...

    def close(self) -> None:
        """Free what the detector holds."""
        ...


def eye_distance(points: Float | Double) -> Double:
    """(...,) pixels between the outer corners of the eyes, of (..., 478, 2) points."""
    right, left = (points[..., corner, :].astype(np.float64) for corner in EYE_CORNERS)
    return np.asarray(np.linalg.norm(right - left, axis=-1))


def lip_gap_pixels(points: Float | Double) -> Double:
    """(..., 9) pixels between opposite points of the inner lips, without the corners."""
    upper, lower = (points[..., list(side[1:-1]), :] for side in (INNER_UPPER, INNER_LOWER))
    return np.asarray(np.linalg.norm(upper.astype(np.float64) - lower, axis=-1))
