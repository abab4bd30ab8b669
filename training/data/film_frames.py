# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of a video, or of a folder, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray
from PIL import Image

from engine.core.errors import BadInputError
from engine.core.files import by_number, is_hidden

Frame = NDArray[np.uint8]

_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_EIGHT_BITS = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV")
"""Kinds of pictures that convert to 8 bits of red, green and blue as they look."""
_OPAQUE = 255


@dataclass(frozen=True)
class Film:
    """Pictures in their order.

    Attributes:
        path: of the video or the folder.
        fps: frames per second; ``None`` of a folder that was given none, and of a video that does
            not say its own.
        frames: how many.
        size: (width, height) pixels of the first.
    """

    path: Path
    fps: float | None
    frames: int
    size: tuple[int, int]

    @classmethod
    def open(cls, path: Path, fps: float | None = None) -> Film:
        """Count the pictures.

        Args:
            path: video, or folder of pictures in the order of their names, numbers in them as
                numbers: ``2.png`` before ``10.png``.
            fps: frames per second of a folder, and of a video that does not say its own.

        Raises:
            BadInputError: there is nothing, nothing that can be decoded, or pictures of several
                sizes; names the file.
        """
        count, size = 0, (0, 0)
        for name, frame in _decoded(path):
            found = (frame.shape[1], frame.shape[0])
            if count and found != size:
                raise BadInputError(
                    f"{name} is {found[0]}×{found[1]} pixels, the first of {path} "
                    f"{size[0]}×{size[1]}.",
                    "Give pictures of one size, and none of anything else in their folder.",
                )
            size, count = found, count + 1
        if not count:
            raise BadInputError(f"{path} holds no pictures.", "Give a video or a folder of PNGs.")
        return cls(path, fps if path.is_dir() else _rate(path) or fps, count, size)

    def pictures(self) -> Iterator[Frame]:
        """(H, W, 3) uint8 sRGB, decoded one by one."""
        return (frame for _, frame in _decoded(self.path))


@contextmanager
def opened_video(path: Path) -> Iterator[Any]:
    """The container of a video (PyAV), which opens no other file and no address.

    Raises:
        OSError: the file cannot be opened.
        FFmpegError: it is no video, but a playlist for example.
    """
    with (
        path.open("rb") as file,
        av.open(file, options={"protocol_whitelist": "none"}) as container,
    ):
        yield container


def _decoded(path: Path) -> Iterator[tuple[str, Frame]]:
    """Pictures, each with what to call it."""
    if path.is_dir():
        for file in _in_order(path):
            yield str(file), _picture(file)
        return
    try:
        with opened_video(path) as container:
            if not container.streams.video:
                return
            for number, frame in enumerate(container.decode(video=0)):
                name = f"Frame {number} of {path}"
                yield name, np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
    except FileNotFoundError:
        raise BadInputError(f"There is no file {path}.", "Check the path.") from None
    except (FFmpegError, OSError, IndexError) as error:
        raise BadInputError(
            f"{path} cannot be read as a video: {error}", "Give an MP4, or a folder of pictures."
        ) from error


def _in_order(folder: Path) -> list[Path]:
    """The pictures of a folder by name; of files that a system hides none."""
    files = (file for file in folder.iterdir() if file.suffix.lower() in _PICTURES)
    return sorted((file for file in files if not is_hidden(file)), key=by_number)


def _picture(file: Path) -> Frame:
    try:
        with Image.open(file) as picture:
            picture.load()
            shown = picture.convert("RGBA") if picture.has_transparency_data else picture
            if shown is not picture and np.asarray(shown)[..., 3].min() < _OPAQUE:
                raise BadInputError(
                    f"{file} is transparent in places.",
                    "Put it on the background of the truth: what would be behind it is not known.",
                )
            if shown is picture and picture.mode not in _EIGHT_BITS:
                raise BadInputError(
                    f"{file} is a picture of the kind {picture.mode}.",
                    "Give pictures of 8 bits of red, green and blue.",
                )
            return np.asarray(shown.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise BadInputError(f"{file} cannot be read: {reason}.", "Make it again.") from error


def _rate(path: Path) -> float | None:
    """Frames per second; ``None`` of a video that does not say them."""
    with opened_video(path) as container:
        return float(container.streams.video[0].average_rate or 0.0) or None
