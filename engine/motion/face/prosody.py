# SPDX-License-Identifier: GPL-3.0-or-later
"""Prosody as the face needs it: which sounds are stressed, where phrases are, how it is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from ...core.errors import BadInputError
from ...phonemes import SILENCE, VOWELS, Phone

PAUSE = 0.25
"""Seconds of silence that part two phrases; shorter ones are closures of stops and breaths
(Campione and Véronis 2002 take 200 ms)."""
_DRAWN_OUT = 0.11
"""Seconds from which a vowel counts as stressed where nothing is known but the phones."""
_HALF_STRENGTH = 0.5


class Accent(NamedTuple):
    """A stressed sound: seconds of its middle, and how much it stands out, 0 to 1."""

    time: float
    strength: float


class Tone(NamedTuple):
    """How a phrase is said.

    Attributes:
        start, end: seconds.
        arousal: −1 calm to 1 excited, against this speaker's own middle.
        valence: −1 unpleasant to 1 pleasant; of the voice alone, a guess.
    """

    start: float
    end: float
    arousal: float
    valence: float


@dataclass(frozen=True)
class Prosody:
    """Stress and tone of a recording.

    Attributes:
        accents: stressed sounds in the order of time.
        tones: of the phrases in the order of time.
    """

    accents: tuple[Accent, ...] = ()
    tones: tuple[Tone, ...] = ()

    def to_json(self) -> dict[str, list[list[float]]]:
        """Plain lists, rounded to 0.1 ms and a thousandth."""
        return {
            "accents": [[round(a.time, 4), round(a.strength, 3)] for a in self.accents],
            "tones": [
                [round(t.start, 4), round(t.end, 4), round(t.arousal, 3), round(t.valence, 3)]
                for t in self.tones
            ],
        }

    @classmethod
    def from_json(cls, value: Any) -> Prosody:
        """What :meth:`to_json` made.

        Raises:
            BadInputError: it is not.
        """
        try:
            prosody = cls(
                tuple(Accent(*map(float, accent)) for accent in value["accents"]),
                tuple(Tone(*map(float, tone)) for tone in value["tones"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadInputError(f"The prosody cannot be read: {error}.") from error
        if not all(isfinite(x) for row in (*prosody.accents, *prosody.tones) for x in row):
            raise BadInputError("The prosody holds numbers that are not finite.")
        return prosody


UNKNOWN = Prosody()


def prosody_of_phones(phones: Sequence[Phone]) -> Prosody:
    """What the phones alone say of stress: their drawn-out vowels. Nothing is known of the tone."""
    return Prosody(
        tuple(
            Accent((phone.start + phone.end) / 2, _HALF_STRENGTH)
            for phone in phones
            if phone.label in VOWELS and phone.end - phone.start > _DRAWN_OUT
        )
    )


def phrases(phones: Sequence[Phone]) -> list[tuple[float, float]]:
    """Start and end in seconds of each stretch of speech between pauses."""
    found: list[tuple[float, float]] = []
    for phone in phones:
        if phone.label == SILENCE:
            continue
        if found and phone.start - found[-1][1] < PAUSE:
            found[-1] = (found[-1][0], phone.end)
        else:
            found.append((phone.start, phone.end))
    return found
