# SPDX-License-Identifier: GPL-3.0-or-later
"""From rendered RGBA to what a capture stores: a small colour picture and a mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy import ndimage

from engine.files import written_whole

Pixels = NDArray[np.uint8]

_QUALITY = 94
_SOLID = 26
"""Alpha, of 255, from which a colour is known well enough to be spread outwards."""
_SPREAD = 24.0
"""Pixels over which the person's edge fades into plain grey, where nobody looks."""
_GREY = 128.0


def filled(rgba: Pixels) -> Pixels:
    """Colours without a hard edge at the person's outline, which JPEG would smear.

    Outside of the person the colour is that of the nearest solid pixel, fading to grey. It never
    shows: alpha is zero there.

    Args:
        rgba: (H, W, 4) uint8, not multiplied by alpha.

    Returns:
        (H, W, 3) uint8.
    """
    solid = rgba[..., 3] >= _SOLID
    if not solid.any():
        return np.full((*rgba.shape[:2], 3), int(_GREY), np.uint8)
    away, (row, column) = ndimage.distance_transform_edt(~solid, return_indices=True)
    nearest = rgba[..., :3][row, column].astype(np.float32)
    fade = np.clip(away / _SPREAD, 0, 1)[..., None].astype(np.float32)
    result: Pixels = (nearest + (_GREY - nearest) * fade + 0.5).astype(np.uint8)
    return result


def store(rgba: Pixels, image: Path, mask: Path) -> None:
    """Write a picture and its mask, each whole or not at all; the mask last.

    Args:
        rgba: (H, W, 4) uint8 sRGB, not multiplied by alpha.
        image: JPEG, colours at full resolution.
        mask: PNG of one channel, the alpha.
    """
    with written_whole(image) as temporary:
        Picture.fromarray(filled(rgba)).save(temporary, quality=_QUALITY, subsampling=0)
    with written_whole(mask) as temporary:
        Picture.fromarray(np.ascontiguousarray(rgba[..., 3])).save(temporary, optimize=True)
