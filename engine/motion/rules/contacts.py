# SPDX-License-Identifier: GPL-3.0-or-later
"""When the mouth must touch: lips shut, lip on teeth, and the mouth at rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from engine.motion.articulation import Articulation
from engine.motion.rules.coarticulation import Array, ContactIntervals, smoothstep
from engine.phonemes import BILABIALS, LABIODENTALS, SILENCE, VOWELS, Phone

_SHUT_WITHIN = {"P": (0.05, 0.70), "B": (0.05, 0.75), "M": (0.05, 0.85)}
"""Parts of the sound between which the lips stay shut: p and b end in a burst, m is shut longer."""
_TUCKED_WITHIN = (0.15, 0.75)
_CLOSING = 0.075
_OPENING = 0.070
_TUCKING = 0.060
"""Seconds of the movement into and out of a contact (Löfqvist and Gracco 1997 measure lip closing
movements of 60 to 100 ms)."""
_QUICKEST = 0.020
"""No movement is shorter than this, however short the vowel before."""
_BREATH = (0.10, 0.15)
"""Silences begin to rest at the first, and rest fully from the second length in seconds."""
_SETTLING = (0.16, 0.45)
_PREPARING = (0.14, 0.40)
"""Movement into and out of rest: at most so many seconds, and at most this part of the silence."""


def bilabial_closures(
    phones: Sequence[Phone], fps: float, settings: Articulation
) -> ContactIntervals:
    """Lips shut for p, b and m.

    Each hold lasts at least one frame interval, so at least one sampled frame is fully shut
    whatever the frame rate. The movements end at the middle of the vowels on both sides, so that a
    short vowel between two closures still opens. Beside a silence the lips stay shut from it.

    Args:
        phones: normalized segments
        fps: frames per second.
        settings: the speaker.
    """
    holds = []
    resting = _rest_spans(phones)
    for i, phone in enumerate(phones):
        if phone.label not in BILABIALS:
            continue
        start, end = _visible(_within(phone, *_SHUT_WITHIN[phone.label]), fps)
        rise, fall = _ramps(phones, i, (start, end), (_CLOSING, _OPENING), settings.anticipation)
        if i > 0 and i - 1 in resting:
            start = min(start, resting[i - 1][1])
        if i + 1 in resting:
            end = max(end, resting[i + 1][0])
        holds.append((start, end, rise, fall, 1.0))
    return _gathered(holds)


def labiodental_contacts(
    phones: Sequence[Phone], fps: float, settings: Articulation
) -> ContactIntervals:
    """Lower lip on the upper teeth for f and v, visible at any frame rate as the closures are."""
    holds = []
    for i, phone in enumerate(phones):
        if phone.label in LABIODENTALS:
            span = _visible(_within(phone, *_TUCKED_WITHIN), fps)
            ramps = _ramps(phones, i, span, (_TUCKING, _TUCKING), settings.anticipation)
            holds.append((*span, *ramps, 1.0))
    return _gathered(holds)


def rest_intervals(phones: Sequence[Phone], fps: float) -> ContactIntervals:
    """The mouth at rest in silences longer than a breath, with time to settle and to prepare."""
    holds = []
    low, high = _BREATH
    for i, span in _rest_spans(phones).items():
        phone = phones[i]
        length = phone.end - phone.start
        middle = (span[0] + span[1]) / 2
        half = min(0.5 / fps + 1e-6, length / 2)
        start, end = min(span[0], middle - half), max(span[1], middle + half)
        amount = float(smoothstep(np.array((length - low) / (high - low))))
        # Before the clip and after it there is silence too: nothing moves at its edges.
        if i == 0:
            start -= length
        if i == len(phones) - 1:
            end += length
        rise, fall = max(start - phone.start, _QUICKEST), max(phone.end - end, _QUICKEST)
        holds.append((start, end, rise, fall, amount))
    return _gathered(holds)


def _rest_spans(phones: Sequence[Phone]) -> dict[int, tuple[float, float]]:
    """Silences that rest, by position among the phones, with the part of complete rest."""
    spans = {}
    for i, phone in enumerate(phones):
        length = phone.end - phone.start
        if phone.label == SILENCE and length > _BREATH[0]:
            settle = 0.0 if i == 0 else min(_SETTLING[0], _SETTLING[1] * length)
            prepare = 0.0 if i == len(phones) - 1 else min(_PREPARING[0], _PREPARING[1] * length)
            spans[i] = (phone.start + settle, phone.end - prepare)
    return spans


def _within(phone: Phone, first: float, last: float) -> tuple[float, float]:
    length = phone.end - phone.start
    return phone.start + first * length, phone.start + last * length


def _visible(span: tuple[float, float], fps: float) -> tuple[float, float]:
    """The span, widened about its middle until it holds a sampled frame."""
    start, end = span
    middle, half = (start + end) / 2, 0.5 / fps + 1e-6
    return min(start, middle - half), max(end, middle + half)


def _ramps(
    phones: Sequence[Phone],
    i: int,
    span: tuple[float, float],
    longest: tuple[float, float],
    anticipation: float,
) -> tuple[float, float]:
    """Seconds of movement into and out of a contact.

    Cut short at the middle of the nearest sounds that need the lips elsewhere: vowels and the
    other kind of contact.
    """
    rise, fall = longest[0] * anticipation, longest[1] * anticipation
    other = LABIODENTALS if phones[i].label in BILABIALS else BILABIALS
    before = _nearest(phones, range(i - 1, max(i - 4, -1), -1), VOWELS | other)
    after = _nearest(phones, range(i + 1, min(i + 4, len(phones))), VOWELS | other)
    if before is not None:
        rise = min(rise, span[0] - before)
    if after is not None:
        fall = min(fall, after - span[1])
    return max(rise, _QUICKEST), max(fall, _QUICKEST)


def _nearest(phones: Sequence[Phone], positions: range, labels: Collection[str]) -> float | None:
    """Middle of the first phone among the positions that has one of the labels."""
    for k in positions:
        if phones[k].label in labels:
            return (phones[k].start + phones[k].end) / 2
    return None


def _gathered(holds: list[tuple[float, float, float, float, float]]) -> ContactIntervals:
    columns: Array = np.array(holds, np.float64).reshape(-1, 5)
    return ContactIntervals(*columns.T)
