# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos as they come from phones: pictures at a constant rate, upright, in sRGB, and their sound.

Phones record at a rate that varies, turn the picture by metadata and write HDR. Here the frames of
a constant rate are those whose times lie nearest (:mod:`training.tracking.film_decoding` has their
pictures).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError

from engine.core.errors import BadInputError
from engine.core.timing import MIN_FPS
from engine.rendering.video import exact_fps
from training.data.film_frames import opened_video
from training.tracking.film_decoding import (
    Timing,
    shown_size,
    timed_frames,
    timing,
    upright,
)
from training.tracking.hdr import HLG, PQ
from training.tracking.landmarks import Image

SHORTEST = 1.0
"""Seconds that a video lasts at least."""
_MOST_FPS = 60.0
_SAME_RATE = 0.01
"""Relative difference of frame rates that nobody need know of."""
_LEAST_BITS = 0.015
"""Bits of a pixel in each frame: phones spend 0.1, messengers 0.04."""
_SMALLEST = 160
"""Pixels of the smaller side."""
_STILLS = ("image2", "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "gif")
_FORMATS = "MP4, MOV, MKV, WEBM or AVI"
_REMEDY = f"Give a video of one talking head: {_FORMATS}."


@dataclass(frozen=True)
class Film:
    """A video that can be tracked.

    Attributes:
        path: the file.
        width: pixels of the pictures given out, upright.
        height: pixels.
        fps: frames per second of the pictures given out.
        frames: their number, as the file says; decoding may find others.
        sound: whether there is a sound track that can be heard.
        scale: of the pictures given out against those of the file.
        notes: what the user should know beside :attr:`remarks`, one sentence each.
        smeared: whether compression leaves so few bits that lips may move late or not at all.
        file_size: width and height of the file's pictures, upright.
        file_fps: frames per second of the file, on average; 0 of several files.
        begin: seconds of the file at which the first picture given out lies.
        most: pictures that are given out at most; all without it.
        interlaced: whether the file's pictures are of two fields.
        takes: the films of which this one is made, one after another, with their pictures counted;
            none where it is a single video.
    """

    path: Path
    width: int
    height: int
    fps: float
    frames: int
    sound: bool
    scale: float = 1.0
    notes: tuple[str, ...] = ()
    smeared: bool = False
    file_size: tuple[int, int] = (0, 0)
    file_fps: float = 0.0
    begin: float = 0.0
    most: int | None = None
    interlaced: bool = False
    takes: tuple[Film, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know, one sentence each."""
        if not self.file_fps or abs(self.file_fps / self.fps - 1) < _SAME_RATE:
            return self.notes
        rates = f"Of {self.file_fps:.4g} frames a second {self.fps:.4g} are tracked."
        if self.file_fps < self.fps:
            rates = f"Its {self.file_fps:.4g} frames a second are repeated to be {self.fps:.4g}."
        return rates, *self.notes

    @property
    def begins(self) -> list[int]:
        """The first picture of each take; of a single video its own."""
        return [0, *np.cumsum([take.frames for take in self.takes[:-1]]).tolist()]

    def sized(self, zoom: float) -> Film:
        """The same film, its pictures so many times as large."""
        return replace(
            self,
            width=round(self.width * zoom),
            height=round(self.height * zoom),
            scale=self.scale * zoom,
            takes=tuple(take.sized(zoom) for take in self.takes),
        )

    def take_of(self, frame: int) -> Film:
        """The single video that holds a picture."""
        taken = np.searchsorted(self.begins, frame, side="right") - 1
        return self.takes[taken] if self.takes else self


def open_film(path: Path, largest: int) -> Film:
    """Look at a video before work on it begins.

    Args:
        path: the video.
        largest: pixels of the larger side of the pictures given out; smaller ones stay.

    Raises:
        BadInputError: no such file, no video, a photo, too short, or too small.
    """
    if not path.is_file():
        raise BadInputError(f"There is no video {path}.", "Check the path.")
    try:
        with opened_video(path) as container:
            if not container.streams.video:
                raise BadInputError(f"{path} holds no pictures.", _REMEDY)
            stream = container.streams.video[0]
            first = next(container.decode(stream), None)
            if first is None:
                raise BadInputError(f"{path} holds no picture that can be decoded.", _REMEDY)
            second = next(container.decode(stream), None)
            timed = timing(path, container, stream)
            return _film(path, container, stream, first, second, timed, largest)
    except (FFmpegError, OSError, ValueError) as error:
        raise BadInputError(f"{path} is no video that can be read.", _REMEDY) from error


def pictures(
    film: Film, start: int = 0, only: Collection[int] | None = None
) -> Iterator[tuple[int, Image]]:
    """The pictures of a film at its constant rate, in memory of two.

    Args:
        film: the film.
        start: number of the first picture wanted; those before it are decoded all the same.
        only: numbers of those wanted, where that is some: to the last of them all are decoded.

    Yields:
        Numbers in their order, and (H, W, 3) uint8 display-referred sRGB.

    Raises:
        BadInputError: nothing of a file can be decoded.
    """
    end = math.inf if only is None else max(only, default=-1) + 1
    for take, begin in zip(film.takes or (film,), film.begins, strict=True):
        for number, frame in islice(_at_rate(take), take.most):
            at = begin + number
            if at >= end:
                return
            if at >= start and (only is None or at in only):
                yield at, upright(frame, take.width, take.height)


def _at_rate(film: Film) -> Iterator[tuple[int, Any]]:
    """The frames of the file at the film's rate, with their numbers."""
    period = 1 / exact_fps(film.fps)
    at = Fraction(film.begin).limit_denominator(10**6)
    number = 0
    before: tuple[Fraction, Any] | None = None
    for time, frame in timed_frames(film.path, interlaced=film.interlaced):
        # Each point of the grid takes the nearer of the two frames round it.
        while before is not None and at + number * period < (before[0] + time) / 2:
            yield number, before[1]
            number += 1
        before = time, frame
    # The last one is shown as long as others are, give or take what times are rounded by.
    shown = 1 / Fraction(film.file_fps or film.fps)
    while before is not None and at + number * period < before[0] + shown - min(shown, period) / 2:
        yield number, before[1]
        number += 1


def _film(
    path: Path,
    container: Any,
    stream: Any,
    first: Any,
    second: Any,
    timed: Timing,
    largest: int,
) -> Film:
    rate, seconds = timed
    kind = container.format.name
    if second is None or any(name in kind.split(",") for name in _STILLS):
        raise BadInputError(f"{path} is a single picture.", f"A photo cannot speak. {_REMEDY}")
    if 0 < seconds < SHORTEST:
        raise BadInputError(
            f"{path} lasts {seconds:.2f} s.",
            f"Film {SHORTEST:g} s at least, best a minute of speech with slow turns of the head.",
        )
    if not rate >= MIN_FPS:
        raise BadInputError(
            f"{path} has {rate:.3g} frames a second.", f"Film at {MIN_FPS:g} or more."
        )
    notes = []
    fps = rate
    while fps > _MOST_FPS * 1.01:
        fps /= 2
    fps = float(exact_fps(round(fps, 3)))
    width, height = shown_size(first, stream)
    if min(width, height) < _SMALLEST:
        raise BadInputError(
            f"{path} has {width}×{height} pixels.", f"Film with {_SMALLEST} at least to a side."
        )
    share = min(1.0, largest / max(width, height))
    if first.color_trc in (PQ, HLG):
        notes.append("The video is HDR; its colours are mapped to sRGB.")
    interlaced = first.interlaced_frame or second.interlaced_frame
    if interlaced:
        notes.append(
            "The video is interlaced: every other line is computed. Film progressive pictures."
        )
    bits = _bits(path, container, stream, seconds)
    smeared = 0 < bits < _LEAST_BITS * rate * width * height
    if smeared:
        notes.append(
            f"The video has only {bits / 1000:.0f} kbit/s: compression smears the lips, and the "
            "sound closes them. Give the original, not one that was made smaller to be sent."
        )
    heard = _heard(path)
    if container.streams.audio and not heard:
        notes.append("Its sound track is empty or cannot be decoded: it is taken for a silent one.")
    return Film(
        path=path,
        width=round(width * share),
        height=round(height * share),
        fps=fps,
        frames=max(1, round(seconds * fps)),
        sound=heard,
        scale=share,
        notes=tuple(notes),
        smeared=smeared,
        file_size=(width, height),
        file_fps=rate,
        interlaced=interlaced,
    )


def _heard(path: Path) -> bool:
    """Whether there is any sound that can be decoded."""
    with opened_video(path) as container:
        try:
            return bool(container.streams.audio) and any(True for _ in container.decode(audio=0))
        except (FFmpegError, ValueError):
            return False


def _bits(path: Path, container: Any, stream: Any, seconds: float) -> float:
    """A second of the pictures, 0 where that is not known."""
    if stream.bit_rate:
        return float(stream.bit_rate)
    if seconds <= 0:
        return 0.0
    sound = sum(other.bit_rate or 0 for other in container.streams.audio)
    return max(0.0, 8 * path.stat().st_size / seconds - sound)
