# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos as they come from phones: pictures at a constant rate, upright, in sRGB, and their sound.

Phones record at a rate that varies, turn the picture by metadata and write HDR. Here the frames of
a constant rate are those whose times lie nearest, the picture is turned, and HDR (PQ and HLG of
ITU-R BT.2100) becomes what an ordinary screen shows.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Interpolation

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.srgb import displayed
from engine.core.timing import MIN_FPS
from engine.rendering.video import exact_fps
from training.data.film_frames import opened_video
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
_PQ, _HLG = 16, 18
"""Codes of transfer functions (ITU-T H.273)."""
_BT709, _BT601, _BT2020 = 1, 5, 9
"""Codes of matrices, H.273 and swscale alike."""
_UNKNOWN = (0, 2, 3)
_WHITE = 203.0
"""Nits of diffuse white (ITU-R BT.2408)."""
_HLG_PEAK = 1000.0
_TO_BT709 = np.array(
    [
        [1.660491, -0.587641, -0.072850],
        [-0.124550, 1.132900, -0.008349],
        [-0.018151, -0.100579, 1.118730],
    ]
)
"""Linear BT.2020 to linear BT.709 (ITU-R BT.2087, inverted)."""
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
            seconds = _duration(container, stream)
            return _film(path, container, stream, first, second, seconds, largest)
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
        BadInputError: the file cannot be decoded to its end; what was decoded has been given out.
    """
    end = math.inf if only is None else max(only, default=-1) + 1
    for take, begin in zip(film.takes or (film,), film.begins, strict=True):
        for number, frame in islice(_at_rate(take), take.most):
            at = begin + number
            if at >= end:
                return
            if at >= start and (only is None or at in only):
                yield at, _upright(frame, take)


def _at_rate(film: Film) -> Iterator[tuple[int, Any]]:
    """The frames of the file at the film's rate, with their numbers."""
    period = 1 / exact_fps(film.fps)
    at = Fraction(film.begin).limit_denominator(10**6)
    number = 0
    before: tuple[Fraction, Any] | None = None
    for time, frame in _timed(film.path):
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
    seconds: float,
    largest: int,
) -> Film:
    kind = container.format.name
    if second is None or any(name in kind.split(",") for name in _STILLS):
        raise BadInputError(f"{path} is a single picture.", f"A photo cannot speak. {_REMEDY}")
    if 0 < seconds < SHORTEST:
        raise BadInputError(
            f"{path} lasts {seconds:.2f} s.",
            f"Film {SHORTEST:g} s at least, best a minute of speech with slow turns of the head.",
        )
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    if not rate >= MIN_FPS:
        raise BadInputError(
            f"{path} has {rate:.3g} frames a second.", f"Film at {MIN_FPS:g} or more."
        )
    notes = []
    fps = rate
    while fps > _MOST_FPS * 1.01:
        fps /= 2
    fps = float(exact_fps(round(fps, 3)))
    turned = first.rotation % 180 != 0
    width, height = (first.height, first.width) if turned else (first.width, first.height)
    if min(width, height) < _SMALLEST:
        raise BadInputError(
            f"{path} has {width}×{height} pixels.", f"Film with {_SMALLEST} at least to a side."
        )
    share = min(1.0, largest / max(width, height))
    if first.color_trc in (_PQ, _HLG):
        notes.append("The video is HDR; its colours are mapped to sRGB.")
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
    )


def _heard(path: Path) -> bool:
    """Whether there is any sound that can be decoded."""
    with opened_video(path) as container:
        try:
            return bool(container.streams.audio) and any(True for _ in container.decode(audio=0))
        except (FFmpegError, ValueError):
            return False


def _duration(container: Any, stream: Any) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / av.time_base


def _bits(path: Path, container: Any, stream: Any, seconds: float) -> float:
    """A second of the pictures, 0 where that is not known."""
    if stream.bit_rate:
        return float(stream.bit_rate)
    if seconds <= 0:
        return 0.0
    sound = sum(other.bit_rate or 0 for other in container.streams.audio)
    return max(0.0, 8 * path.stat().st_size / seconds - sound)


def _timed(path: Path) -> Iterator[tuple[Fraction, Any]]:
    """Frames with their times from the first one's; a damaged end is the end."""
    start: Fraction | None = None
    last = Fraction(-1)
    with opened_video(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        tick = Fraction(1) / (stream.average_rate or stream.guessed_rate or 25)
        frames = container.decode(stream)
        while True:
            try:
                frame = next(frames, None)
            except FFmpegError as error:
                if start is None:
                    raise BadInputError(f"{path} cannot be decoded.", _REMEDY) from error
                return
            if frame is None:
                return
            time = last + tick
            if frame.pts is not None and frame.time_base is not None:
                time = Fraction(frame.pts * frame.time_base)
            start = time if start is None else start
            last = max(time, last) if frame.pts is not None else time
            yield last - start, frame


def _upright(frame: Any, film: Film) -> Image:
    turned = frame.rotation % 180 != 0
    size = (film.height, film.width) if turned else (film.width, film.height)
    matrix = frame.colorspace
    if matrix in _UNKNOWN or matrix not in (_BT709, _BT601, 6, 7, _BT2020, 10):
        matrix = _BT709 if frame.height >= 720 else _BT601
    hdr = frame.color_trc in (_PQ, _HLG)
    shown = frame.reformat(
        width=size[0],
        height=size[1],
        format="rgb48le" if hdr else "rgb24",
        src_colorspace=_BT2020 if matrix == 10 else matrix,
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.AREA,
    )
    array = shown.to_ndarray()
    if hdr:
        array = _ordinary(array, frame.color_trc)
    upright: Image = np.ascontiguousarray(np.rot90(array, round(frame.rotation / 90) % 4))
    return upright


def _ordinary(coded: Any, transfer: int) -> Image:
    """(H, W, 3) uint16 of BT.2100 as uint8 sRGB: highlights above white are rolled off."""
    value = coded.astype(np.float32) / 65535
    light = _pq(value) if transfer == _PQ else _hlg(value)
    light = np.maximum(light @ _TO_BT709.T.astype(np.float32), 0)
    # A shoulder above 0.8 of white, so that skin in the sun keeps its shape.
    over = np.maximum(light - 0.8, 0)
    light = np.minimum(light, 0.8) + 0.2 * (1 - np.exp(-over / 0.2))
    return np.asarray(displayed(light).clip(0, 1) * 255 + 0.5, np.uint8)


def _pq(value: Float) -> Float:
    """SMPTE ST 2084: signal to light, 1 is diffuse white."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = value ** (1 / m2)
    nits = 10000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return np.asarray(nits / _WHITE, np.float32)


def _hlg(value: Float) -> Float:
    """ITU-R BT.2100 HLG: signal to display light at 1,000 nits, 1 is diffuse white."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    display = scene * np.maximum(luminance, 1e-6)[..., None] ** 0.2
    return np.asarray(display * _HLG_PEAK / _WHITE, np.float32)
