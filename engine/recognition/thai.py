# SPDX-License-Identifier: GPL-3.0-or-later
"""Thai and Lao: syllables and their sounds, from the letters.

espeak-ng takes Thai vowels for something else and reads no Lao. Both scripts write every sound but
short *a* and *o*; what they leave open are the borders of syllables, where the longest reading is
taken here, without a dictionary: *sawat-di*, not *sa-wa-ta-di*. Lao has the letters of Thai in the
order of Thai.
"""

from __future__ import annotations

import re

_INITIALS = {
    "กขฃคฅฆ": "k", "ง": "ŋ", "จฉชฌ": "tɕ", "ซศษส": "s", "ญย": "j", "ดฎ": "d", "ตฏฐฑฒถทธ": "t",
    "นณ": "n", "บ": "b", "ปผพภ": "p", "ฝฟ": "f", "ม": "m", "รฤ": "r", "ลฬ\u0e3c": "l", "ว": "w",
    "หฮ": "h",
}  # fmt: skip
_FINALS = {"ญรฤลฬ": "n", "บปผฝพฟภ": "p", "จฉชซฌดฎตฏฐฑฒถทธศษส": "t"}
"""Where they differ from the same letters at the beginning."""
_SHAPES = {
    "K": "กขคตปผพ", "L": "รล\u0e3c", "W": "ว", "Y": "ย", "Q": "อ", "H": "ห", "N": "งญนม",
    "e": "เ", "x": "แ", "o": "โ", "y": "ใไ", "a": "ะ", "A": "าๅ", "n": "ั", "i": "ิี", "v": "ึื",
    "u": "ุู", "m": "ำ", "w": "\u0e3b", "j": "\u0e3d", "g": "\u0e4d",
    "": "\u0e2f\u0e3a\u0e46\u0e47\u0e48\u0e49\u0e4a\u0e4b\u0e4c\u0e4e",
}  # fmt: skip
"""Kinds of letters: K and L may stand together at the beginning, X are all others; vowels are
small; marks of tone and shortness are nothing."""
_STRUCK_OUT = re.compile("(?:ท?ร|[ก-ฮ])[ิุ]?\u0e4c")

_VOWEL = "[aAnivumwjgQ]"
_ONSET = f"(?P<onset>K[LW](?={_VOWEL})|(?<=[exoy])K[LW](?![a-z])|H[LWYN]|QY|[A-Z])"
_CODA = f"(?P<coda>[KLWYNX](?!{_VOWEL})(?<!K(?=[LW][anivum])))"
# What is written round, over and under the consonants C, F | the vowel that is spoken. The first
# that fits a place wins.
_SYLLABLES = [
    (re.compile(shape.replace("C", _ONSET).replace("F", _CODA)), vowel)
    for shape, vowel in (
        ("eCiYa?F?", "i_a"), ("eCvQF?", "ɯ_a"), ("eCAaF{0}", "ɔ"), ("eCAF{0}", "a_w"),
        ("eCQa?F?", "ɤ"), ("eCiF", "ɤ"), ("eCYF{0}", "ɤ_j"), ("e+Cn?a?F?", "e"), ("xCn?a?F?", "ɛ"),
        ("oCa?F?", "o"), ("yCY?F{0}", "a_j"), ("CnWa?F?", "u_a"), ("CLL(?![a-z])F?", "a"),
        ("CnF", "a"), ("CmF{0}", "a_m"), ("C[aA]F?", "a"), ("CiF?", "i"), ("CvQ?F?", "ɯ"),
        ("CuF?", "u"), ("CwWF?", "u_a"), ("CwF?", "o"), ("CjF?", "i_a"), ("CgF?", "ɔ"),
        ("CWF", "u_a"), ("CQF?", "ɔ"), ("CF", "o"), ("CF{0}", "a"),
    )
]  # fmt: skip


def _by_letter(table: dict[str, str]) -> dict[str, str]:
    return {letter: value for letters, value in table.items() for letter in letters}


_INITIAL = _by_letter(_INITIALS)
_FINAL = _INITIAL | _by_letter(_FINALS)
_SHAPE = {letter: shape for shape, letters in _SHAPES.items() for letter in letters}


def syllables(text: str) -> list[tuple[str, str]]:
    """Cut a run of Thai or Lao.

    Args:
        text: letters and vowel signs of these scripts alone.

    Returns:
        Each syllable as it is written, and in IPA with ``_`` between sounds. Joined, the first are
        the text, but for vowel signs that no letter follows or carries.
    """
    thai = "".join(
        chr(ord(letter) - 0x80) if "\u0e80" < letter < "\u0ecf" else letter
        for letter in text.replace("ຍ", "ຢ")
    )
    silent = {i for match in _STRUCK_OUT.finditer(thai) for i in range(*match.span())}
    shapes = [("" if i in silent else _SHAPE.get(c, "X"), i) for i, c in enumerate(thai)]
    shape = "".join(kind for kind, _ in shapes)
    places = [i for kind, i in shapes if kind] + [len(text)]
    found: list[tuple[str, str]] = []
    place = begin = 0
    while place < len(shape):
        fits = ((pattern.match(shape, place), vowel) for pattern, vowel in _SYLLABLES)
        match, vowel = next((fit for fit in fits if fit[0]), (None, ""))
        if match is None:
            place += 1  # A vowel sign without its consonant.
            continue
        onset, coda = (
            [thai[places[i]] for i in range(*match.span(part))] for part in ("onset", "coda")
        )
        if len(onset) > 1 and onset[0] in "หอ":
            del onset[0]  # It only changes the tone.
        sounds = [_INITIAL.get(letter, "") for letter in onset]
        sounds += [vowel, *(_FINAL.get(letter, "") for letter in coda)]
        place, end = match.end(), places[match.end()]
        found.append((text[begin:end], "_".join(filter(None, sounds))))
        begin = end
    return found
