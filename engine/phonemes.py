# SPDX-License-Identifier: GPL-3.0-or-later
"""The phones of speech: their labels, articulatory classes and times.

Labels are ARPAbet's, without stress, and three for sounds that English lacks and the mouth shows:
``UE`` (close front rounded, /y ʏ ɥ/), ``OE`` (mid front rounded, /ø œ/) and ``BH`` (bilabial
fricative or approximant, /β ɸ/: nearly closed, not a closure). How the mouth makes them is
:mod:`engine.motion.rules.targets`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Phone(NamedTuple):
    """A speech sound with its time: ARPAbet label without stress, seconds from the clip's start."""

    label: str
    start: float
    end: float


class Word(NamedTuple):
    """A word with its time: as it is written, seconds from the clip's start."""

    text: str
    start: float
    end: float


BILABIALS = frozenset({"P", "B", "M"})
"""Sounds that need the lips shut."""
LABIODENTALS = frozenset({"F", "V"})
"""Sounds that need the lower lip on the upper teeth."""
SIBILANTS = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
VOWELS = frozenset(
    {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
    | {"UE", "OE"}
)
OPEN_VOWELS = frozenset({"AA", "AE", "AH", "AO", "AW", "AY"})
"""Vowels during which a shut mouth is plainly wrong."""
ROUNDED = frozenset({"UW", "OW", "W", "UE", "OE"})
"""Sounds with strongly rounded lips."""
SPREAD = frozenset({"IY", "EH"})
"""Sounds with spread lips."""
SILENCE = "SIL"
"""Label of silence; noises and fillers of the recogniser count as silence."""

BETWEEN = {"UE": ("UW", "IY"), "OE": ("UH", "EH"), "BH": ("W", "B")}
"""Sounds that English lacks, as half of each of two that it has: lips of the first with the tongue
of the second, and for BH lips between those of the two."""
FOREIGN = frozenset(BETWEEN)
ENGLISH = (
    (VOWELS - FOREIGN)
    | BILABIALS
    | LABIODENTALS
    | SIBILANTS
    | {"W", "R", "L", "Y", "T", "D", "N", "TH", "DH", "K", "G", "NG", "HH"}
)
"""The phones of ARPAbet."""

_LABELS = ENGLISH | FOREIGN | {SILENCE}


def normalize_label(label: str) -> str:
    """An ARPAbet label without stress mark; silence for anything that is not speech.

    ``"ah0"`` → ``"AH"``; ``"<sil>"``, ``"+NSN+"``, ``"SPN"`` and unknown labels → ``"SIL"``.
    """
    plain = label.strip().upper().rstrip("012")
    return plain if plain in _LABELS else SILENCE


def normalize_segments(phones: Iterable[Phone], duration: float) -> tuple[Phone, ...]:
    """Phones in order that cover ``[0, duration]`` without gap or overlap.

    Holes become silence, neighbouring silences one, overlaps are cut in favour of the later
    phone, and phones without extent inside the clip are dropped.

    Args:
        phones: in any order; labels as any recogniser writes them.
        duration: seconds.
    """
    covered: list[Phone] = []
    for phone in sorted(phones, key=lambda p: (p.start, p.end)):
        start, end = max(0.0, phone.start), min(duration, phone.end)
        if end <= start:
            continue
        label = normalize_label(phone.label)
        if covered and start < covered[-1].end:
            before = covered.pop()
            # What is left of a silence may be no more than rounding.
            _append(covered, before.label, before.start, start)
        _append(covered, SILENCE, covered[-1].end if covered else 0.0, start)
        _append(covered, label, start, end)
    _append(covered, SILENCE, covered[-1].end if covered else 0.0, duration)
    return tuple(covered)


_SEAM = 0.002
"""Seconds; a hole no longer than this is rounding of the phone times, not silence."""


def _append(covered: list[Phone], label: str, start: float, end: float) -> None:
    if end <= start:
        return
    if covered and label == SILENCE and (covered[-1].label == SILENCE or end - start <= _SEAM):
        covered[-1] = covered[-1]._replace(end=end)
    else:
        covered.append(Phone(label, start, end))
