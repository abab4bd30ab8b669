# SPDX-License-Identifier: GPL-3.0-or-later
"""How sharp a face is in a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy import ndimage

from engine.core.arrays import Float
from training.tracking.landmarks import Image

_FACE = 128


def grey_of(image: Image) -> NDArray[np.uint8]:
    """(H, W) uint8 of a picture, (H, W, 3) uint8."""
    return np.asarray(Picture.fromarray(image).convert("L"))


def sharpness_of(grey: NDArray[np.uint8], points: Float) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000) of the face at a common size.

    Args:
        grey: (H, W) uint8.
        points: (478, 2) landmarks, pixels.
    """
    low = np.maximum(np.floor(points.min(axis=0)), 0).astype(int)
    high = np.ceil(points.max(axis=0)).astype(int)
    crop = grey[low[1] : high[1], low[0] : high[0]]
    if min(crop.shape) < 4:
        return 0.0
    even = Picture.fromarray(crop).resize((_FACE, _FACE), Picture.Resampling.BICUBIC)
    return float(ndimage.laplace(np.asarray(even, np.float32)).var())
