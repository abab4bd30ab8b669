# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks that the user has made: a picture for each frame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.files import by_number, is_hidden

_SAME_SHAPE = 0.02
"""Relative difference of width to height up to which a mask is of a picture's shape."""
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
_DEEP = 65535
"""White of 16 bits."""
_SHOWN = 0.5
"""Mean of a mask over the landmarks of the face, at the least."""


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
            found = _masks_in(folder)
            if len(found) != frames:
                raise BadInputError(
                    f"{folder} has {len(found)} masks for {frames} frames{_gap(found)}.",
                    "Give one mask for each frame, named in their order.",
                )
            self._files += found

    def check_faces(self, points: Float, frames: NDArray[np.intp], size: tuple[int, int]) -> None:
        """See that the masks show the face.

        Args:
            points: (T, 478, 2) pixels of the landmarks in each frame of the film.
            frames: those to look at.
            size: width and height of the film's pictures.

        Raises:
            BadInputError: some do not, or cannot be read; names the first.
        """
        dark = []
        for frame in frames.tolist():
            mask = self.mask(frame, *size)
            x, y = np.floor(points[frame]).astype(int).T
            inside = (x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1])
            if inside.any() and mask[y[inside], x[inside]].mean() < _SHOWN:
                dark.append(self._files[frame])
        if dark:
            raise BadInputError(
                f"{len(dark)} of {len(frames)} masks that were looked at are dark where the face "
                f"is, the first {dark[0]}.",
                "Make masks that are white where the person is, one for each frame in their order.",
            )

    def mask(self, frame: int, width: int, height: int) -> Float:
        """(H, W) float32 in [0, 1] of a frame.

        Raises:
            BadInputError: the file cannot be read, or is of another shape than the picture.
        """
        return _read_mask(self._files[frame], width, height)


def check_masks(folder: Path, width: int, height: int) -> None:
    """See that there are masks for a video, and of which shape; their number is seen later.

    Args:
        folder: with the masks; it exists.
        width: pixels of the video's pictures.
        height: the same.

    Raises:
        BadInputError: there are none, or the first cannot be read or is of another shape.
    """
    found = _masks_in(folder)
    if not found:
        raise BadInputError(
            f"{folder} has no masks.",
            f"Put one for each frame into it, as {', '.join(sorted(_SUFFIXES))}.",
        )
    _read_mask(found[0], width, height)


def _masks_in(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    return sorted((path for path in files if not is_hidden(path)), key=by_number)


def _gap(files: Sequence[Path]) -> str:
    """Where numbers leave one out, in words; empty where none does or they have none."""
    for before, after in pairwise(files):
        numbers = [re.findall(r"[0-9]+", path.stem) for path in (before, after)]
        if all(numbers) and int(numbers[1][-1]) - int(numbers[0][-1]) > 1:
            return f"; none is between {before.name} and {after.name}"
    return ""


def _read_mask(path: Path, width: int, height: int) -> Float:
    """A mask at a picture's size; see :meth:`GivenMasks.mask`."""
    try:
        with Picture.open(path) as picture:
            size = picture.size
            shown = _shown(picture).resize((width, height))
    except (OSError, ValueError, SyntaxError, Picture.DecompressionBombError) as error:
        raise BadInputError(f"The mask {path} cannot be read.", "Export it again.") from error
    if abs(size[0] * height / (size[1] * width) - 1) > _SAME_SHAPE:
        raise BadInputError(
            f"The mask {path} has {size[0]}×{size[1]} pixels, its picture {width}×{height}.",
            "Make masks of the pictures as they are shown, upright and whole.",
        )
    return np.asarray(shown, np.float32) / np.float32(255)


def _shown(picture: Picture.Image) -> Picture.Image:
    """How much of the person each pixel shows, in 8 bits, whatever a program saves that as."""
    if picture.mode.startswith("I"):
        deep = np.asarray(picture, np.float32) / (_DEEP / 255)
        return Picture.fromarray(np.clip(deep + 0.5, 0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        # The person cut out.
        alpha = picture.convert("RGBA").getchannel("A")
        if np.asarray(alpha).min() < 255:
            return alpha
    grey = picture.convert("L")
    if np.asarray(grey).max() == 1:
        # Numbers of classes: background and person.
        return grey.point([0, *[255] * 255])
    return grey
