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
        people_opening, people_width: of filmed people, ``None`` where they were not measured.
    """

    label: str
    phones: int
    opening: float
    width: float
    people_opening: float | None
    people_width: float | None


def phone_means(clips: Iterable[tuple[MouthCurve, Sequence[Phone]]]) -> tuple[PhoneMean, ...]:
    """The mouth at the middle of every phone of the clips, by label.

    Silences before the first and after the last sound of a clip are no pauses and left out.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for curve, phones in clips:
        said = [i for i, phone in enumerate(phones) if phone.label != SILENCE]
        for phone in phones[said[0] : said[-1] + 1] if said else ():
            middle = (phone.start + phone.end) / 2
            if middle <= curve.times[-1]:
                opening = np.interp(middle, curve.times, curve.opening)
                width = np.interp(middle, curve.times, curve.width)
                found.setdefault(phone.label, []).append((float(opening), float(width)))
    return tuple(
        PhoneMean(
            label,
            len(measured),
            float(np.mean([opening for opening, _ in measured])),
            float(np.mean([width for _, width in measured])),
            OPENINGS.get(label),
            WIDTHS.get(label),
        )
        for label, measured in sorted(found.items())
    )
