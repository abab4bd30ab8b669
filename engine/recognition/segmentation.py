# SPDX-License-Identifier: GPL-3.0-or-later
"""Phones and words whose times are known: from a TextGrid, from JSON, or moved by an artist.

The JSON is what PocketSphinx's aligner writes: an object with ``t`` (the transcript) and ``w``,
its words; each word has ``w``, its phones. Everything has ``b``, its begin, and ``d``, its
duration, in seconds; ``t`` of a phone is its label, ``SIL`` for silence. TextGrids are Praat's,
with tiers of phones and words (:mod:`.aligned_tiers`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

from engine.core.checks import check_range, shown
from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject, read_json
from engine.phonemes import Phone, Word
from engine.recognition.aligned_tiers import is_word, phones_of, timed_sounds, words_of
from engine.recognition.text_grid import Interval, read_text_grid

SUFFIX = ".phones.json"
TEXT_GRID_SUFFIXES = (".TextGrid", ".textgrid")

_LONGEST = 1e6
"""Seconds."""
_ROUNDING = 1e-6
_SLACK = 0.1
"""Seconds by which phones may lie outside a clip: aligners round, decoders pad."""
_REMEDY = "It must be an alignment with words 'w' of phones 'w' with begin 'b' and duration 'd'."
_LABELS = "Labels are ARPAbet's (AH, SH), IPA's (ʃ), or SIL for silence."
_IN_TURN = "Phones and words follow each other: move or delete one of the two."
_VARIANT = re.compile(r"\(\d+\)$")
"""Number of a pronunciation, which the dictionary puts behind a word: ``was(2)``."""

_Timed = TypeVar("_Timed", Phone, Word)


class Segmentation(NamedTuple):
    """What is said when.

    Attributes:
        phones: in order, without overlap; silence as ``SIL`` or left out.
        words: in order, without overlap; one in whose time there is no phone has yet to be
            pronounced.
        transcript: what is said as a text, empty where there are no words.
        name: what it came from, for messages.
    """

    phones: tuple[Phone, ...]
    words: tuple[Word, ...] = ()
    transcript: str = ""
    name: str = "The timeline"

    def stretch(self, start: float, duration: float) -> Segmentation:
        """What of it falls into the ``duration`` seconds from ``start``, in their own time.

        Words of which less than half is left are left out.
        """
        phones = [_cut(phone, start, duration) for phone in self.phones]
        words = [
            cut
            for word in self.words
            if _length(cut := _cut(word, start, duration)) >= _length(word) / 2
        ]
        kept = tuple(phone for phone in phones if _length(phone) > _ROUNDING)
        return self._replace(phones=kept, words=tuple(words))

    def check_within(self, duration: float, recording: str = "the recording") -> None:
        """Check that it is of a recording of so many seconds.

        Raises:
            BadInputError: phones or words lie outside it.
        """
        times = [timed[1:] for timed in (*self.phones, *self.words)]
        last = max((end for _, end in times), default=0.0)
        if last > duration + _SLACK:
            raise BadInputError(
                f"{self.name} ends at {last:g} s, but {recording} lasts {duration:g} s.",
                "Give the phones of this recording.",
            )
        if (first := min((start for start, _ in times), default=0.0)) < -_SLACK:
            raise BadInputError(
                f"{self.name} begins {-first:g} s before {recording}.",
                "Give the phones of this recording.",
            )


def segmentation(
    phones: Iterable[tuple[str, float, float]],
    words: Iterable[tuple[str, float, float]] = (),
    name: str = "The timeline",
) -> Segmentation:
    """Phones and words that are given as label, start and end in seconds.

    Args:
        phones: labels as of :func:`engine.recognition.aligned_tiers.timed_sounds`; one may stand
            for several sounds, which share its time.
        words: as they are written.
        name: what they came from, for messages.

    Raises:
        BadInputError: an unknown label, no duration, or overlap; names the phone or word.
    """
    sounds: list[Phone] = []
    for label, start, end in _in_turn("phone", phones, name):
        found = timed_sounds(Interval(label, start, end))
        if not found:
            raise BadInputError(f"{name}: there is no phone {shown(label)}.", _LABELS)
        sounds += found
    said = tuple(Word(*word) for word in _in_turn("word", words, name) if word[0].strip())
    return Segmentation(tuple(sounds), said, " ".join(word.text for word in said), name)


def find_segmentation(folder: Path, name: str) -> Path:
    """The alignment of a recording in a folder: the JSON, else the TextGrid, else the JSON's name.

    Args:
        folder: where it is looked for.
        name: of the recording, without suffix.
    """
    wanted, *others = (folder / (name + suffix) for suffix in (SUFFIX, *TEXT_GRID_SUFFIXES))
    return next((path for path in (wanted, *others) if path.is_file()), wanted)


def load_segmentation(path: str | Path) -> Segmentation:
    """Phones and words of an alignment file.

    Args:
        path: a TextGrid, or JSON.

    Raises:
        BadInputError: no such file, not an alignment, or broken; names the file.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInputError(
            f"There is no alignment {path}.", f"Give a TextGrid or a <name>{SUFFIX}."
        )
    if path.suffix.lower() == ".textgrid":
        tiers = read_text_grid(path)
        words = words_of(tiers)
        text = " ".join(word.text for word in words)
        return Segmentation(phones_of(tiers, path), words, text, str(path))
    content = read_json(path, _REMEDY)
    entries = content.groups("w")
    phones = [_phone(phone) for word in entries for phone in word.groups("w")]
    if not phones:
        raise BadInputError(f"{path} holds no phones.", _REMEDY)
    words = tuple(word for entry in entries if is_word((word := _word(entry)).text))
    return segmentation(phones, words, str(path))._replace(transcript=content.text("t"))


def _word(entry: JsonObject) -> Word:
    phones = [_phone(phone) for phone in entry.groups("w")]
    text = _VARIANT.sub("", entry.text("t"))
    return Word(text, phones[0].start, phones[-1].end) if phones else Word("", 0.0, 0.0)


def _phone(entry: JsonObject) -> Phone:
    start = entry.number("b", low=0, high=_LONGEST)
    duration = entry.number("d", low=1e-6, high=_LONGEST)
    # Times are written in hundredths; the sum of two of them is not quite one.
    return Phone(entry.text("t"), start, round(start + duration, 6))


def _in_turn(
    kind: str, timed: Iterable[tuple[str, float, float]], name: str
) -> Sequence[tuple[str, float, float]]:
    """What is given, checked: each lasts, and they follow each other."""
    given = list(timed)
    for label, start, end in given:
        for time in (start, end):
            what = f"{name}: a time of the {kind} {shown(label)}"
            check_range(what, time, -_LONGEST, _LONGEST, "Give seconds.")
        if not end > start:
            raise BadInputError(
                f"{name}: the {kind} {shown(label)} at {start:g} s ends at {end:g} s.",
                f"Make it longer, or delete the {kind}.",
            )
    for (before, _, ended), (label, start, _) in pairwise(given):
        if start < ended - _ROUNDING:
            raise BadInputError(
                f"{name}: the {kind}s {shown(before)} and {shown(label)} overlap at {start:g} s.",
                _IN_TURN,
            )
    return given


def _cut(timed: _Timed, start: float, duration: float) -> _Timed:
    first = min(max(timed.start - start, 0.0), duration)
    return timed._replace(start=first, end=max(first, min(timed.end - start, duration)))


def _length(timed: _Timed) -> float:
    return timed.end - timed.start
