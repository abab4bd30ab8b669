# SPDX-License-Identifier: GPL-3.0-or-later
"""A process in which espeak-ng says one text (:func:`training.assets.espeak.speak_ipa`).

It is run by its path, with the standard library alone, so that it begins in a few hundredths of a
second: ``espeak_process.py LIBRARY DATA VOICE SPEED PITCH``, the text in standard input. To
standard output it writes a line of JSON, the samples per second and ``[milliseconds, IPA]`` for
each sound, and the samples after it, 16 bit in the machine's order. The rate is 0 where the data
are missing; there are no samples where there is no such voice.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any, ClassVar

_SYNCHRONOUS = 2
_PHONEME_EVENTS, _IN_IPA, _DONT_EXIT = 0x0001, 0x0002, 0x8000
_PHONEME, _LAST = 7, 0
_UTF8 = 1
_RATE, _PITCH = 1, 3


class _Event(ctypes.Structure):
    """``espeak_EVENT`` (``espeak_ng/speak_lib.h``)."""

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


def _speak(
    path: str, data: str, voice: str, speed: int, pitch: int, text: bytes
) -> tuple[int, list[tuple[int, str]], bytes]:
    """Samples per second; when each sound begins, in milliseconds, and its IPA; the samples."""
    sounds: list[tuple[int, str]] = []
    blocks: list[bytes] = []

    def take(wave: Any, count: int, events: Any) -> int:
        if wave and count:
            blocks.append(ctypes.string_at(wave, 2 * count))
        index = 0
        while events[index].type != _LAST:
            if events[index].type == _PHONEME:
                ipa = events[index].string.decode("utf-8", "ignore")
                sounds.append((events[index].audio_position, ipa))
            index += 1
        return 0

    library = ctypes.CDLL(path)
    options = _PHONEME_EVENTS | _IN_IPA | _DONT_EXIT
    hertz = library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), options)
    if hertz <= 0:
        return 0, [], b""
    # By default the noise of fricatives depends on the clock.
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    callback = _CALLBACK(take)  # Held: the library keeps only the address.
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()):
        return hertz, [], b""
    library.espeak_SetParameter(_RATE, speed, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 1, 0, _UTF8, None, None)
    return hertz, sounds, b"".join(blocks)


def main() -> None:
    """The command."""
    path, data, voice, speed, pitch = sys.argv[1:]
    text = sys.stdin.buffer.read()
    hertz, sounds, samples = _speak(path, data, voice, int(speed), int(pitch), text)
    sys.stdout.buffer.write(json.dumps([hertz, sounds]).encode() + b"\n" + samples)


if __name__ == "__main__":
    main()
