# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a video file: when each is shown, and its picture, upright and with square pixels.

Phones turn and mirror pictures by metadata, camcorders store fewer columns than they show, and
television's pictures are of two fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Interpolation

from engine.core.errors import BadInputError
from training.data.film_frames import opened_video
from training.tracking.hdr import HLG, PQ, ordinary
from training.tracking.landmarks import Image

_BT709, _BT601, _BT2020 = 1, 5, 9
"""Codes of matrices, H.273 and swscale alike."""
_UNKNOWN = (0, 2, 3)
_OBLONG = 4.0
"""Sides of a pixel against each other from which they are a mistake of the file."""
_GAP = 3.0
"""Frame durations between two frames from which some are missing between them."""
_FIELDS = "mode=send_frame:deint=interlaced"


class Timing(NamedTuple):
    """When the frames of a file are shown.

    Attributes:
        rate: frames per second, where none is missing.
        seconds: from the first frame to the end of the last one; 0 where that is not known.
    """

    rate: float
    seconds: float


def timing(path: Path, container: Any, stream: Any) -> Timing:
    """When frames are shown: as the file says, or by the times of all where that is no answer.

    Files of rates that vary state the mean over gaps, and those that are written while they are
    recorded often no length, and the ticks of their clock for their rate.
    """
    stated = float(stream.average_rate or 0)
    usual = float(stream.base_rate or stream.guessed_rate or 0)
    seconds = float(stream.duration * stream.time_base) if stream.duration else 0.0
    seconds = seconds or float(container.duration or 0) / av.time_base
    if seconds and stated and abs(usual / stated - 1) < 0.01:
        return Timing(stated, seconds)
    with opened_video(path) as again:
        shown = again.streams.video[0]
        tick = shown.time_base
        times = sorted(p.pts for p in again.demux(shown) if p.pts is not None and p.size)
    steps = [after - before for before, after in pairwise(times) if after > before]
    if not steps:
        return Timing(stated or usual, seconds)
    step = float(np.median(steps))
    regular = [found for found in steps if found < _GAP * step]
    rate = len(regular) / float(sum(regular) * tick)
    return Timing(rate, float((times[-1] - times[0]) * tick) + 1 / rate)


def timed_frames(path: Path, *, interlaced: bool) -> Iterator[tuple[Fraction, Any]]:
    """Frames with their seconds from the first one's; what is damaged is left out.

    Args:
        path: of the file.
        interlaced: whether frames that say they are of two fields become pictures of one time.

    Raises:
        BadInputError: nothing can be decoded.
    """
    start: Fraction | None = None
    last = Fraction(-1)
    try:
        with opened_video(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            tick = Fraction(1) / (stream.average_rate or stream.guessed_rate or 25)
            frames = _frames(container, stream)
            for frame in _deinterlaced(frames, stream) if interlaced else frames:
                time = last + tick
                if frame.pts is not None and frame.time_base is not None:
                    time = Fraction(frame.pts * frame.time_base)
                start = time if start is None else start
                last = max(time, last) if frame.pts is not None else time
                yield last - start, frame
    except (FFmpegError, OSError) as error:
        if start is None:
            raise BadInputError(
                f"{path} cannot be decoded: {error.strerror}.", "Look whether it is still there."
            ) from error
        return
    if start is None:
        raise BadInputError(
            f"{path} holds no picture that can be decoded.", "Export the video again."
        )


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """The frames in their order, packets that cannot be decoded left out."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            # Nothing is read beyond it; what was held back is still given out.
            packet = None
        if packet is None:
            return
        try:
            decoded = packet.decode()
        except FFmpegError:
            continue
        yield from decoded


def _deinterlaced(frames: Iterator[Any], stream: Any) -> Iterator[Any]:
    """Frames with the lines of the later field computed from the earlier one's."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(template=stream), graph.add("bwdif", _FIELDS), graph.add("buffersink")
    ).configure()
    for frame in frames:
        graph.vpush(frame)
        yield from _ready(graph)
    graph.vpush(None)
    yield from _ready(graph)


def _ready(graph: Any) -> Iterator[Any]:
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def shown_size(frame: Any, stream: Any) -> tuple[int, int]:
    """Width and height of a frame's picture in square pixels, upright."""
    width, height = frame.width, frame.height
    shape = float(stream.sample_aspect_ratio or 1)
    if 1 / _OBLONG <= shape <= _OBLONG:
        width = round(width * shape)
    return (height, width) if _turns(frame)[0] % 2 else (width, height)


def upright(frame: Any, width: int, height: int) -> Image:
    """A frame's picture.

    Args:
        frame: as it was decoded.
        width: pixels of the picture.
        height: pixels.

    Returns:
        (H, W, 3) uint8 display-referred sRGB.
    """
    quarters, mirrored = _turns(frame)
    size = (height, width) if quarters % 2 else (width, height)
    matrix = frame.colorspace
    if matrix in _UNKNOWN or matrix not in (_BT709, _BT601, 6, 7, _BT2020, 10):
        matrix = _BT709 if frame.height >= 720 else _BT601
    hdr = frame.color_trc in (PQ, HLG)
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
        array = ordinary(array, frame.color_trc)
    if mirrored:
        array = array[:, ::-1]
    picture: Image = np.ascontiguousarray(np.rot90(array, quarters))
    return picture


def _turns(frame: Any) -> tuple[int, bool]:
    """By how many quarters a picture is turned to the left, once it has been mirrored or not."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        a, b, _, c, d = np.frombuffer(bytes(matrix), "<i4")[:5].astype(float)
        if a * d - b * c < 0:
            # Mirrored from left to right, then turned.
            return round(np.degrees(np.arctan2(b, -a)) / 90) % 4, True
    return round(frame.rotation / 90) % 4, False
