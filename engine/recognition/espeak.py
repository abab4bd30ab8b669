# SPDX-License-Identifier: GPL-3.0-or-later
"""espeak-ng: how words are pronounced in a hundred languages, in IPA, offline.

Library and data are those of the wheel espeakng-loader. Four of the library's functions
(``espeak-ng/speak_lib.h``) are called directly: it has one voice at a time for the whole process,
so calls take turns.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache, lru_cache
from threading import Lock
from typing import Any, ClassVar, NamedTuple

from engine.core import platforms
from engine.core.errors import MissingDependencyError

_SYNCHRONOUS, _DO_NOT_EXIT = 2, 0x8000
_UTF8 = 1
_IN_IPA = 0x02 | ord("_") << 8
"""IPA with ``_`` between the sounds."""

_SWITCH = re.compile(r"_?\([a-z-]+\)_?")
"""Where the library goes over to another language's rules: ``(en)``."""

_NO_DICTIONARY = {"fo", "kaa", "xex"}
"""Voices whose dictionaries the wheel lacks."""

_lock = Lock()


class _Voice(ctypes.Structure):
    """``espeak_VOICE``."""

    _fields_: ClassVar[list[tuple[str, Any]]] = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


class Voice(NamedTuple):
    """A language that can be pronounced.

    Attributes:
        name: of the language, in English.
        identifier: by which the library knows it.
    """

    name: str
    identifier: str


def voices() -> dict[str, Voice]:
    """The languages that can be pronounced, by codes such as ``"de"`` and ``"pt-br"``.

    Raises:
        MissingDependencyError: espeak-ng is not installed, or cannot read its data.
    """
    with _lock:
        return dict(_voices())


def pronounce(text: str, voice: str) -> list[str]:
    """How a text is pronounced.

    Args:
        text: words, numbers, symbols; best one word, for others may run together.
        voice: a key of :func:`voices`.

    Returns:
        IPA of each word that is said, ``_`` between sounds; none where nothing can be said.

    Raises:
        MissingDependencyError: espeak-ng is not installed, or cannot read its data.
    """
    said = ctypes.c_char_p(text.replace("\0", " ").encode("utf-8", "ignore"))
    rest = ctypes.pointer(said)
    words: list[str] = []
    with _lock:
        library = _library()
        _set_voice(_voices()[voice].identifier)
        while said.value is not None:
            ipa = library.espeak_TextToPhonemes(rest, _UTF8, _IN_IPA)
            words += _SWITCH.sub("_", ipa.decode("utf-8", "ignore")).split()
    return [word for word in words if word.strip("_")]


@lru_cache(maxsize=1)
def _set_voice(identifier: str) -> None:
    """Change the voice where it is another than in the call before, for that reads files."""
    _library().espeak_SetVoiceByName(identifier.encode())


@cache
def _library() -> Any:
    try:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path()
        path = platforms.ansi_path(data)  # It has room for 159 bytes.
    except (ImportError, OSError, RuntimeError, UnicodeError) as error:
        raise MissingDependencyError(
            f"espeak-ng cannot be loaded: {error}.", "Install the package espeakng-loader."
        ) from error
    if library.espeak_Initialize(_SYNCHRONOUS, 0, path, _DO_NOT_EXIT) <= 0:
        raise MissingDependencyError(
            f"espeak-ng cannot read its data in {data}.",
            "Reinstall the package espeakng-loader in a folder with a path of less than 120 "
            "letters.",
        )
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    return library


@cache
def _voices() -> dict[str, Voice]:
    listed = _library().espeak_ListVoices(None)
    found: dict[str, Voice] = {}
    number = 0
    while listed[number]:
        identifier = listed[number].contents.identifier.decode()
        code = identifier.rpartition("/")[2].lower()
        if code not in _NO_DICTIONARY:
            found[code] = Voice(listed[number].contents.name.decode().strip(), identifier)
        number += 1
    return found
