# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks of the person: a segmentation along the picture's edges, without what is below the head.

Segmentations show the whole person. Shoulders and collars stay when the head turns, so they are
nothing of a head's avatar: masks end where the mesh's neck does, and beside the neck. Long hair is
kept there: beside the mouth, where no shoulder is, the mask shows how far hair reaches.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.core.arrays import Double, Float
from training.tracking.landmarks import Image

_RADIUS = 0.012
"""Of the guided filter, in picture heights."""
_SOFTNESS = 1e-4
_SHARP = (0.15, 0.85)
"""Filtered values that become 0 and 1."""
FADE = 0.012
"""Metres over which masks fade out at the neck's end."""
_BEARD, _BESIDE = 0.015, 0.008
"""Metres beside the mesh that masks hold as far as the chin, and from half way down the neck on."""
_HAIR = (0.015, 0.03)
"""Metres beside the mouth from which a mask begins to show, and shows, long hair."""
_ALONG = 0.2
"""Quantile of the rows beside the mouth that is taken for hair."""
_ROWS, _COLUMNS = 48, 16
"""Rows of the head's height, and columns of the neck's end, in which outlines are taken."""
_END_ON = 1e-3
"""Pixels of :data:`FADE` below which the neck points at the camera, or away from it."""
_EDGE = 2.0
"""Pixels over which masks fade out beside the neck."""


class Segmenter(Protocol):
    """Tells persons from the background; others fit here."""

    def segment(self, image: Image) -> Float:
        """(H, W) float32 in [0, 1] for (H, W, 3) uint8."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


def along_edges(mask: Float, image: Image) -> Float:
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


class ShownHead(NamedTuple):
    """Where a picture shows the head's mesh.

    Attributes:
        mesh: (V, 2) pixels of its vertices.
        face: (N,) those of the face.
        mouth: (2, 2) pixels of the nose's tip and the chin, between which the mouth is.
        end: (M,) those of the neck's lower end.
        down: (2,) pixels of :data:`FADE` from there towards the body.
    """

    mesh: Double
    face: NDArray[np.intp]
    mouth: Double
    end: NDArray[np.intp]
    down: Double

    @property
    def neck(self) -> Double:
        """(2,) pixel of the middle of the neck's lower end."""
        middle: Double = self.mesh[self.end].mean(axis=0)
        return middle


def of_the_head(mask: Float, shown: ShownHead) -> Float:
    """The mask's part that the head's mesh can show.

    Args:
        mask: (H, W) in [0, 1].
        shown: the mesh, whose face is in the mask whatever the segmentation says; what does not
            hang together with the face goes.
    """
    height, width = mask.shape
    result = mask.copy()
    pixels = shown.mesh[shown.face]
    column, row = np.floor(pixels).astype(int).T
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    known = np.zeros(mask.shape, bool)
    known[row[seen], column[seen]] = True
    # Vertices lie a few pixels apart.
    known = ndimage.binary_closing(known, iterations=max(2, round(0.008 * height)))
    result[known] = 1.0
    labels, count = ndimage.label(result > 0.3)
    if count > 1:
        x, y = np.clip(np.floor(pixels.mean(axis=0)).astype(int), 0, [width - 1, height - 1])
        kept = labels[y, x]
        if kept:
            near = ndimage.binary_dilation(labels == kept, iterations=2)
            result *= near
    unit = float(np.linalg.norm(shown.down))
    if unit < _END_ON:
        return result
    y, x = np.mgrid[:height, :width]
    down = shown.down / unit
    axes = np.stack([down, [-down[1], down[0]]], axis=1)
    depth, side = np.moveaxis((np.stack([x, y], axis=-1) - shown.neck) @ axes, -1, 0)
    mesh, mouth = (shown.mesh - shown.neck) @ axes, (shown.mouth - shown.neck) @ axes
    low, across = mesh[shown.end].T
    # The lower end is a ring, whose near side may be seen below its middle.
    edges = np.linspace(across.min(), across.max(), _COLUMNS + 1)
    end = _along(side, edges, _widest(across, low, edges), outside=0.0)
    result *= np.clip(0.5 - (depth - end) / unit, 0, 1)
    beside = _beside_the_neck(result, depth, side, mesh, mouth[:, 0], unit / FADE)
    return (result * beside).astype(np.float32)


def _beside_the_neck(
    mask: Float, depth: Double, side: Double, mesh: Double, mouth: Double, metre: float
) -> Double:
    """(H, W) factor that takes shoulders away.

    Args:
        mask: (H, W).
        depth: (H, W) pixels below the neck's end.
        side: (H, W) pixels beside it.
        mesh: (V, 2) both, of the vertices.
        mouth: (2,) depth of the nose's tip and of the chin.
        metre: pixels.
    """
    # Of a face that looks steeply down the nose may be below the chin, and both below the neck.
    nose, chin = float(mouth.min()), min(float(mouth.max()), -1.0)
    rows = np.linspace(mesh[:, 0].min(), 0.0, _ROWS + 1)
    factor = np.ones(mask.shape)
    beside_mouth = (mask > 0.5) & (depth > nose) & (depth < chin)
    margin = np.interp(depth, [chin, 0.5 * chin], [_BEARD, _BESIDE]) * metre
    for sign in (-1.0, 1.0):
        outline = _widest(mesh[:, 0], sign * mesh[:, 1], rows)
        reach = _widest(depth[beside_mouth], sign * side[beside_mouth], rows)
        limit = _along(depth, rows, outline) + margin
        both = np.isfinite(reach) & np.isfinite(outline)
        if both.any():
            # Hair hangs beside all of the mouth, shoulders reach its lower end at most.
            beyond = float(np.quantile((reach - outline)[both], _ALONG)) / metre
            least, surely = _HAIR
            long = np.clip((beyond - least) / (surely - least), 0.0, 1.0)
            limit += long * np.maximum(float(np.median(reach[both])) - limit, 0.0)
        inside = np.clip((limit - sign * side) / _EDGE + 0.5, 0.0, 1.0)
        factor = np.minimum(factor, np.where(depth > nose, inside, 1.0))
    return factor


def _along(at: Double, edges: Double, outline: Double, outside: float | None = None) -> Double:
    """An outline's values between its rows, without the notches of single vertices."""
    known = np.isfinite(outline)
    middle = 0.5 * (edges[1:] + edges[:-1])[known]
    smooth = ndimage.maximum_filter1d(outline[known], 3)
    found: Double = np.interp(at, middle, smooth, left=outside, right=outside)
    return found


def _widest(at: Double, values: Double, edges: Double) -> Double:
    """(R,) largest value in each of the rows, whose edges are (R + 1,); −∞ in empty ones."""
    found = np.full(len(edges) - 1, -np.inf)
    row = np.searchsorted(edges, at, side="right") - 1
    inside = (row >= 0) & (row < len(found))
    np.maximum.at(found, row[inside], values[inside])
    return found
