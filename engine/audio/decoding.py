# SPDX-License-Identifier: GPL-3.0-or-later
"""Two decoders behind one protocol: libsndfile for audio files, FFmpeg (PyAV) for all others."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from engine.core.errors import BadInputError

Float = NDArray[np.float32]

_BLOCK = 1 << 16
"""Frames decoded at a time: 0.5 MB of stereo float32."""


class Source(Protocol):
    """An open audio file.

    Attributes:
        rate: Hz.
        frames: sample frames the header promises; 0 where it does not say.
        truncated: after the blocks were read, what is missing; empty for a whole file.
    """

    rate: float
    frames: int
    truncated: str

    def blocks(self, first: int, count: int | None) -> Iterator[Float]:
        """The frames from ``first`` on, ``count`` of them or to the end, as (n, C) float32."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def open_source(path: Path) -> Source:
    """Open ``path`` with whichever decoder can read it.

    Raises:
        BadInputError: neither can, or there is no sound in it.
    """
    try:
        return _SoundFile(path)
    except (soundfile.LibsndfileError, TypeError):
        try:
            return _Container(path)
        except (av.FFmpegError, ValueError) as error:
            raise BadInputError(
                f"{path} is not audio that can be read.",
                "Use WAV, FLAC, OGG, MP3 or M4A, or export the file again.",
            ) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).rstrip(".")


class _SoundFile:
    """A file libsndfile reads."""

    def __init__(self, path: Path) -> None:
        self._file = soundfile.SoundFile(path)
        self.rate = float(self._file.samplerate)
        self.frames = int(self._file.frames)
        self.truncated = _missing_tail(path, self._file.format)

    def blocks(self, first: int, count: int | None) -> Iterator[Float]:
        available = max(self.frames - first, 0)
        remaining = available if count is None else min(count, available)
        if remaining == 0:
            return
        try:
            self._file.seek(first)
            while remaining > 0:
                block = self._file.read(min(_BLOCK, remaining), "float32", always_2d=True)
                if not len(block):
                    self.truncated = f"it ends {remaining / self.rate:.3g} s early"
                    return
                remaining -= len(block)
                yield block
        except soundfile.LibsndfileError as error:
            self.truncated = f"the sound cannot be decoded to its end ({_reason(error)})"

    def close(self) -> None:
        self._file.close()


class _Container:
    """The first sound of a file FFmpeg reads: M4A, AAC, or a video."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: Any = av.open(str(path))
        if not self._container.streams.audio:
            self._container.close()
            raise BadInputError(f"{path} holds no sound.", "Choose a file with a sound track.")
        self._stream: Any = self._container.streams.audio[0]
        self.rate = float(self._stream.rate or 0)
        seconds = float((self._stream.duration or 0) * (self._stream.time_base or 0))
        self.frames = round(seconds * self.rate)
        self.truncated = ""

    def blocks(self, first: int, count: int | None) -> Iterator[Float]:
        # Seeking inside compressed sound lands on packets, not on samples: decode from the start.
        # Codecs with fixed frames pad the end; the container's duration says where the sound ends.
        end = self.frames or None
        last = end if count is None else first + count
        position = 0
        for frame in self._frames():
            block = np.ascontiguousarray(frame.to_ndarray().T, np.float32)
            begin, position = position, position + len(block)
            lo = max(first - begin, 0)
            hi = len(block) if last is None else min(last - begin, len(block))
            if lo < hi:
                yield block[lo:hi]
            if last is not None and position >= last:
                return
        if self.frames and position < self.frames - self.rate / 4:
            self.truncated = f"it ends {(self.frames - position) / self.rate:.3g} s early"

    def _frames(self) -> Iterator[Any]:
        planar = av.AudioResampler(format="fltp")
        try:
            for frame in self._container.decode(self._stream):
                yield from planar.resample(frame)
        except av.FFmpegError as error:
            self.truncated = f"the sound cannot be decoded to its end ({error})"

    def close(self) -> None:
        self._container.close()


def _missing_tail(path: Path, container: str) -> str:
    """What the file's own sizes say is missing: libsndfile shortens such files without a word."""
    if container in ("WAV", "WAVEX"):
        return _missing_riff(path)
    if container == "OGG":
        return _missing_ogg(path)
    return ""


def _missing_riff(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        order = "<" if file.read(4) == b"RIFF" else ">"
        position = 12
        while position + 8 <= size:
            file.seek(position)
            name, length = struct.unpack(f"{order}4sI", file.read(8))
            missing = position + 8 + length - size
            # Writers to a pipe cannot know the size and leave a huge one.
            if name == b"data":
                streamed = length >= 0x7FFF_0000
                return f"{missing} bytes are missing" if missing > 0 and not streamed else ""
            position += 8 + length + length % 2
    return ""


def _missing_ogg(path: Path) -> str:
    """An Ogg stream's last page carries the end-of-stream flag (RFC 3533, section 6)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 17)))
        tail = file.read()
    page = tail.rfind(b"OggS")
    ended = page >= 0 and page + 6 <= len(tail) and tail[page + 5] & 4
    return "" if ended else "the end of the stream is missing"
