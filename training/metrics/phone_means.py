# SPDX-License-Identifier: GPL-3.0-or-later
"""The mouth at the middle of each phone: ours beside that of filmed people.

The means of people are of seven films of five speakers of English, 44 s with 517 phones, whose
words were aligned with the sound: landmarks of MediaPipe's face mesh, in mm where the outer eye
corners are 90 mm apart (:mod:`training.data.filmed_mouth`). Standard deviations lie between 2 and
5 mm. English has no ``UE``, ``OE`` and ``BH``, so nobody was measured at them. Widths are of the
mouths of those five; ours is a head of its own, so compare differences.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from engine.phonemes import SILENCE, Phone
from training.data.filmed_mouth import MouthCurve

OPENINGS: dict[str, float] = {
    "AA": 10.4,
    "AE": 13.4,
    "AH": 8.8,
    "AO": 4.9,
    "AY": 10.9,
    "B": 0.5,
    "CH": 7.6,
    "D": 10.1,
    "DH": 8.9,
    "EH": 10.4,
    "ER": 7.5,
    "EY": 11.6,
    "F": 2.4,
    "G": 7.0,
    "HH": 14.9,
    "IH": 8.6,
    "IY": 7.5,
    "K": 9.9,
    "L": 8.4,
    "M": 1.7,
    "N": 9.2,
    "NG": 10.7,
    "OW": 2.9,
    "P": 0.8,
    "R": 6.2,
    "S": 9.6,
    "SH": 11.1,
    "T": 8.2,
    "UH": 3.8,
    "UW": 3.0,
    "V": 3.6,
    "W": 3.2,
    "Y": 6.5,
    "Z": 7.6,
    SILENCE: 7.6,
}
"""People's mean opening, mm; that of silence is of pauses between words."""
WIDTHS: dict[str, float] = {
    "AO": 45.0,
    "EY": 57.0,
    "IH": 54.0,
    "R": 48.0,
    "S": 54.0,
    "T": 52.0,
    "UH": 43.0,
    "UW": 48.0,
    "W": 47.0,
}
"""People's mean width, mm, of sounds that round or spread the lips."""


class PhoneMean(NamedTuple):
    """The mouth at the middle of one phone, on the mean.

    Attributes:
        label: the phone.
        phones: how many there were.
        opening, width: ours, mm.
        people_opening, people_width: of five filmed speakers, ``None`` where not measured.
        filmed: how many of the phones the clips' own films show.
        filmed_opening, filmed_width: of the speakers of those films, ``None`` where none is.
    """

    label: str
    phones: int
    opening: float
    width: float
    people_opening: float | None
    people_width: float | None
    filmed: int = 0
    filmed_opening: float | None = None
    filmed_width: float | None = None


class SpokenClip(NamedTuple):
    """A mouth, the phones that it spoke, and the film of who said them, where there is one.

    Attributes:
        curve: our mouth.
        phones: timed, of the clip.
        film: the speaker's mouth.
        late: seconds by which ours is later than the film (:mod:`training.metrics.film`).
    """

    curve: MouthCurve
    phones: Sequence[Phone]
    film: MouthCurve | None = None
    late: float = 0.0


def phone_means(clips: Iterable[SpokenClip]) -> tuple[PhoneMean, ...]:
    """The mouth at the middle of every phone of the clips, by label.

    Silences before the first and after the last sound of a clip are no pauses and left out.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    shown: dict[str, list[tuple[float, float]]] = {}
    for curve, phones, film, late in clips:
        said = [i for i, phone in enumerate(phones) if phone.label != SILENCE]
        for phone in phones[said[0] : said[-1] + 1] if said else ():
            middle = (phone.start + phone.end) / 2
            if middle <= curve.times[-1]:
                found.setdefault(phone.label, []).append(_at(curve, middle))
            if film is not None and 0.0 <= middle - late <= film.times[-1]:
                seen = _at(film, middle - late)
                if not np.isnan(seen).any():
                    shown.setdefault(phone.label, []).append(seen)
    return tuple(
        PhoneMean(
            label,
            len(measured),
            *_mean(measured),
            OPENINGS.get(label),
            WIDTHS.get(label),
            len(shown.get(label, ())),
            *(_mean(shown[label]) if label in shown else (None, None)),
        )
        for label, measured in sorted(found.items())
    )


def _at(curve: MouthCurve, time: float) -> tuple[float, float]:
    opening, width = (np.interp(time, curve.times, x) for x in (curve.opening, curve.width))
    return float(opening), float(width)


def _mean(measured: Sequence[tuple[float, float]]) -> tuple[float, float]:
    opening, width = np.mean(measured, axis=0)
    return float(opening), float(width)
