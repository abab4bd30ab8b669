# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures for people: the mesh over the video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw

from engine.core.arrays import Double, Index
from engine.heads.head import Head
from training.tracking.landmarks import Image

_MESH, _LIPS = (90, 200, 255), (255, 190, 80)
_STRENGTH = 0.55
HEIGHT = 720
"""Pixels of a preview."""


class MeshOverlay:
    """Draws the face of a head as lines."""

    def __init__(self, head: Head) -> None:
        """Choose the lines.

        Args:
            head: what is drawn; without a region ``face`` all of it.
        """
        face = head.regions.get("face", np.arange(head.vertex_count))
        self._faces: Index = head.faces[np.isin(head.faces, face).all(axis=1)]
        self._lips = np.isin(self._faces, head.regions.get("lips", ())).all(axis=1)

    def draw(self, image: Image, pixels: Double, text: str = "", height: int = HEIGHT) -> Image:
        """A smaller picture with the mesh.

        Args:
            image: (H, W, 3) uint8.
            pixels: (V, 2) of all vertices.
            text: written into the corner.
            height: pixels at most.
        """
        share = min(1.0, height / image.shape[0])
        size = (round(image.shape[1] * share), round(image.shape[0] * share))
        below = Picture.fromarray(image).resize(size, Picture.Resampling.BOX)
        above = below.copy()
        pen = ImageDraw.Draw(above)
        if pixels.size:
            corners = (pixels * share)[self._faces]
            a, b, c = np.moveaxis(corners, 1, 0)
            turn = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
            # Rows grow downwards, so triangles that face the camera run clockwise.
            for rows, colour in ((turn < 0) & ~self._lips, _MESH), ((turn < 0) & self._lips, _LIPS):
                _lines(pen, corners[rows], colour)
        drawn = Picture.blend(below, above, _STRENGTH)
        if text:
            ImageDraw.Draw(drawn).text((8, 8), text, fill=(255, 255, 255))
        return np.asarray(drawn)


def side_by_side(pictures: Sequence[Image]) -> Image:
    """Pictures in a row, lower ones with black below."""
    height = max(picture.shape[0] for picture in pictures)
    padded = [np.pad(p, ((0, height - p.shape[0]), (0, 0), (0, 0))) for p in pictures]
    return np.hstack(padded)


def _lines(pen: ImageDraw.ImageDraw, corners: Double, colour: tuple[int, int, int]) -> None:
    rounded: NDArray[np.float32] = corners.astype(np.float32)
    for triangle in rounded.reshape(-1, 6).tolist():
        pen.line(triangle, fill=colour)
