# SPDX-License-Identifier: GPL-3.0-or-later
"""How well what is said in a clip was recognised: phones, silences, words."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.phonemes import SILENCE, Phone, Word, normalize_segments
from engine.recognition.language import ENGLISH
from engine.recognition.pronunciation import pronunciations
from engine.recognition.transcript import spoken_words

_STEP = 0.010
"""Seconds."""


@dataclass(frozen=True)
class Recognition:
    """Measures of one clip, or of several put together by :func:`combined`.

    Attributes:
        steps, right: 10 ms steps of the clip, and those in which the phone used is the true one.
        word_steps, silent: steps inside words, and those of them that are called silence.
        words: words that were said.
        word_errors: words that were replaced, left out or added (the numerator of the word error
            rate; words that sound alike are alike); ``None`` where phones were recognised without
            words.
    """

    steps: int
    right: int
    word_steps: int
    silent: int
    words: int
    word_errors: int | None

    @property
    def phones_right(self) -> float:
        """Part of the steps in which the phone used is the true one."""
        return self.right / self.steps if self.steps else 0.0

    @property
    def silence_in_words(self) -> float | None:
        """Part of the steps inside words that are called silence; ``None`` without words."""
        return self.silent / self.word_steps if self.word_steps else None


def recognition(
    used: Sequence[Phone],
    found: Sequence[Word] | None,
    phones: Sequence[Phone],
    words: Sequence[Word],
    duration: float,
    language: str = ENGLISH,
) -> Recognition:
    """Measure what was recognised.

    Args:
        used: the phones that were recognised.
        found: the words that were recognised; ``None`` where phones were recognised without words.
        phones: what was said.
        words: the same.
        duration: seconds.
        language: of the words.
    """
    times = np.arange(_STEP / 2, duration, _STEP)
    ours, theirs = _labels(times, used, duration), _labels(times, phones, duration)
    in_words = np.zeros(len(times), bool)
    for word in words:
        in_words |= (times >= word.start) & (times < word.end)
    # A pause inside a word is one: "anti … social".
    in_words &= theirs != SILENCE
    said = _sounding(words, language)
    return Recognition(
        steps=len(times),
        right=int((ours == theirs).sum()),
        word_steps=int(in_words.sum()),
        silent=int((ours[in_words] == SILENCE).sum()),
        words=len(said),
        word_errors=None if found is None else word_errors(_sounding(found, language), said),
    )


def _sounding(words: Sequence[Word], language: str) -> list[Hashable]:
    """The words as they are first pronounced, for a recogniser may write nine as 9."""
    spoken = [text for word in words for text in spoken_words(word.text, language)]
    return [(pronunciations(text, language) or (text.casefold(),))[0] for text in spoken]


def combined(clips: Sequence[Recognition]) -> Recognition:
    """Several clips as one: counts add up; words count where they were recognised in every clip."""
    errors = [clip.word_errors for clip in clips]
    known = [count for count in errors if count is not None]
    return Recognition(
        steps=sum(clip.steps for clip in clips),
        right=sum(clip.right for clip in clips),
        word_steps=sum(clip.word_steps for clip in clips),
        silent=sum(clip.silent for clip in clips),
        words=sum(clip.words for clip in clips),
        word_errors=sum(known) if len(known) == len(errors) else None,
    )


def word_errors(found: Sequence[Hashable], said: Sequence[Hashable]) -> int:
    """Levenshtein distance of two sequences of words."""
    distance = np.arange(len(said) + 1)
    insertions = np.arange(len(said) + 1)
    for word in found:
        kept = distance[:-1] + np.array([word != other for other in said], int)
        best = np.minimum(distance[1:] + 1, kept)
        best = np.concatenate(([distance[0] + 1], best))
        # A word left out costs one more than the best before it: a running minimum.
        distance = np.minimum.accumulate(best - insertions) + insertions
    return int(distance[-1])


def _labels(
    times: NDArray[np.float64], phones: Sequence[Phone], duration: float
) -> NDArray[np.object_]:
    known = normalize_segments(phones, duration)
    ends = np.array([phone.end for phone in known])
    index = np.minimum(np.searchsorted(ends, times, side="right"), len(known) - 1)
    labels: NDArray[np.object_] = np.array([phone.label for phone in known], dtype=object)[index]
    return labels
