# SPDX-License-Identifier: GPL-3.0-or-later
"""The phones and words of a line with their times, as an artist has them. No bpy."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from ....engine.phonemes import SILENCE, Phone, Word


class Timing(NamedTuple):
    """When each phone and word of a line is spoken.

    Attributes:
        phones: in order, without overlap and without silences; seconds into the sound.
        words: in order, without overlap; likewise.
    """

    phones: tuple[Phone, ...] = ()
    words: tuple[Word, ...] = ()

    def shifted(self, seconds: float) -> Timing:
        """The same, later."""
        return Timing(
            tuple(p._replace(start=p.start + seconds, end=p.end + seconds) for p in self.phones),
            tuple(w._replace(start=w.start + seconds, end=w.end + seconds) for w in self.words),
        )

    def outside(self, start: float, end: float) -> Timing:
        """What of it does not reach into a stretch of the sound."""
        return Timing(
            tuple(phone for phone in self.phones if phone.end <= start or phone.start >= end),
            tuple(word for word in self.words if word.end <= start or word.start >= end),
        )

    def joined(self, other: Timing) -> Timing:
        """The phones and words of both, which do not overlap, in order."""
        return Timing(
            tuple(sorted((*self.phones, *other.phones), key=lambda phone: phone.start)),
            tuple(sorted((*self.words, *other.words), key=lambda word: word.start)),
        )

    def to_json(self) -> str:
        """As it is kept with a line."""
        return json.dumps({"phones": _rows(self.phones), "words": _rows(self.words)})

    def params(self) -> dict[str, Any]:
        """As ``speech.predict`` takes it."""
        return {"phones": _rows(self.phones), "words": _rows(self.words)}


def timing_of(
    phones: Iterable[tuple[str, float, float]], words: Iterable[tuple[str, float, float]]
) -> Timing:
    """The timing of a prediction's phones and words."""
    spoken = (Phone(*phone) for phone in phones)
    return Timing(
        tuple(phone for phone in spoken if phone.label != SILENCE), tuple(Word(*w) for w in words)
    )


def read_timing(kept: str) -> Timing:
    """What :meth:`Timing.to_json` made."""
    known = json.loads(kept)
    return timing_of(known["phones"], known["words"])


def _rows(timed: Iterable[Phone | Word]) -> list[list[Any]]:
    return [[text, round(start, 6), round(end, 6)] for text, start, end in timed]
