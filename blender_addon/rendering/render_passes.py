# SPDX-License-Identifier: GPL-3.0-or-later
"""From the engine's images to Blender's render passes: colour space, alpha, depth, row order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...engine.core.arrays import Float
from ...engine.core.srgb import linear

FOREGROUND_USED = "Foreground Used"
"""Name of an avatar scene's pass: 1 where the foreground scene is to be used, else 0."""

EMPTY_DEPTH = np.float32(1e10)
"""What Cycles writes where nothing is hit."""


def combined(rgb: Float, alpha: Float, background: Float | None = None) -> Float:
    """Blender's Combined pass: scene-linear, premultiplied, bottom row first.

    Args:
        rgb: (H, W, 3) display-referred sRGB, premultiplied over black, top row first.
        alpha: (H, W).
        background: (3,) scene-linear colour behind the avatar; ``None`` for a transparent film.

    Returns:
        (H, W, 4) float32.
    """
    height, width = alpha.shape
    image = np.zeros((height, width, 4), np.float32)
    if background is not None:
        image[:] = np.tile(np.array([*background, 1], np.float32), (width, 1))  # Row by row.
    # By index: masks over the whole picture take nearly twice as long.
    seen = np.flatnonzero(alpha > 0)
    cover = np.minimum(alpha.reshape(-1)[seen], 1)[:, None]
    drawn = np.empty((len(seen), 4), np.float32)
    # The transfer curve holds for colours, not for colours already dimmed by their alpha.
    colors = rgb.reshape(-1, 3)[seen]
    np.multiply(linear(colors / cover), cover, out=drawn[:, :3])
    drawn[:, 3:] = cover
    if background is not None:
        drawn += (1 - cover) * np.array([*background, 1], np.float32)
    row, column = np.divmod(seen, width)
    image.reshape(-1, 4)[(height - 1 - row) * width + column] = drawn
    return image


def combined_from_display(rgba: NDArray[np.uint8]) -> Float:
    """:func:`combined` of an (H, W, 4) eight-bit picture: premultiplied sRGB and alpha."""
    colors = rgba.astype(np.float32) / np.float32(255)
    return combined(colors[..., :3], np.ascontiguousarray(colors[..., 3]))


def planar_depth(depth: Float, alpha: Float) -> Float:
    """Blender's Depth pass: (H, W) planar metres, bottom row first, 1e10 where nothing is."""
    return np.ascontiguousarray(np.where(alpha > 0, depth, EMPTY_DEPTH)[::-1], dtype=np.float32)
