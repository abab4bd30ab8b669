# SPDX-License-Identifier: GPL-3.0-or-later
"""From rendered RGBA to what a capture stores: a small colour picture and a mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as Picture
from scipy import ndimage

from engine.core.arrays import Pixels
from engine.core.files import atomic_write

_QUALITY = 94
_SOLID = 26
"""Alpha, of 255, from which a colour is known well enough to be kept."""
_SPREAD = 6.0
"""Pixels over which colours spread outwards."""
_FADED = 0.01
"""Weight of plain grey against what spreads: it takes over where little arrives."""
_GREY = 128


def filled(rgba: Pixels) -> Pixels:
    """Colours without a hard edge at the person's outline, which JPEG would smear.

    Outside of the person the colour is a mean of what lies near, and grey farther away. It never
    shows: alpha is zero there, or so small that the colour is not known well.

    Args:
        rgba: (H, W, 4) uint8, not multiplied by alpha.

    Returns:
        (H, W, 3) uint8.
    """
    solid = rgba[..., 3:] >= _SOLID
    weight = np.where(solid, rgba[..., 3:], 0).astype(np.float32) / 255
    spread = (_SPREAD, _SPREAD, 0)
    arrived = ndimage.gaussian_filter(rgba[..., :3] * weight, spread) + _FADED * _GREY
    around = arrived / (ndimage.gaussian_filter(weight, spread) + _FADED)
    result: Pixels = np.where(solid, rgba[..., :3], around + 0.5).astype(np.uint8)
    return result


def store(rgba: Pixels, image: Path, mask: Path) -> None:
    """Write a picture and its mask, each whole or not at all; the mask last.

    Args:
        rgba: (H, W, 4) uint8 sRGB, not multiplied by alpha.
        image: JPEG, colours at full resolution.
        mask: PNG of one channel, the alpha.
    """
    with atomic_write(image) as temporary:
        Picture.fromarray(filled(rgba)).save(temporary, quality=_QUALITY, subsampling=0)
    with atomic_write(mask) as temporary:
        Picture.fromarray(np.ascontiguousarray(rgba[..., 3])).save(temporary, optimize=True)


def store_preview(rgba: Pixels, path: Path) -> None:
    """Write a picture for people, the person before grey.

    Args:
        rgba: (H, W, 4) uint8 sRGB, not multiplied by alpha.
        path: JPEG.
    """
    picture = Picture.fromarray(rgba)
    behind = Picture.new("RGBA", picture.size, (_GREY, _GREY, _GREY, 255))
    with atomic_write(path) as temporary:
        Picture.alpha_composite(behind, picture).convert("RGB").save(temporary, quality=90)
