# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks of the person: a segmentation refined by the picture, cut where the mesh's neck ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image as Picture
from scipy import ndimage

from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.core.files import by_number, is_hidden
from training.tracking.landmarks import Image

_RADIUS = 0.012
"""Of the guided filter, in picture heights."""
_SOFTNESS = 1e-4
_SHARP = (0.15, 0.85)
"""Refined values that become 0 and 1."""
_NECK = 0.012
"""Metres over which the mask fades out at the neck."""
_SAME_SHAPE = 0.02
"""Relative difference of width to height up to which a mask is of a picture's shape."""
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


class Segmenter(Protocol):
    """Tells persons from the background; others fit here."""

    def segment(self, image: Image) -> Float:
        """(H, W) float32 in [0, 1] for (H, W, 3) uint8."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class GivenMasks:
    """Masks of the user's: one picture a frame in a folder, in the order of their names."""

    def __init__(self, folders: Sequence[tuple[Path, int]]) -> None:
        """Look at the folder of a film, or those of its takes.

        Args:
            folders: with the masks, white is the person; they exist. Each with the frames of its
                video.

        Raises:
            BadInputError: another number of masks.
        """
        self._files: list[Path] = []
        for folder, frames in folders:
            files = (path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
            found = sorted((path for path in files if not is_hidden(path)), key=by_number)
            if len(found) != frames:
                raise BadInputError(
                    f"{folder} has {len(found)} masks for {frames} frames.",
                    "Give one mask for each frame, named in their order.",
                )
            self._files += found

    def mask(self, frame: int, width: int, height: int) -> Float:
        """(H, W) float32 in [0, 1] of a frame.

        Raises:
            BadInputError: the file cannot be read, or is of another shape than the picture.
        """
        path = self._files[frame]
        try:
            with Picture.open(path) as picture:
                size = picture.size
                grey = picture.convert("L").resize((width, height))
        except (OSError, ValueError, SyntaxError, Picture.DecompressionBombError) as error:
            raise BadInputError(f"The mask {path} cannot be read.", "Export it again.") from error
        if abs(size[0] * height / (size[1] * width) - 1) > _SAME_SHAPE:
            raise BadInputError(
                f"The mask {path} has {size[0]}×{size[1]} pixels, its picture {width}×{height}.",
                "Make masks of the pictures as they are shown, upright and whole.",
            )
        return np.asarray(grey, np.float32) / np.float32(255)


def refined(mask: Float, image: Image) -> Float:
    """A mask that follows the edges of the picture: the guided filter (He et al. 2013).

    Args:
        mask: (H, W) in [0, 1].
        image: (H, W, 3) uint8.
    """
    size = 2 * max(2, round(_RADIUS * image.shape[0])) + 1
    guide = image.astype(np.float32).mean(axis=2) / 255

    def mean(values: Float) -> Float:
        return np.asarray(ndimage.uniform_filter(values, size), np.float32)

    guide_mean, mask_mean = mean(guide), mean(mask)
    variance = mean(guide * guide) - guide_mean**2
    slope = (mean(guide * mask) - guide_mean * mask_mean) / (variance + _SOFTNESS)
    soft = mean(slope) * guide + mean(mask_mean - slope * guide_mean)
    low, high = _SHARP
    result: Float = np.clip((soft - low) / (high - low), 0, 1).astype(np.float32)
    return result


def of_the_head(mask: Float, pixels: Double, inside: Double, neck: Double, down: Double) -> Float:
    """The mask's part that the head's mesh can show.

    Args:
        mask: (H, W) in [0, 1].
        pixels: (N, 2) of the face, which is in the mask whatever the segmentation says.
        inside: (2,) a pixel of the face; what does not hang together with it goes.
        neck: (2,) pixel of the middle of the mesh's lower end.
        down: (2,) pixels a fade of the neck takes, towards the body.
    """
    height, width = mask.shape
    result = mask.copy()
    column, row = np.floor(pixels).astype(int).T
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    known = np.zeros(mask.shape, bool)
    known[row[seen], column[seen]] = True
    # Vertices lie a few pixels apart.
    known = ndimage.binary_closing(known, iterations=max(2, round(0.008 * height)))
    result[known] = 1.0
    labels, count = ndimage.label(result > 0.3)
    if count > 1:
        x, y = np.clip(np.floor(inside).astype(int), 0, [width - 1, height - 1])
        kept = labels[y, x]
        if kept:
            near = ndimage.binary_dilation(labels == kept, iterations=2)
            result *= near
    y, x = np.mgrid[:height, :width]
    away = (x - neck[0]) * down[0] + (y - neck[1]) * down[1]
    fade = away / max(float(down @ down), 1e-9)
    faded: Float = (result * np.clip(0.5 - fade, 0, 1)).astype(np.float32)
    return faded
