# SPDX-License-Identifier: GPL-3.0-or-later
"""From a line of script to the words somebody says: numbers, symbols and any writing system."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from anyascii import anyascii
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


_SPACE = re.compile(r"(?<![$£€])\s+")
"""Between two words; not inside ``$ 5``, which is said in another order."""


class WrittenWord(NamedTuple):
    """A word of a text.

    Attributes:
        text: as it is written, with its punctuation.
        spoken: the words in which it is said, as :func:`spoken_words` has them, at least one.
    """

    text: str
    spoken: tuple[str, ...]


def written_words(text: str) -> list[WrittenWord]:
    """The words of a text as they are written, each with how it is said, in order.

    What is not said, such as a dash between two words, stays with the word before it; directions
    in brackets are left out.

    Args:
        text: anything; never an error.
    """
    words: list[WrittenWord] = []
    for token in _SPACE.split(_MARKUP.sub(" ", text).strip()):
        if spoken := tuple(spoken_words(token)):
            words.append(WrittenWord(token, spoken))
        elif words and token:
            words[-1] = words[-1]._replace(text=f"{words[-1].text} {token}")
    return words


def spoken_words(text: str) -> list[str]:
    """The words of a text as they are said, in order.

    Words are lower-case a to z with inner apostrophes; capitals of unknown abbreviations survive,
    so that :mod:`.pronunciation` can spell them. Numbers are read out, letters of other
    scripts are romanised, what nobody can say is dropped. Directions in
    brackets, as in ``(laughs)`` or ``[door]``, are not spoken.

    Args:
        text: anything; never an error.
    """
    text = "".join(map(_letter, _MARKUP.sub(" ", unicodedata.normalize("NFKC", text))))
    text = _CURRENCY.sub(r"\2 \1", text)
    text = _ORDINAL.sub(lambda match: f" {_number(match[1], 'ordinal')} ", text)
    words: list[str] = []
    for token in _TOKEN.findall(text):
        if token[0].isdecimal():
            words += re.findall(r"[a-z]+", _number(token))
        elif token in _SYMBOLS:
            words.append(_SYMBOLS[token])
        else:
            words += _romanised(token)
    return words


def _romanised(token: str) -> list[str]:
    """A word in the letters a to z; none where nothing of it can be said."""
    words = []
    for letters in "".join(map(_latin, token)).split():
        if plain := letters.strip("'"):
            abbreviation = plain.isupper() and 2 <= len(plain) <= 5
            words.append(plain if abbreviation else plain.lower())
    return words


@lru_cache(maxsize=4096)
def _letter(char: str) -> str:
    """A character as it is; a vowel sign, which no pattern takes for a letter, as Latin ones."""
    return anyascii(char) if unicodedata.category(char)[0] == "M" else char


@lru_cache(maxsize=4096)
def _latin(char: str) -> str:
    """A character in Latin letters, by anyascii; an ideograph is a word of its own."""
    if char in "'’":
        return "'"
    letters = re.sub("[^A-Za-z]", "", anyascii(char))
    ideograph = unicodedata.name(char, "").startswith("CJK")
    return f" {letters.lower()} " if ideograph else letters


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
