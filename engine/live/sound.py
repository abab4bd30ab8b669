# SPDX-License-Identifier: GPL-3.0-or-later
"""Where live sound comes from: a microphone, samples in a pipe, or a file as if it were spoken."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import numpy as np

from engine.audio.loading import SAMPLE_RATE, load_speech
from engine.core.arrays import Float
from engine.core.errors import BadInputError

Format = Literal["s16le", "f32le"]

BLOCK = 0.01
"""Seconds of sound that are taken at a time."""
SILENT_FOR = 3.0
"""Seconds without a block after which a microphone is gone."""
_DTYPES: dict[Format, np.dtype[Any]] = {"s16le": np.dtype("<i2"), "f32le": np.dtype("<f4")}


class Source(Protocol):
    """Sound as it comes.

    Attributes:
        rate: samples per second.
        paced: whether it comes as fast as it is spoken, no faster.
    """

    rate: float
    paced: bool

    def blocks(self) -> Iterator[Float]:
        """(n,) samples, one channel, until the sound ends.

        Raises:
            BadInputError: it cannot be read.
        """


class Pipe:
    """Raw samples of one channel from a pipe.

    Args:
        stream: binary, such as ``sys.stdin.buffer``.
        rate: of the samples.
        samples: their format.
    """

    paced = False

    def __init__(self, stream: BinaryIO, rate: float, samples: Format) -> None:
        self.rate = rate
        self._stream, self._dtype = stream, _DTYPES[samples]

    def blocks(self) -> Iterator[Float]:
        """See :class:`Source`."""
        size = self._dtype.itemsize
        most = max(1, round(self.rate * BLOCK)) * size
        rest = b""
        read = getattr(self._stream, "read1", self._stream.read)
        while data := read(most):
            data = rest + data
            whole = len(data) // size * size
            rest = data[whole:]
            found = np.frombuffer(data[:whole], self._dtype)
            sound = found.astype(np.float32) / (32768.0 if self._dtype.kind == "i" else 1.0)
            if not np.isfinite(sound).all():
                raise BadInputError(
                    "The samples hold NaN or infinite values.", "Check --format and --rate."
                )
            yield sound


class SoundFile:
    """A sound file as if somebody said it now.

    Args:
        path: any file that :func:`engine.audio.loading.load_speech` reads.
        paced: as fast as it is spoken; otherwise at once.
    """

    rate = float(SAMPLE_RATE)

    def __init__(self, path: Path, *, paced: bool) -> None:
        self.paced = paced
        self._samples = load_speech(path).samples

    def blocks(self) -> Iterator[Float]:
        """See :class:`Source`."""
        size = round(self.rate * BLOCK)
        started, first = time.monotonic(), 0
        while first < len(self._samples):
            if self.paced:
                due = started + (first + size) / self.rate
                time.sleep(max(0.0, due - time.monotonic()))
                spoken = int((time.monotonic() - started) * self.rate)
                size = max(size, spoken - first)
            yield self._samples[first : first + size]
            first, size = first + size, round(self.rate * BLOCK)


class Microphone:
    """A microphone, by PortAudio; it listens while its blocks are taken.

    Args:
        device: number or part of a name; ``None`` is the system's choice.

    Raises:
        BadInputError: no PortAudio, or no such microphone.
    """

    paced = True

    def __init__(self, device: str | None = None) -> None:
        self._portaudio = _portaudio()
        self._device = int(device) if device and device.isdecimal() else device
        with self._errors():
            about = self._portaudio.query_devices(self._device, "input")
            self.name = str(about["name"])
            usual = float(about["default_samplerate"])
            self.rate = _supported_rate(self._portaudio, self._device, usual)

    def blocks(self) -> Iterator[Float]:
        """See :class:`Source`; one that cannot be opened cannot be read."""
        taken: queue.SimpleQueue[Float] = queue.SimpleQueue()
        with self._errors():
            stream = self._portaudio.InputStream(
                device=self._device,
                samplerate=self.rate,
                blocksize=round(self.rate * BLOCK),
                channels=1,
                dtype="float32",
                latency="low",
                callback=lambda data, *_: taken.put(data[:, 0].copy()),
            )
        with closing(stream):
            with self._errors():
                stream.start()
            while True:
                try:
                    waiting = [taken.get(timeout=SILENT_FOR)]
                except queue.Empty:
                    raise BadInputError(
                        f"The microphone {self.name!r} gives no sound any more.",
                        "Plug it in, or choose another one with --device.",
                    ) from None
                while not taken.empty():
                    waiting.append(taken.get())
                yield np.concatenate(waiting)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (self._portaudio.PortAudioError, ValueError) as error:
            what = "The microphone" if self._device is None else f"The microphone {self._device!r}"
            raise BadInputError(
                f"{what} cannot be opened: {_first_line(error)}.",
                "'gaussianspeech live --list-devices' lists what there is.",
            ) from error


def microphones() -> list[tuple[int, str]]:
    """Number and name of the microphones of this machine.

    Raises:
        BadInputError: no PortAudio.
    """
    return [
        (number, str(about["name"]))
        for number, about in enumerate(_portaudio().query_devices())
        if about["max_input_channels"] > 0
    ]


def _portaudio() -> Any:
    try:
        import sounddevice
    except OSError as error:  # The package is there, the library that it loads is not.
        raise BadInputError(
            "A microphone needs the library PortAudio, which is not installed.",
            "Install it, for example with 'apt install libportaudio2', or pipe the sound in with "
            "--input -.",
        ) from error
    return sounddevice


def _supported_rate(portaudio: Any, device: int | str | None, usual: float) -> float:
    """16 kHz where the system gives it: it needs no resampling, which costs time."""
    try:
        portaudio.check_input_settings(device=device, channels=1, samplerate=SAMPLE_RATE)
    except portaudio.PortAudioError:
        return usual
    return float(SAMPLE_RATE)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no reason"
