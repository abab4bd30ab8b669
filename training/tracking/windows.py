# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a film's pictures that a capture keeps: the head, with room for its hair.

Phones film at 4K, and the head is a small part of that. A capture's pictures are cut out of those
of the file, finer than the ones that were tracked: all pixels that an avatar learns from are of the
person, and it learns the details that were filmed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double
from training.tracking.film import Film

BESIDE, ABOVE, BELOW = 0.65, 0.45, 0.1
"""Room for hair, in heights of the head with its neck, at which its mask ends."""


@dataclass(frozen=True, eq=False)
class HeadWindows:
    """Windows of one size round the head in a film's pictures.

    Attributes:
        film: with the size of the pictures of which they are parts.
        zoom: (2,) that size against the size at which the film was tracked, x and y.
        width: pixels of a window.
        height: pixels.
        corners: (T, 2) pixels of the upper left corner in each frame.
    """

    film: Film
    zoom: Double
    width: int
    height: int
    corners: NDArray[np.intp]

    def cropped(self, picture: NDArray[Any], frame: int) -> NDArray[Any]:
        """A window's part of a picture or mask of :attr:`film`, (H, W, …)."""
        x, y = self.corners[frame]
        return np.ascontiguousarray(picture[y : y + self.height, x : x + self.width])

    def pixels(self, tracked: Double, frame: int) -> Double:
        """Pixels of a window for (N, 2) pixels of the picture as it was tracked."""
        moved: Double = tracked * self.zoom - self.corners[frame]
        return moved

    def intrinsics(self, K: Double, frame: int) -> Double:
        """(3, 3) of the camera that sees a window, for that of the picture as it was tracked."""
        seen: Double = np.diag([*self.zoom, 1.0]) @ K
        seen[:2, 2] -= self.corners[frame]
        return seen


def head_windows(film: Film, low: Double, high: Double, largest: int) -> HeadWindows:
    """Plan the windows of a film.

    Args:
        film: as it was tracked.
        low: (T, 2) least pixels of the head in each frame; not finite where it is not kept.
        high: (T, 2) greatest pixels.
        largest: pixels of a window's larger side, at most.

    Returns:
        Of one size for all frames: that of the largest head, so far as the picture goes. They are
        no finer than the file.
    """
    frame = np.array([film.width, film.height], np.float64)
    tall = (high - low)[:, 1:]
    low, high = low - tall * [BESIDE, ABOVE], high + tall * [BESIDE, BELOW]
    side = np.minimum(np.nanmax(high - low, axis=0, initial=1.0), frame)
    finest = np.array(film.file_size) / frame if all(film.file_size) else np.ones(2)
    shown = film.sized(min(finest.min(), largest / side.max()))
    whole = np.array([shown.width, shown.height])
    zoom = whole / frame
    size = np.clip(np.ceil(side * zoom).astype(np.intp), 1, np.minimum(whole, largest))
    middle = np.where(np.isfinite(low + high), 0.5 * (low + high), 0.5 * frame)
    corners = np.clip(np.rint(middle * zoom - 0.5 * size), 0, whole - size).astype(np.intp)
    return HeadWindows(shown, zoom, int(size[0]), int(size[1]), corners)
