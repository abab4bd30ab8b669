# SPDX-License-Identifier: GPL-3.0-or-later
"""From a line of script to the words somebody says, in any writing system."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from engine.recognition.language import guess_language, script_of, voice_of
from engine.recognition.unspaced import UNSPACED, segments

_TOKEN = re.compile(
    "(?P<unspaced>E+|S+)|(?P<word>a[aj]*(?:'a[aj]*)*'?)|(?P<number>(?:d[d.]*)?da{0,3})"
    "|(?P<currency>[$])|(?P<symbol>s)"
)
"""Over the kinds of characters that :func:`_kind` distinguishes."""
_MARKUP = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|<[^<>]*>|\{[^{}]*\}|（[^（）]*）|【[^【】]*】")
_ASTERISKS = re.compile(r"(^|\n|[.!?…。！？][\"'’”»)\]]*)((?:[ \t]*\*[^*\n]+\*)+)(?!\*)")
"""Asterisks where a sentence may begin."""
_STARRED = re.compile(r"[ \t]*\*([^*\n]+)\*")
_BETWEEN_ASTERISKS = re.compile(r"\*[^*\n]+\*")
"""In a sentence: a direction, or a word that is stressed."""
_LABEL = re.compile(
    r"^[ \t]*(?:[-–—][ \t]*)?([^\W_][^\s:：]*(?:[ \t]+[^\s:：]+){0,2})[ \t]*[:：]", re.MULTILINE
)
"""Up to three words and a colon at the beginning of a line: who speaks, or part of what is said."""
_HEADING_WORDS = 6
"""Words in capitals alone on a line that may be a name or a heading: BOB, INT. KITCHEN - DAY."""
_UNSEEN = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Variation selectors: another glyph of the same letter."""
_LONGEST_WORD = 60
"""Letters; what is longer is read in parts, in scripts without spaces too."""
_LONGEST_NUMBER = 15
"""Digits from which a number is read digit by digit."""


class _SpokenWord(NamedTuple):
    """A word as it is said, and where it stands in the text.

    Attributes:
        word: see :func:`spoken_words`.
        start, end: characters of the text.
        kind: group of :data:`_TOKEN`.
    """

    word: str
    start: int
    end: int
    kind: str


class WrittenWord(NamedTuple):
    """A word of a text.

    Attributes:
        text: as it is written, with its punctuation.
        spoken: the words in which it is said, as :func:`spoken_words` has them, at least one.
        optional: it may well not be said: a direction, a heading or the name of who speaks.
    """

    text: str
    spoken: tuple[str, ...]
    optional: bool = False


def spoken_words(text: str, language: str | None = None) -> list[str]:
    """The words of a text as they are said, in order.

    Words keep their letters and inner apostrophes, numbers their digits; a currency comes after
    its amount. Scripts without spaces are cut into words or syllables. What nobody can say is
    dropped. Stage directions are not spoken: :func:`written_words`.

    Args:
        text: anything; never an error for what it holds.
        language: of the text; guessed from its script by default.

    Raises:
        BadInputError: there is no such language.
    """
    return [word for written in written_words(text, language) for word in written.spoken]


def written_words(text: str, language: str | None = None) -> list[WrittenWord]:
    """The words of a text as they are written, each with how it is said, in order.

    What is not said, such as a dash between two words, stays with the word before it. Stage
    directions are left out: in brackets, as ``(laughs)``, ``[door]``, ``{beat}`` and ``（笑）``, or
    in asterisks, as ``*sighs*``. Words in asterisks that stand inside a sentence, or begin one with
    a capital, are emphasised, ``I *really* do. *Never* again!``, or a direction all the same: they
    are optional, as are names with a colon at the beginning of a line and lines in capitals where
    others are not.

    Args:
        text: anything; never an error for what it holds.
        language: of the text; guessed from its script by default.

    Raises:
        BadInputError: there is no such language.
    """
    language = language or guess_language(text)
    voice_of(language)
    text = _ASTERISKS.sub(_without_directions, _MARKUP.sub(" ", text))
    text = unicodedata.normalize("NFC", _UNSEEN.sub("", text))
    starts: list[int] = []
    groups: list[list[str]] = []
    before = _SpokenWord("", 0, 0, "unspaced")
    for said in _said(text, language):
        gap = text[before.end : said.start]
        spaces = [match.end() for match in re.finditer(r"\s", gap)]
        if before.kind == "currency" and said.kind == "number":
            groups[-1].insert(-1, said.word)
        elif groups and not spaces and "unspaced" not in {before.kind, said.kind}:
            groups[-1].append(said.word)
        else:
            # What stands between two words without a space belongs to the first.
            starts.append(before.end + (spaces[-1] if spaces else len(gap) if groups else 0))
            groups.append([said.word])
        before = said
    optional = bytearray(len(text))
    for start, end in _optional(text):
        optional[start:end] = bytes([1]) * (end - start)
    return [
        WrittenWord(" ".join(text[start:end].split()), tuple(group), bool(optional[start]))
        for (start, end), group in zip(
            itertools.pairwise([*starts, len(text)]), groups, strict=True
        )
    ]


def _optional(text: str) -> Iterator[tuple[int, int]]:
    """Characters [start, end) of what a script has beside what is said, or may have."""
    for match in _BETWEEN_ASTERISKS.finditer(text):
        yield match.span()
    for match in _LABEL.finditer(text):
        if not any(word[0].islower() for word in match[1].split()):
            yield match.span()
    if not text.isupper():
        start = 0
        for line in text.splitlines(keepends=True):
            if line.isupper() and len(line.split()) <= _HEADING_WORDS:
                yield start, start + len(line)
            start += len(line)


def _without_directions(found: re.Match[str]) -> str:
    """The end of a sentence, and what begins the next one, from :data:`_ASTERISKS`."""
    before, starred = found.groups()
    return before + _STARRED.sub(lambda one: " " if one[1][0].islower() else one[0], starred) + " "


def _said(text: str, language: str) -> Iterator[_SpokenWord]:
    """The words that are said, in the order of the text."""
    for token in _TOKEN.finditer("".join(map(_kind, text))):
        start, end = token.span()
        kind = token.lastgroup or ""
        step = _LONGEST_WORD
        if kind == "number" and end - start > _LONGEST_NUMBER:
            step = 1
        for begin in range(start, end, step):
            part = text[begin : min(begin + step, end)]
            for written in segments(part, language) if kind == "unspaced" else [part]:
                word = unicodedata.normalize("NFKC", written).replace("’", "'").replace("ʼ", "'")
                if word := word.strip("'.,: "):
                    yield _SpokenWord(word, begin, begin + len(written), kind)
                begin += len(written)  # noqa: PLW2901


@lru_cache(maxsize=8192)
def _kind(char: str) -> str:
    """What a character is for :data:`_TOKEN`: a space where it is not said."""
    category = unicodedata.category(char)
    for kind, characters in _KINDS.items():
        if char in characters:
            return kind
    if category in {"Sc", "Nd"}:
        return "$" if category == "Sc" else "d"
    return UNSPACED.get(script_of(char), "a") if category[0] in "LM" else " "


_KINDS = {"'": "'’ʼ＇", "j": "\u200c\u200d", "s": "&%+@=#°", ".": ".,:٫٬"}
"""Apostrophes, joiners inside words, symbols that are said, marks inside numbers; letters are
``a``, ``E`` or ``S``, digits ``d``, currencies ``$``."""
