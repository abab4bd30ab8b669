# SPDX-License-Identifier: GPL-3.0-or-later
"""Two decoders behind one function: FFmpeg (PyAV), and libsndfile for what FFmpeg cannot read.

The length of a clip is what decodes, never what a header says. The header serves for two things:
the padding of a codec's last block is cut off, and a file that ends before it should is reported.
"""

from __future__ import annotations

import io
import re
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from av.codec.context import Flags2

from engine.core.arrays import Float
from engine.core.errors import BadInputError

_BLOCK = 1 << 16
"""Frames handed on at a time: 0.5 MB of stereo float32."""

_DECODER_DELAY = {"mp3": 529, "mp3float": 529, "mp2": 481, "mp2float": 481, "ac3": 256, "eac3": 256}
"""Samples by which the filter bank of a codec delays the sound, whatever the encoder adds to it.

They are skipped where the file does not state its delay. AAC's is a whole block: the first one
overlaps with nothing, so it cannot hold sound yet (ISO/IEC 14496-3, 4.6.11)."""

_STATES_LENGTH = {
    *("aiff", "au", "caf", "flac", "flv", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"),
    *("nistsphere", "ogg", "tta", "w64", "wav", "wv"),
}
"""FFmpeg's names of the formats that say how long the sound is. For the others FFmpeg takes the
last time stamp, or guesses from the bit rate."""

_MAX_GAP = 600.0
"""Seconds; where time stamps leap further than that, it is they that are wrong."""

_NOT_FOR_FFMPEG = (b"\x38\0", b"\x40\0")
"""WAV format tags of NMS ADPCM and G.721, which it takes for something else; and it takes the
samples of big-endian RIFX for little-endian ones."""

_CUT_TOO_MUCH = {("ogg", "vorbis"), ("caf", "alac")}
"""Formats and codecs of which FFmpeg drops sound with the padding: of Vorbis in a single page, and
of ALAC whose last block is a short one."""

_CLOCK = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,12})?)")
"""Hours, minutes and seconds."""

_FAILURES = (av.FFmpegError, ValueError, OSError, IndexError)
"""What PyAV raises for a file that it cannot make sense of, or that cannot be read."""

_REMEDY = "Use WAV, FLAC, OGG, MP3 or M4A, or export the file again."


class Source(ABC):
    """An open audio file.

    Attributes:
        rate: Hz.
        frames: how many sample frames to expect, for progress; 0 where nothing is known.
        centre: which channel is the one in the middle of surround sound; ``None`` without.
    """

    rate = 0.0
    frames = 0
    centre: int | None = None
    _position = 0
    _ended = False

    def blocks(self, first: int = 0, count: int | None = None) -> Iterator[Float]:
        """The frames from ``first`` on, ``count`` of them or to the end, as (n, C) float32.

        C is the file's number of channels, and changes where the file's own does. To be called
        once.
        """
        last = None if count is None else first + count
        self._position, blocks = self._read_from(first)
        for block in blocks:
            begin, self._position = self._position, self._position + len(block)
            kept = block[max(first - begin, 0) : None if last is None else max(last - begin, 0)]
            if len(kept):
                yield kept
            if last is not None and self._position >= last:
                return
        self._ended = True

    @property
    @abstractmethod
    def problem(self) -> str:
        """What was missing or damaged in the blocks that were read; empty for sound ones."""

    @abstractmethod
    def _read_from(self, first: int) -> tuple[int, Iterator[Float]]:
        """A position at or before ``first``, and the blocks from there to the end."""

    @abstractmethod
    def close(self) -> None:
        """Close the file."""


def open_source(path: Path) -> Source:
    """Open ``path`` with the first decoder that can read it.

    Raises:
        BadInputError: neither can, or there is no sound in it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(22)
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.", "Check it.") from error
    if head[:4] == b"RIFX" or (head[:4] == b"RIFF" and head[20:] in _NOT_FOR_FFMPEG):
        with suppress(BadInputError):
            return _SoundFile(path)
    try:
        return _FFmpeg(path)
    except BadInputError as refusal:
        # Of a damaged MP3 or MIDI dump libsndfile reads no more, but prints what is wrong with it.
        if not head.startswith((b"ID3", b"\xff", b"\xf0")):
            with suppress(BadInputError):
                return _SoundFile(path)
        raise refusal from None


class _File(io.FileIO):
    """For FFmpeg, which a damaged file sends before its start: an error code, no exception."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except OSError:
            return -1


class _FFmpeg(Source):
    """The first sound of a file that FFmpeg reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._delay_stated = self._ends_badly = False
        self._silenced = 0  # frames that could not be decoded
        self._resampler: tuple[object, Any] = (None, None)
        try:
            self._open()
        except BadInputError:
            self.close()
            raise

    def _open(self) -> None:
        self._container: Any = None
        self._file = _File(self._path)
        try:
            # A playlist must not make the decoder open other files, or addresses.
            self._container = av.open(self._file, options={"protocol_whitelist": "none"})
        except _FAILURES as error:
            raise BadInputError(f"{self._path} is not audio that can be read.", _REMEDY) from error
        if not self._container.streams.audio:
            raise BadInputError(
                f"{self._path} holds no sound.", "Choose a file with a sound track."
            )
        self._stream = self._container.streams.audio[0]
        context, kind = self._stream.codec_context, self._container.format.name
        codec = "" if context is None else context.name
        if (kind, codec) in _CUT_TOO_MUCH:
            context.flags2 |= Flags2.skip_manual  # _gathered does it then.
        blocks = self._decoded()
        head = next(blocks, None)
        if head is None:
            raise BadInputError(f"{self._path} holds no sound that can be decoded.", _REMEDY)
        self._started: Iterator[Float] = chain([head], blocks)
        self._codec = codec
        names = [] if context is None else [each.name for each in context.layout.channels]
        if {"FL", "FR", "FC"} <= {*names}:
            self.centre = names.index("FC")
        self._skip = 0
        if not self._delay_stated:
            aac = codec.startswith("aac")
            self._skip = len(head) if aac else _DECODER_DELAY.get(codec, 0)
        self.frames = max(round(self._stated_seconds() * self.rate) - self._skip, 0)
        if (kind, codec) == ("ogg", "opus"):
            self.frames -= context.delay  # RFC 7845, section 4.2
        if (kind, codec) == ("ogg", "vorbis"):
            self._skip = len(head)  # It only overlaps with the next (Vorbis I, section 4.3.8).
        stated = kind in _STATES_LENGTH
        if kind == "mp3":  # Only LAME's header states both.
            stated = self._delay_stated
        self._stated = self.frames if stated else 0
        # Only where times count samples can they be cut, and sought, to the sample.
        self._exact = stated and self._stream.time_base * round(self.rate) == 1

    def _stated_seconds(self) -> Fraction:
        """How long the sound is to be; 0 where only a file with more than it in it says."""
        stream, container = self._stream, self._container
        if stream.duration:
            return Fraction(stream.duration * stream.time_base)
        # Matroska has no field for it, and its writers note when the sound ends.
        if noted := _CLOCK.fullmatch(stream.metadata.get("DURATION", "")):
            hours, minutes, seconds = map(Fraction, noted.groups())
            start = (stream.start_time or 0) * stream.time_base
            return Fraction(max(3600 * hours + 60 * minutes + seconds - start, 0))
        others = len(container.streams.video) + len(container.streams.audio) - 1
        return Fraction(0 if others else container.duration or 0, av.time_base)

    def _decoded(self) -> Iterator[Float]:
        """The sound, a codec's block at a time; silence for what cannot be decoded within it."""
        context = self._stream.codec_context
        tick = float(self._stream.time_base or 0)
        size = channels = lost = 0
        end: float | None = None
        self._first_time = -1
        self._ends_badly = False
        try:
            for packet in self._container.demux(self._stream) if context else ():
                if not size:
                    self._delay_stated |= packet.has_sidedata("skip_samples") or context.delay > 0
                if packet.size and self._stream.duration:
                    self._ends_badly = packet.is_corrupt
                try:
                    frames = packet.decode()
                except _FAILURES:
                    lost += 1
                    continue
                for frame in frames:
                    self.rate = self.rate or float(frame.sample_rate)
                    start = end if frame.pts is None else frame.pts * tick * self.rate
                    if size:
                        leap = 0 if start is None or end is None else round(start - end)
                        yield from self._silence(max(lost * size, self._real(leap, size)), channels)
                    elif frame.pts is not None:
                        self._first_time = frame.pts
                    lost = 0
                    for block in self._samples(frame):
                        size, channels = block.shape
                        end = None if start is None else start + size
                        yield block
        except _FAILURES:
            lost += 1
        self._last_block = size
        self._ends_badly |= lost > 0

    def _real(self, leap: int, size: int) -> int:
        """Frames that are missing where time stamps leap: no rounding, no drift of a clock."""
        least = size / 2 if self._exact else self.rate / 10
        return leap if least < leap < _MAX_GAP * self.rate else 0

    def _silence(self, frames: int, channels: int) -> Iterator[Float]:
        self._silenced += frames
        for begin in range(0, frames, _BLOCK):
            yield np.zeros((min(_BLOCK, frames - begin), channels), np.float32)

    def _samples(self, frame: Any) -> Iterator[Float]:
        """(n, C) float32 in [-1, 1]."""
        frames = [frame]
        # Recordings that were joined change their rate. Of eight planes and more PyAV reads one too
        # many. Not for all: FFmpeg converts at most 64 channels.
        planes = frame.layout.nb_channels if frame.format.is_planar else 1
        if frame.sample_rate != self.rate or planes >= 8:
            kind = (frame.sample_rate, frame.format.name, frame.layout.name)
            if self._resampler[0] != kind:
                self._resampler = kind, av.AudioResampler("flt", rate=round(self.rate))
            frame.pts = None
            frames = self._resampler[1].resample(frame)
        for ready in frames:
            array = ready.to_ndarray()
            if not ready.format.is_planar:
                array = array.reshape(-1, ready.layout.nb_channels).T
            kind = array.dtype.kind
            scale = 1.0 if kind == "f" else 2.0 ** (8 * array.dtype.itemsize - 1)
            with np.errstate(over="ignore", invalid="ignore"):  # The reader looks for those.
                yield (array.T / scale - (kind == "u")).astype(np.float32)

    def _read_from(self, first: int) -> tuple[int, Iterator[Float]]:
        if first and self._exact and self._codec.startswith(("pcm_", "flac")):
            try:
                self._container.seek(first, stream=self._stream)
                blocks = self._decoded()
                head = next(blocks, None)
                if head is not None and 0 <= self._first_time <= first:
                    return self._first_time, self._gathered(self._first_time, chain([head], blocks))
            except _FAILURES:
                pass  # No index, say.
            self.close()
            self._open()
        return -self._skip, self._gathered(-self._skip, self._started)

    def _gathered(self, position: int, blocks: Iterator[Float]) -> Iterator[Float]:
        """Larger blocks, without the padding that the file says its last block has."""
        held: list[Float] = []
        size = 0
        for block in blocks:
            if held and (size >= _BLOCK or block.shape[1] != held[0].shape[1]):
                yield np.concatenate(held)
                held, size = [], 0
            held.append(block)
            size += len(block)
            position += len(block)
        padding = position - self._stated
        if self._exact and held and 0 < padding < len(held[-1]):
            held[-1] = held[-1][:-padding]
        if held:
            yield np.concatenate(held)

    @property
    def problem(self) -> str:
        if self._ended and (missing := self._missing_end()):
            return missing
        if self._silenced:
            return f"{self._silenced / self.rate:.3g} s within it are damaged and stay silent"
        return ""

    def _missing_end(self) -> str:
        kind, frames, expected = self._container.format.name, self._position, self._stated
        slack = self._last_block
        if not self._stream.duration:  # The file's, or when its last block ends.
            slack = max(slack, round(self.rate / 4))
        if kind == "wav" and expected <= frames + slack:
            bit_rate = self._stream.codec_context.bit_rate or 1
            expected = frames + round(_missing_riff(self._path) * 8 * self.rate / bit_rate)
        if expected - frames > slack:
            return f"the sound ends at {frames / self.rate:.4g} s of {expected / self.rate:.4g} s"
        # Of a WAV written to a pipe the last packet always seems cut.
        damaged = self._ends_badly and kind != "wav"
        if damaged or (kind == "ogg" and _ends_early(self._path)):
            return "the end of the sound is missing or damaged"
        return ""

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._file.close()


class _SoundFile(Source):
    """A file that libsndfile reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = soundfile.SoundFile(path)
        except (soundfile.LibsndfileError, TypeError) as error:
            raise BadInputError(f"{path} is not audio that can be read.", _REMEDY) from error
        self.rate = float(self._file.samplerate)
        self.frames = int(self._file.frames)

    def _read_from(self, _first: int) -> tuple[int, Iterator[Float]]:
        return 0, self._decoded()  # Some of its codecs cannot seek, and say that they can.

    def _decoded(self) -> Iterator[Float]:
        try:
            while len(block := self._file.read(_BLOCK, "float32", always_2d=True)):
                yield block
        except soundfile.LibsndfileError:
            return  # What is missing is then reported.

    @property
    def problem(self) -> str:
        seconds = self._position / self.rate
        if self._ended and (self._position < self.frames or _missing_riff(self._path)):
            return f"the end of the sound is missing, after {seconds:.4g} s"
        return ""

    def close(self) -> None:
        self._file.close()


def _missing_riff(path: Path) -> int:
    """Bytes of sound that a RIFF or RIFX file announces and does not have."""
    size = path.stat().st_size
    with path.open("rb") as file:
        order = {b"RIFF": "<", b"RIFX": ">"}.get(file.read(4))
        position = 12
        while order and position + 8 <= size:
            file.seek(position)
            name, length = struct.unpack(f"{order}4sI", file.read(8))
            # Writers to a pipe cannot know the size and leave a huge one.
            if name == b"data":
                return max(position + 8 + length - size, 0) if length < 0x7FFF_0000 else 0
            position += 8 + length + length % 2
    return 0


def _ends_early(path: Path) -> bool:
    """Whether the last page of an Ogg file lacks the end-of-stream flag (RFC 3533, section 6)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 17)))
        tail = file.read()
    page = tail.rfind(b"OggS")
    return page < 0 or page + 6 > len(tail) or not tail[page + 5] & 4
