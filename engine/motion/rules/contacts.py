# SPDX-License-Identifier: GPL-3.0-or-later
"""Contacts of the recognised phones: lips closed, lip on teeth, and the mouth at rest.

Contacts are constraints, not targets, for a target that neighbours can outvote never quite closes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from ...core.arrays import Double  # noqa: TID252

# Inside Blender the package round these has a name of Blender's choosing.
from ...phonemes import (  # noqa: TID252
    BILABIALS,
    LABIODENTALS,
    SILENCE,
    VOWELS,
    Phone,
    normalize_segments,
)
from ..lip_contact import smoothstep  # noqa: TID252
from .coarticulation import ContactIntervals, envelope

_CLOSED_WITHIN = {"P": (0.05, 0.70), "B": (0.05, 0.75), "M": (0.05, 0.85)}
"""Parts of the phone between which the lips are closed: p and b end in a burst, m is longer."""
_EARLIER = 0.012
"""Seconds by which a closure runs ahead of those parts: on films the lips are closest 19 ms before
the middle of the sound, and less than 1.5 mm apart for 100 ms (docs/lip-sync.md)."""
_ON_TEETH_WITHIN = (0.15, 0.75)
CLOSING = 0.075
OPENING = 0.070
_TO_TEETH = 0.060
"""Seconds of the movement into and out of a contact (Löfqvist and Gracco 1997 measure lip closing
movements of 60 to 100 ms)."""
_QUICKEST = 0.024
"""No movement is shorter than this, however short the vowel before."""
_BEYOND = 0.6
"""Seconds of silence taken to lie before and after a clip that begins or ends silent."""
_PAUSE = (0.50, 0.70)
"""Silences begin to rest at the first, and rest fully from the second length in seconds: in shorter
ones people leave the mouth open by habit."""
_RELAXING = (0.22, 0.40)
_PREPARING = (0.36, 0.50)
"""How long before and after sounds the mouth does not rest: at most so many seconds, and at most
this part of the silence."""
BREATH = 0.20
"""Seconds at most in which the mouth opens out of rest: for the breath, and then it waits for the
sound, half open. Filmed speakers are half open 0.15 to 0.4 s before they are heard."""
_AT_EDGE = 0.5
"""The same part of what a clip holds of its first and last silence."""


class Contacts(NamedTuple):
    """Contacts at T frame times, 0 to 1.

    Attributes:
        closure: (T,) how far p, b and m close the lips.
        labiodental: (T,) how far f and v bring the lower lip to the teeth; 0 in a closure.
        activity: (T,) 0 where the mouth rests.
    """

    closure: Double
    labiodental: Double
    activity: Double


def phones_in_silence(phones: Sequence[Phone], duration: float) -> tuple[Phone, ...]:
    """The one normalised phone list from which all of a performance is made.

    Contiguous over the clip; a silence that its start or end cuts off lasts 0.6 s beyond it,
    however little is left of it.

    Args:
        phones: timed ARPAbet phones.
        duration: seconds.
    """
    known = list(normalize_segments(phones, duration))
    if known and known[0].label == SILENCE:
        known[0] = known[0]._replace(start=known[0].start - _BEYOND)
    if known and known[-1].label == SILENCE:
        known[-1] = known[-1]._replace(end=known[-1].end + _BEYOND)
    return tuple(known)


def contact_curves(
    phones: Sequence[Phone], frames: int, fps: float, anticipation: float
) -> Contacts:
    """The contacts of phones at the frame times ``i / fps``.

    Args:
        phones: from :func:`phones_in_silence`.
        frames: T.
        fps: frames per second.
        anticipation: how widely movements into and out of a contact reach; 1 is ordinary.
    """
    closure = envelope(bilabial_closures(phones, fps, anticipation), frames, fps)
    labiodental = envelope(labiodental_contacts(phones, fps, anticipation), frames, fps)
    activity = 1.0 - envelope(rest_intervals(phones, fps), frames, fps)
    return Contacts(closure, labiodental * (1.0 - closure), activity)


def bilabial_closures(phones: Sequence[Phone], fps: float, anticipation: float) -> ContactIntervals:
    """Lips closed for p, b and m.

    Each contact lasts at least one frame interval, so at least one sampled frame is fully closed
    whatever the frame rate. The movements end at the middle of the vowels on both sides, so that a
    short vowel between two closures still opens. Beside a silence the lips stay closed from it.

    Args:
        phones: from :func:`phones_in_silence`.
        fps: frames per second.
        anticipation: as for :func:`contact_curves`.
    """
    intervals = []
    resting = _rest_spans(phones)
    for i, phone in enumerate(phones):
        if phone.label not in BILABIALS:
            continue
        start, end = _within(phone, *_CLOSED_WITHIN[phone.label])
        start, end = visible((start - _EARLIER, end - _EARLIER), fps)
        rise, fall = _ramps(phones, i, (start, end), (CLOSING, OPENING), anticipation)
        if i > 0 and i - 1 in resting:
            start = min(start, resting[i - 1][1])
        if i + 1 in resting:
            end = max(end, resting[i + 1][0])
        intervals.append((start, end, rise, fall, 1.0))
    return _gathered(intervals)


def labiodental_contacts(
    phones: Sequence[Phone], fps: float, anticipation: float
) -> ContactIntervals:
    """Lower lip on the upper teeth for f and v, visible at any frame rate as the closures are."""
    intervals = []
    for i, phone in enumerate(phones):
        if phone.label in LABIODENTALS:
            span = visible(_within(phone, *_ON_TEETH_WITHIN), fps)
            ramps = _ramps(phones, i, span, (_TO_TEETH, _TO_TEETH), anticipation)
            intervals.append((*span, *ramps, 1.0))
    return _gathered(intervals)


def rest_intervals(phones: Sequence[Phone], fps: float) -> ContactIntervals:
    """The mouth at rest in silences longer than a pause, with time to relax and to prepare."""
    intervals = []
    for i, span in _rest_spans(phones).items():
        phone = phones[i]
        length = phone.end - phone.start
        middle = (span[0] + span[1]) / 2
        half = min(0.5 / fps + 1e-6, length / 2)
        start, end = min(span[0], middle - half), max(span[1], middle + half)
        amount = _rest_amount(phone)
        # Before the clip and after it there is silence too: nothing moves at its edges.
        if i == 0:
            start -= length
        if i == len(phones) - 1:
            end += length
        rise = max(start - phone.start, _QUICKEST)
        fall = max(min(phone.end - end, BREATH), _QUICKEST)
        intervals.append((start, end, rise, fall, amount))
    return _gathered(intervals)


def _rest_amount(phone: Phone) -> float:
    """How far the mouth comes to rest in a silence of such a length, 0 to 1."""
    low, high = _PAUSE
    return float(smoothstep(np.array((phone.end - phone.start - low) / (high - low))))


def _rest_spans(phones: Sequence[Phone]) -> dict[int, tuple[float, float]]:
    """Silences that rest, by position among the phones, with the part of complete rest."""
    spans = {}
    for i, phone in enumerate(phones):
        length = phone.end - phone.start
        if phone.label != SILENCE or length <= _PAUSE[0]:
            continue
        relax = min(_RELAXING[0], _RELAXING[1] * length)
        prepare = min(_PREPARING[0], _PREPARING[1] * length)
        if i == 0:
            relax, prepare = 0.0, min(prepare, _AT_EDGE * phone.end)
        if i == len(phones) - 1:
            relax, prepare = min(relax, _AT_EDGE * (length - _BEYOND)), 0.0
        spans[i] = (phone.start + relax, phone.end - prepare)
    return spans


def _within(phone: Phone, first: float, last: float) -> tuple[float, float]:
    length = phone.end - phone.start
    return phone.start + first * length, phone.start + last * length


def visible(span: tuple[float, float], fps: float) -> tuple[float, float]:
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


def _gathered(intervals: list[tuple[float, float, float, float, float]]) -> ContactIntervals:
    columns: Double = np.array(intervals, np.float64).reshape(-1, 5)
    return ContactIntervals(*columns.T)
