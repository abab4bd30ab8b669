# SPDX-License-Identifier: GPL-3.0-or-later
"""H.264 videos with sound, frame rate and colours exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from engine.audio.decoding import open_source
from engine.core.errors import BadInputError, GaussianSpeechError
from engine.core.files import atomic_write

Frame = NDArray[np.uint8]

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_SOUND_RATE = 48000
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""FFmpeg's names for the usual layouts of that many channels; others are averaged."""
_BT709 = 1
"""Code of ITU-R BT.709 for primaries, transfer and matrix (ITU-T H.273)."""


def exact_fps(fps: float) -> Fraction:
    """The rational frame rate that a float stands for.

    The television rates are multiples of 1000/1001: 23.976 means 24000/1001.

    Args:
        fps: frames per second.
    """
    whole = round(fps)
    television = Fraction(whole * 1000, 1001)
    if whole > 0 and abs(fps - television) < 6e-4:
        return television
    return Fraction(fps).limit_denominator(1000)


def check_sound(path: Path) -> None:
    """See that a sound can be decoded, before a long render relies on it.

    Raises:
        BadInputError: no such file, or no sound in it.
    """
    if not path.is_file():
        raise BadInputError(f"There is no sound file {path}.", "Check the path.")
    if next(_sound_frames(path), None) is None:
        raise BadInputError(f"{path} holds no sound.", "Choose a WAV, FLAC, OGG or MP3 file.")


def _sound_frames(path: Path) -> Iterator[Any]:
    """A file's sound as planar float mono or stereo at 48 kHz, decoded as the performance's was."""
    with closing(open_source(path)) as source:
        target, channels = "", 0
        resampler: AudioResampler | None = None
        for block in source.blocks():
            known = block if block.shape[1] in _LAYOUTS else block.mean(axis=1, keepdims=True)
            if resampler is None or known.shape[1] != channels:
                channels = known.shape[1]
                target = target or ("mono" if channels == 1 else "stereo")
                if resampler is not None:
                    yield from resampler.resample(None)
                resampler = AudioResampler(format="fltp", layout=target, rate=_SOUND_RATE)
            frame = av.AudioFrame.from_ndarray(
                known.reshape(1, -1), format="flt", layout=_LAYOUTS[channels]
            )
            frame.sample_rate = round(source.rate)
            yield from resampler.resample(frame)
        if resampler is not None:
            yield from resampler.resample(None)


def _even(frame: Frame) -> Frame:
    """Repeat the last row or column where a size is odd: 4:2:0 video has none."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def write_video(
    path: str | Path,
    frames: Iterable[Frame],
    fps: float,
    sound: str | Path | None = None,
    *,
    quality: int = 17,
) -> None:
    """Encode frames, with a sound that starts at the first one.

    H.264 (yuv420p, BT.709) and AAC, the index in front so that browsers start at once. The file
    appears under its name only when it is complete.

    Args:
        path: ``.mp4``, ``.mov`` or ``.mkv``.
        frames: (H, W, 3) uint8 display-referred sRGB, all of one size; odd sizes grow by a pixel.
        fps: frames per second; 23.976, 29.97 and the like are taken as what they stand for.
        sound: an audio file; ``None`` for a silent video.
        quality: x264's constant rate factor: 0 is lossless, 23 small.

    Raises:
        BadInputError: unknown file type, no frames, frames of different sizes, or a sound that
            cannot be decoded.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise BadInputError(
            f"{path.name} is no kind of video that can be written.",
            f"Choose one of: {', '.join(_FORMATS)}.",
        )
    source = None if sound is None else Path(sound)
    if source is not None:
        check_sound(source)
    try:
        with (
            atomic_write(path) as temporary,
            _Writer(
                temporary, _FORMATS[path.suffix.lower()], exact_fps(fps), source, quality
            ) as writer,
        ):
            for frame in frames:
                writer.add(frame)
            writer.finish()
    except FFmpegError as error:
        raise GaussianSpeechError(
            f"The video {path} cannot be written: {error.strerror}.", "Is the disk full?"
        ) from error


class _Writer:
    """One open video file; sound is muxed along so that players need not seek."""

    def __init__(
        self, path: Path, kind: str, rate: Fraction, sound: Path | None, quality: int
    ) -> None:
        options = {"movflags": "+faststart"} if kind in {"mp4", "mov"} else {}
        self._container: Any = av.open(str(path.absolute()), "w", format=kind, options=options)
        self._rate = rate
        self._quality = quality
        self._video: Any = None
        self._size = (0, 0)
        self._count = 0
        self._samples = 0
        self._sound = iter(()) if sound is None else _sound_frames(sound)
        self._audio: Any = None
        self._waiting: Any = next(self._sound, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def _open(self, frame: Frame) -> None:
        height, width = frame.shape[:2]
        video = self._container.add_stream(
            "libx264", rate=self._rate, options={"crf": str(self._quality), "preset": "medium"}
        )
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.time_base = 1 / self._rate
        video.codec_context.color_primaries = _BT709
        video.codec_context.color_trc = _BT709
        video.codec_context.colorspace = _BT709
        video.codec_context.color_range = ColorRange.MPEG
        self._video = video
        if self._waiting is not None:
            layout = self._waiting.layout.name
            self._audio = self._container.add_stream("aac", rate=_SOUND_RATE, layout=layout)
            self._audio.bit_rate = 192_000

    def add(self, frame: Frame) -> None:
        """Encode a frame, and the sound up to its end.

        Raises:
            BadInputError: it is of another size than the first.
        """
        if self._video is None:
            self._size = (frame.shape[0], frame.shape[1])
            self._open(_even(frame))
        if frame.shape[:2] != self._size:
            raise BadInputError(
                f"Frame {self._count} is {frame.shape[1]}×{frame.shape[0]} pixels, the first "
                f"{self._size[1]}×{self._size[0]}."
            )
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(_even(frame)), format="rgb24")
        picture = picture.reformat(
            format="yuv420p",
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        picture.pts, picture.time_base = self._count, 1 / self._rate
        self._container.mux(self._video.encode(picture))
        self._count += 1
        self._sound_until(self._count / self._rate)

    def _sound_until(self, seconds: Fraction | None) -> None:
        while self._waiting is not None and (
            seconds is None or self._samples < seconds * _SOUND_RATE
        ):
            self._waiting.pts, self._waiting.time_base = self._samples, Fraction(1, _SOUND_RATE)
            self._samples += self._waiting.samples
            self._container.mux(self._audio.encode(self._waiting))
            self._waiting = next(self._sound, None)

    def finish(self) -> None:
        """Encode what is left of the sound, and flush."""
        if self._video is None:
            raise BadInputError("There are no frames to write.", "Check the range of frames.")
        self._container.mux(self._video.encode(None))
        if self._audio is not None:
            self._sound_until(None)
            self._container.mux(self._audio.encode(None))
