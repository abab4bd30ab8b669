# SPDX-License-Identifier: GPL-3.0-or-later
"""Letters that a voice does not read: by their names in Unicode, or without their marks.

TIBETAN LETTER KA is said *ka*; *ễ* of Nguyễn is *e* in English.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from engine.ipa import ipa_sounds
from engine.recognition import espeak

_KILLER = ("VIRAMA", "ASAT", "COENG", "KILLER")
"""Signs that take a consonant's own vowel away."""
_BREATH = re.compile("(?<=[bcdgjkpt])h")

_LONGEST_NAME = 9
"""Sounds of the longest name of a letter that a voice knows (*double-u* has 7, *ypsilon* 7). One
that it does not know it calls a letter and the digits of its number in Unicode, 11 and more."""


def readable(word: str, voice: str) -> str:
    """A word whose letters the voice reads, without their marks where it does not know those.

    Args:
        word: in any script.
        voice: a key of :func:`engine.recognition.espeak.voices`.
    """
    return "".join(char if char.isascii() else _readable(char, voice) for char in word)


@lru_cache(maxsize=8192)
def _readable(letter: str, voice: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFD", letter) if not unicodedata.combining(c))
    if len(bare) != 1 or bare == letter:
        return letter
    named = ipa_sounds("_".join(espeak.pronounce(letter, voice)))
    return bare if len(named) > _LONGEST_NAME else letter


def latin_by_name(word: str) -> str:
    """A word in Latin letters, as the names of its own have them; rough, but p, b and m are right.

    Args:
        word: in any script; best one that writes syllables by consonants and vowel signs.
    """
    said = ""
    inherent = 0
    for char in unicodedata.normalize("NFD", word):
        name = unicodedata.name(char, "")
        if any(killer in name for killer in _KILLER):
            said, inherent = said[: len(said) - inherent], 0
        elif "VOWEL SIGN" in name or "SUBJOINED" in name or "MEDIAL" in name or "LETTER" in name:
            if "LETTER" not in name or "SUBJOINED" in name:
                said = said[: len(said) - inherent]
            sound = _BREATH.sub("", re.sub("[^a-z]", "", name.split()[-1].lower()))
            said += sound
            consonant = "VOWEL SIGN" not in name and len(sound) > 1 and sound[-1] in "aou"
            inherent = int(consonant)
    return said
