# SPDX-License-Identifier: GPL-3.0-or-later
"""What one picture of a film shows: faces, hands before them, and how much it has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from engine.core.arrays import Double, Float
from training.tracking.landmarks import (
    FACES,
    LIPS,
    OVAL,
    POINTS,
    FaceLandmarks,
    Image,
    LandmarkDetector,
)
from training.tracking.mediapipe_faces import HandDetector
from training.tracking.sharpness import grey_of, sharpness_of

_SMALL = 32
_HAND_EVERY = 2
"""Hands are looked for in one of so many frames."""


@dataclass(eq=False)
class Look:
    """What a frame shows of up to two faces.

    Attributes:
        points: (2, 478, 2) float32 pixels; NaN where there is no face.
        outside: (2,) whether a face leaves the picture.
        covered: (2,) whether a hand lies on its mouth.
        sharpness: (2,) of the faces.
        change: mean difference to the frame before, of 255.
        small: the picture, small and grey.
        hands: (21, 2) pixels of each.
    """

    points: Float
    outside: NDArray[np.bool_]
    covered: NDArray[np.bool_]
    sharpness: Double
    change: float
    small: Float
    hands: Sequence[Float]


def look_at(
    image: Image,
    number: int,
    fps: float,
    detector: LandmarkDetector,
    hands: HandDetector,
    before: Look | None,
) -> Look:
    """Look at a picture.

    Args:
        image: (H, W, 3) uint8.
        number: of the frame; hands are looked for in one of so many.
        fps: frames per second.
        detector: of landmarks.
        hands: of hands.
        before: what the frame before shows.
    """
    grey = grey_of(image)
    small = np.asarray(
        Picture.fromarray(grey).resize((_SMALL, _SMALL), Picture.Resampling.BOX), np.float32
    )
    change = 0.0 if before is None else float(np.abs(small - before.small).mean())
    faces = detector.detect(image, number / fps)[:FACES]
    seen: Sequence[Float] = [] if before is None else before.hands
    if number % _HAND_EVERY == 0:
        seen = hands.detect(image) if faces else []
    look = Look(
        np.full((FACES, POINTS, 2), np.nan, np.float32),
        np.zeros(FACES, bool),
        np.zeros(FACES, bool),
        np.zeros(FACES),
        change,
        small,
        seen,
    )
    for place, face in enumerate(faces):
        look.points[place] = face.points
        look.outside[place] = _outside(face, image)
        look.covered[place] = any(_covers(hand, face) for hand in seen)
        look.sharpness[place] = sharpness_of(grey, face.points)
    return look


def _outside(face: FaceLandmarks, image: Image) -> bool:
    height, width = image.shape[:2]
    inner = face.points[np.setdiff1d(np.arange(POINTS), OVAL)]
    return bool((inner < 0).any() or (inner[:, 0] > width).any() or (inner[:, 1] > height).any())


def _covers(hand: Float, face: FaceLandmarks) -> bool:
    """Whether a hand's points lie on the mouth."""
    lips = face.points[list(LIPS)]
    low, high = lips.min(axis=0), lips.max(axis=0)
    margin = 0.5 * (high - low)
    inside = ((hand > low - margin) & (hand < high + margin)).all(axis=1)
    return bool(inside.sum() >= 2)
