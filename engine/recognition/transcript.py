# SPDX-License-Identifier: GPL-3.0-or-later
"""From a line of script to the words somebody says: numbers, symbols and any writing system."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from num2words import num2words

_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*['’]?|\d[\d.,:]*\d|\d|[&%+@=$£€#°]", re.UNICODE)

_SYMBOLS = {
    "&": "and",
    "%": "percent",
    "+": "plus",
    "@": "at",
    "=": "equals",
    "$": "dollars",
    "£": "pounds",
    "€": "euros",
    "#": "number",
    "°": "degrees",
}
_CURRENCY = re.compile(r"([$£€])\s?(\d[\d.,]*\d|\d)")
_ORDINAL = re.compile(r"\b(\d[\d,]{0,30})(?:st|nd|rd|th)\b", re.IGNORECASE)
_MARKUP = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|<[^<>]*>")
_LONGEST_NUMBER = 15
"""Digits from which a number is read digit by digit."""

_FOLDED = {
    "æ": "ae",
    "œ": "oe",
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ð": "th",
    "þ": "th",
    "ß": "ss",
    "ı": "i",
    "ħ": "h",
    "ŋ": "ng",
}
_VOWELS = "aeiou"


def spoken_words(text: str) -> list[str]:
    """The words of a text as they are said, in order.

    Words are lower-case a to z with inner apostrophes; capitals of unknown abbreviations survive,
    so that :mod:`.pronunciation` can spell them. Numbers are read out, letters of other
    scripts are romanised by their Unicode names, what nobody can say is dropped. Directions in
    brackets, as in ``(laughs)`` or ``[door]``, are not spoken.

    Args:
        text: anything; never an error.
    """
    text = _MARKUP.sub(" ", unicodedata.normalize("NFKC", text))
    text = _CURRENCY.sub(r"\2 \1", text)
    text = _ORDINAL.sub(lambda match: f" {_number(match[1], 'ordinal')} ", text)
    words: list[str] = []
    for token in _TOKEN.findall(text):
        if token[0].isdecimal():
            words += re.findall(r"[a-z]+", _number(token))
        elif token in _SYMBOLS:
            words.append(_SYMBOLS[token])
        else:
            words += _folded(token)
    return words


def _folded(token: str) -> list[str]:
    """A word in the letters a to z: one word, or none where nothing of it can be said."""
    letters = "".join(_latin(char) for char in token)
    letters = re.sub(r"[^A-Za-z']", "", letters).strip("'")
    if not letters:
        return []
    shouted = letters.isupper() and 2 <= len(letters) <= 5
    return [letters if shouted else letters.lower()]


@lru_cache(maxsize=4096)
def _latin(char: str) -> str:
    """A character as Latin letters: accents dropped, other scripts by the letter's Unicode name."""
    if char in "'’":
        return "'"
    base = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    if base.isascii() and base:
        return base
    if char.lower() in _FOLDED:
        return _FOLDED[char.lower()]
    name = unicodedata.name(base if len(base) == 1 else char, "")
    syllable = re.search(r"(?:SYLLABLE|HIRAGANA LETTER|KATAKANA LETTER)(?: SMALL)? ([A-Z]+)$", name)
    if syllable:
        return syllable[1].lower()
    letter = re.search(r"(?:LETTER|VOWEL SIGN)(?: FINAL)? ([A-Z]+)$", name)
    if not letter:
        return ""
    return _sound_of_name(letter[1].lower(), name.split()[0])


def _sound_of_name(name: str, script: str) -> str:
    """The sound a letter's name stands for: "zhe" → "zh", "beta" → "b", "alpha" → "a"."""
    if script == "CYRILLIC":
        consonants = "".join(c for c in name if c not in _VOWELS)
        return consonants if consonants and not name.startswith(("y", "io")) else name[:2]
    if script in ("GREEK", "HEBREW", "ARABIC"):
        found = re.match(r"[^aeiou]+|[aeiou]", name)
        return found[0] if found else name
    return name


def _number(digits: str, to: str = "cardinal") -> str:
    """A number read out in English; digit by digit where it is no ordinary number."""
    if re.fullmatch(r"\d{1,2}:\d\d", digits):
        hours, minutes = digits.split(":")
        return f"{_number(hours)} {_number(minutes) if int(minutes) else ''}"
    plain = digits.replace(",", "")
    if len(plain) <= _LONGEST_NUMBER:
        try:
            if to == "ordinal" or re.fullmatch(r"1[1-9]\d\d|20[1-9]\d", digits):
                return str(num2words(int(plain), to=to if to == "ordinal" else "year"))
            return str(num2words(float(plain) if "." in plain else int(plain)))
        except (ValueError, OverflowError, ArithmeticError):
            pass  # "1.2.3" and the like: a version or a date, read digit by digit.
    return " ".join(str(num2words(int(digit))) for digit in digits if digit.isdecimal())
