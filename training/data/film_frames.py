# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of a video, or of a folder, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from engine.core.errors import BadInputError

Frame = NDArray[np.uint8]

_PICTURES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Film:
    """Pictures in their order.

    Attributes:
        path: of the video or the folder.
        fps: frames per second; ``None`` of a folder that was given none.
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
            path: video, or folder of pictures in the order of their names.
            fps: frames per second of a folder; a video says its own.

        Raises:
            BadInputError: there is nothing, or nothing that can be decoded.
        """
        count, size = 0, (0, 0)
        for frame in _decoded(path):
            size = size if count else (frame.shape[1], frame.shape[0])
            count += 1
        if not count:
            raise BadInputError(f"{path} holds no pictures.", "Give a video or a folder of PNGs.")
        return cls(path, fps if path.is_dir() else _rate(path), count, size)

    def pictures(self) -> Iterator[Frame]:
        """(H, W, 3) uint8 sRGB, decoded one by one."""
        return _decoded(self.path)


def _decoded(path: Path) -> Iterator[Frame]:
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in _PICTURES]
        for file in files:
            yield _picture(file)
        return
    try:
        with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
            for frame in container.decode(video=0):
                yield np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
    except (FFmpegError, IndexError) as error:
        raise BadInputError(
            f"{path} cannot be read as a video: {error}", "Give an MP4, or a folder of pictures."
        ) from error


def _picture(file: Path) -> Frame:
    try:
        with Image.open(file) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise BadInputError(f"{file} cannot be read: {error}", "Make it again.") from error


def _rate(path: Path) -> float:
    with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
        return float(container.streams.video[0].average_rate or 0.0)
