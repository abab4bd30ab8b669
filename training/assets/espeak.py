# SPDX-License-Identifier: GPL-3.0-or-later
"""espeak-ng by its library: text in some hundred languages in, samples and timed sounds out.

The program writes no times, but the library calls back with an event at each sound
(``espeak_ng/speak_lib.h``).
"""

from __future__ import annotations

import ctypes
import shutil
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple

import espeakng_loader
import numpy as np
import soxr

from engine.audio.loading import SAMPLE_RATE
from engine.core.arrays import Float
from engine.core.errors import MissingDependencyError

_RETRIEVAL = 1
_PHONEME_EVENTS, _IN_IPA, _DONT_EXIT = 0x0001, 0x0002, 0x8000
_PHONEME, _LAST = 7, 0
_UTF8 = 1
_RATE, _PITCH = 1, 3


class IpaSegment(NamedTuple):
    """A sound as espeak-ng names it: IPA (empty in pauses), seconds from the start."""

    ipa: str
    start: float
    end: float


Spoken = tuple[Float, list[IpaSegment]]


class _Event(ctypes.Structure):
    """``espeak_EVENT``."""

    _fields_: ClassVar[list[tuple[str, Any]]] = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("string", ctypes.c_char * 8),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


_ATTEMPTS = 3
"""A process that is forked beside threads may crash by chance; over a text that the library cannot
say it crashes each time."""


class _Library:
    """The library in use. It speaks one text at a time, in one voice."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)
        data = espeakng_loader.get_data_path().encode()
        options = _PHONEME_EVENTS | _IN_IPA | _DONT_EXIT
        self._hertz = self._library.espeak_Initialize(_RETRIEVAL, 0, data, options)
        if self._hertz <= 0:
            raise MissingDependencyError(
                "espeak-ng does not find its data.", "Reinstall the package espeakng-loader."
            )
        # By default the noise of fricatives depends on the clock.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self._blocks: list[Float] = []
        self._events: list[tuple[int, str]] = []
        self._callback = _CALLBACK(self._take)  # Held: the library keeps only the address.
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(
        self, voice: str, text: str, speed: int, pitch: int
    ) -> tuple[Float, int, list[IpaSegment]]:
        """Samples at their rate in Hz, and the sounds."""
        if self._library.espeak_SetVoiceByName(voice.encode()):
            return np.zeros(0, np.float32), self._hertz, []
        self._library.espeak_SetParameter(_RATE, speed, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._blocks, self._events = [], []
        said = text.encode() + b"\0"
        self._library.espeak_Synth(said, len(said), 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        if not self._blocks:
            return np.zeros(0, np.float32), self._hertz, []
        samples = np.concatenate(self._blocks)
        ends = [start for start, _ in self._events[1:]] + [round(1000 * len(samples) / self._hertz)]
        segments = [
            IpaSegment(ipa, start / 1000, end / 1000)
            for (start, ipa), end in zip(self._events, ends, strict=True)
            if end > start
        ]
        return samples, self._hertz, segments

    def _take(self, wave: Any, count: int, events: Any) -> int:
        if wave and count:
            block = np.ctypeslib.as_array(wave, (count,)).astype(np.float32)
            self._blocks.append(block / np.float32(2**15))
        index = 0
        while events[index].type != _LAST:
            if events[index].type == _PHONEME:
                ipa = events[index].string.decode("utf-8", "ignore")
                self._events.append((events[index].audio_position, ipa))
            index += 1
        return 0


@cache
def _own_copy() -> tuple[str, TemporaryDirectory[str]]:
    """A copy of the library's file, and the folder that holds it while this process lives.

    A forked process inherits the library as :mod:`engine.recognition.espeak` has left it, and a
    second loading of the same file is the same library, with its state.
    """
    folder = TemporaryDirectory(prefix="gaussianspeech-espeak-")
    return shutil.copy(espeakng_loader.get_library_path(), folder.name), folder


def speak_ipa(voice: str, text: str, speed: int, pitch: int) -> Spoken:
    """Let a voice of espeak-ng say a text.

    The library continues from where the text before left it, by up to a sample and in its noise, so
    each text is spoken in a process of its own: the same text always sounds the same.

    Args:
        voice: language with an optional variant, as in ``en-us+f2``.
        text: what to say, in that language.
        speed: words per minute, 80 to 450.
        pitch: 0 to 99.

    Returns:
        (N,) float32 at 16 kHz, and the sounds in order; both empty where there is no such voice.

    Raises:
        MissingDependencyError: the data of espeak-ng are not where its package says.
    """
    for _ in range(_ATTEMPTS):
        made = _spoken(voice, text, speed, pitch)
        if made is not None:
            break
    else:
        return np.zeros(0, np.float32), []
    if isinstance(made, MissingDependencyError):
        raise made
    samples, hertz, segments = made
    return soxr.resample(samples, hertz, SAMPLE_RATE), segments


def _spoken(
    voice: str, text: str, speed: int, pitch: int
) -> tuple[Float, int, list[IpaSegment]] | MissingDependencyError | None:
    """What a process of its own says; ``None`` where it crashed."""
    # Forked: a spawned process would import the whole program for every sentence.
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_speak, args=(sender, _own_copy()[0], voice, text, speed, pitch)
    )
    process.start()
    sender.close()
    try:
        made: tuple[Float, int, list[IpaSegment]] | MissingDependencyError = receiver.recv()
    except EOFError:
        return None
    finally:
        process.join()
    return made


def _speak(sender: Connection, library: str, voice: str, text: str, speed: int, pitch: int) -> None:
    try:
        sender.send(_Library(library).speak(voice, text, speed, pitch))
    except MissingDependencyError as error:
        sender.send(error)
