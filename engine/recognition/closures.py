# SPDX-License-Identifier: GPL-3.0-or-later
"""Where lips close in speech of unknown words: by what an error costs, not by the likeliest phone.

The likeliest phones miss a third of all p, b and m of people, mostly for another stop or nasal
nearly as likely. To the eye the two errors are not alike: lips that stay open on an m are seen at
once, lips that touch on an n hardly. So each consonant and each short gap of the likeliest path is
asked how likely a p, b or m is there, all 40 phones compared in the context of their neighbours,
and the lips close where that costs less (Bayes' decision rule).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np

from engine.core.arrays import Double, Short
from engine.phonemes import BILABIALS, SILENCE, VOWELS
from engine.recognition.phone_loop import LANGUAGE_WEIGHT, PhoneLoop, PhoneSegment
from engine.recognition.senones import INTERNAL, SCORE_UNIT, acoustic_model

MISSED_COST = 14.0
"""What a missed closure costs where a false one on a consonant costs 1 (docs/lip-sync.md)."""

_SCALE = 0.2
"""Of the log scores: frames of one phone are no independent witnesses."""
_LONGEST_GAP = 15
"""Frames of silence that may be the closure of a stop."""
_STATES = 3


class ClosingPhoneLoop(PhoneLoop):
    """The likeliest phones, with p, b and m wherever not to close the lips would cost more."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[Short] = []

    def _search(self, scores: Short) -> None:
        super()._search(scores)
        self._kept = [*self._kept, scores][-len(self._pending) :]

    def _finalize(self, phones: list[PhoneSegment], until: int) -> None:
        known = len(self._final)
        super()._finalize(phones, until)
        closing = _closing(phones, np.concatenate(self._kept), self._pending[0][0])
        for number in range(known, len(self._final)):
            segment = self._final[number]
            self._final[number] = segment._replace(phone=closing.get(segment.stop, segment.phone))


def _closing(phones: list[PhoneSegment], scores: Short, first: int) -> dict[int, int]:
    """The phones that become p, b or m: their new numbers by the frame at which they end.

    Args:
        phones: the likeliest ones, contiguous.
        scores: (T, S) of the frames from ``first`` on.
        first: frame of the recording.
    """
    chances = bilabial_chances(phones, scores, first)
    labels = acoustic_model().labels
    bilabials = _numbers()
    closing = {}
    for (phone, start, stop), chance in zip(phones, chances, strict=True):
        label = labels[phone]
        gap = label == SILENCE and stop - start > _LONGEST_GAP
        if label in VOWELS or label in BILABIALS or gap:
            continue
        likely = float(chance.sum())
        if MISSED_COST * likely > 1 - likely:
            closing[stop] = int(bilabials[np.argmax(chance)])
    return closing


def bilabial_chances(phones: list[PhoneSegment], scores: Short, first: int = 0) -> Double:
    """How likely each phone is p, b or m in truth, its neighbours and times being right.

    Args:
        phones: P phones, contiguous.
        scores: (T, S) senone scores of the frames from ``first`` on.
        first: frame of the recording.

    Returns:
        (P, 3) of each of the three; 0 where less than three frames are known.
    """
    if not phones:
        return np.zeros((0, len(BILABIALS)))
    model = acoustic_model()
    number, start, stop = np.array(phones, np.int64).T
    log = _log_scores(
        scores, number, np.maximum(start - first, 0), np.maximum(stop - first, 0),
        np.ascontiguousarray(model.senones[INTERNAL]), model.stay, model.leave, model.trigram,
        LANGUAGE_WEIGHT, float(SCORE_UNIT),
    )  # fmt: skip
    log = _SCALE * (log - log.max(axis=1, keepdims=True))
    chances = np.exp(log)
    chances /= chances.sum(axis=1, keepdims=True)
    known = stop - np.maximum(start, first) >= _STATES
    return np.asarray(np.where(known[:, None], chances[:, _numbers()], 0.0), np.float64)


@cache
def _numbers() -> Any:
    """Of p, b and m in the acoustic model."""
    return np.array([acoustic_model().index(label) for label in sorted(BILABIALS)])


@numba.njit(cache=True)
def _log_scores(
    scores: Any, phones: Any, starts: Any, stops: Any, senones: Any, stay: Any, leave: Any,
    trigram: Any, weight: Any, unit: Any,
) -> Any:  # fmt: skip
    """(P, 40) log scores of each phone of the model at each of the P, with its two neighbours."""
    count, size = len(phones), len(stay)
    found = np.zeros((count, size))
    for i in range(count):
        left = phones[i - 1] if i > 0 else size - 1
        before = phones[i - 2] if i > 1 else size - 1
        right = phones[i + 1] if i + 1 < count else size - 1
        after = phones[i + 2] if i + 2 < count else size - 1
        for phone in range(size):
            found[i, phone] = _log_score(
                scores, starts[i], stops[i], senones[left, phone, right], stay[phone], leave[phone],
                unit,
            )  # fmt: skip
            if i > 0:
                found[i, phone] += _log_score(
                    scores, starts[i - 1], stops[i - 1], senones[before, left, phone], stay[left],
                    leave[left], unit,
                )  # fmt: skip
            if i + 1 < count:
                found[i, phone] += _log_score(
                    scores, starts[i + 1], stops[i + 1], senones[phone, right, after], stay[right],
                    leave[right], unit,
                )  # fmt: skip
            found[i, phone] += weight * (
                trigram[before, left, phone]
                + trigram[left, phone, right]
                + trigram[phone, right, after]
            )
    return found


@numba.njit(cache=True)
def _log_score(
    scores: Any, start: Any, stop: Any, senones: Any, stay: Any, leave: Any, unit: Any
) -> Any:
    """Log score of the best way through a triphone's states in frames [start, stop)."""
    if stop - start < 3:
        return 0.0
    first, second, third = -unit * scores[start, senones[0]], -1e9, -1e9
    for t in range(start + 1, stop):
        third = max(third + stay[2], second + leave[1]) - unit * scores[t, senones[2]]
        second = max(second + stay[1], first + leave[0]) - unit * scores[t, senones[1]]
        first += stay[0] - unit * scores[t, senones[0]]
    return third
