# SPDX-License-Identifier: GPL-3.0-or-later
"""Letters that no voice reads, by their names in Unicode: TIBETAN LETTER KA is said *ka*."""

from __future__ import annotations

import re
import unicodedata

_KILLER = ("VIRAMA", "ASAT", "COENG", "KILLER")
"""Signs that take a consonant's own vowel away."""
_BREATH = re.compile("(?<=[bcdgjkpt])h")


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
