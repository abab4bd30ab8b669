# SPDX-License-Identifier: GPL-3.0-or-later
"""When the phones of known words fall: Viterbi along the words, over recordings of any length.

The words become one chain of triphone states with an optional silence before each word and the
dictionary's pronunciations side by side. Between two words there may also be *filler*, speech that
no word accounts for, which costs as much a frame as words that hardly fit; from filler to filler a
word can be left out, so that a text need not be what is said word for word. (Filler models: Rose
and Paul 1990, "A hidden Markov model based keyword recognition system".) Only a window of the chain
around the likeliest state is followed, and the past becomes final as the recording proceeds, so
that memory does not grow with the length.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float, Index, Short
from engine.ipa import Sound
from engine.phonemes import SILENCE
from engine.recognition.senones import BEGIN, END, INTERNAL, SCORE_UNIT, SINGLE, acoustic_model

Pronunciations = Sequence[Sequence[Sound]]
Entry = tuple[int, np.float32]

FILLER = "FILLER"
"""Stands for the label in filler."""
_NO_PHONE = -1

_PAUSE = np.float32(-2.0)
"""Log probability of a pause between two words."""

_FILLER_SCORE = np.float32(-8.0)
"""Log score of a frame of filler. Right transcripts of human and synthetic speech have a mean of
-2.1 to -3.7, those of other sentences -7.9 to -11.7."""

_TO_FILLER = np.float32(-25.0)
"""Log probability of speech between two words that no word accounts for."""

_OMISSION = np.float32(-60.0)
"""Log probability that a word of the text is not said."""

_OUTSIDE = np.float32(-4.0)
"""Log probability of each frame of a word outside its bounds."""

_ALWAYS = (-(1 << 30), 1 << 30)
"""Bounds that bind nothing."""

_MOST_SKIPPED = 60
"""Ways into a word round the optional ones before it; more of those are left out by filler."""

WINDOW = 4_000
"""States followed at once: about a hundred words either side of where the speaker is."""

_NEVER = np.float32(-1e9)


class Chain(NamedTuple):
    """The states of the words, in the order in which they are spoken.

    Attributes:
        senones: (n,) int32; −1, the last column of the scores, in filler.
        stay: (n,) float32 log probability of another frame in the state.
        leave: (n,) float32 log probability of leaving it.
        entries: (m,) int32 states from which a phone can be entered, phone by phone; −1 is the
            beginning.
        costs: (m,) float32 log probability of each such entry.
        first_entry: (n + 1,) int32: entries of state i are [first_entry[i], first_entry[i + 1]);
            none for states inside a phone, which follow the state before them.
        bounds: (n, 2) int32 frames of the recording [earliest, latest) at which the state is
            expected.
        finals: (k,) int32 states in which the chain may end.
        instance: (n,) int32, which phone of the chain the state belongs to.
        labels: of each such phone; :data:`FILLER` is one.
        word: (n,) int32, number of the word the state belongs to, −1 in pauses and filler.
    """

    senones: Index
    stay: Float
    leave: Float
    entries: Index
    costs: Float
    first_entry: Index
    bounds: Index
    finals: Index
    instance: Index
    labels: tuple[str, ...]
    word: Index


def chain_of(
    words: Sequence[Pronunciations],
    bounds: Sequence[tuple[int, int]] | None = None,
    optional: Collection[int] = (),
) -> Chain:
    """Lay out the states of words.

    A sound that is like several English phones may be each of them, side by side.

    Args:
        words: at least one; each with at least one pronunciation of at least one sound.
        bounds: for each word the frames of the recording [earliest, latest) at which it is
            expected; it may fall outside at a price.
        optional: numbers of words that may be left out at no price.
    """
    builder = _Builder()
    ends: list[int] = [-1]
    filler = None
    optional = set(optional)
    round_optional: list[Entry] = []
    for number, pronunciations in enumerate(words):
        before, after = range(number - 1, -1, -1), range(number + 1, len(words))
        # A word that must be said is said beside others that must.
        passed = set() if number in optional else optional
        beside = [next((n for n in side if n not in passed), None) for side in (before, after)]
        left = builder.silence if beside[0] is None else builder.nearest(words[beside[0]][0][-1])
        right = builder.silence if beside[1] is None else builder.nearest(words[beside[1]][0][0])
        pause, filler = builder.gap(ends, filler)
        entries = [(end, np.float32(0)) for end in (*ends, pause, filler)] + round_optional
        ends = []
        for sounds in pronunciations:
            ends += builder.word(number, sounds, left, right, entries)
        skipped = number in optional and len(entries) <= _MOST_SKIPPED
        round_optional = entries if skipped else []
    finals = [*ends, *builder.gap(ends, filler)]
    finals += [state for state, _ in round_optional if state >= 0]
    return builder.chain(finals, bounds or [_ALWAYS] * len(words))


class _Builder:
    """Collects states; every method returns the last states that it added."""

    def __init__(self) -> None:
        self.model = acoustic_model()
        self.silence = len(self.model.labels) - 1
        self._senones: list[Short] = []
        self._phones: list[int] = []
        self._labels: list[str] = []
        self._words: list[int] = []
        self._entries: list[list[Entry]] = []

    def nearest(self, sound: Sound) -> int:
        return self.model.index(sound.acoustic[0])

    def gap(self, ends: Sequence[int], filler: int | None) -> tuple[int, int]:
        """An optional pause, and filler, which may follow the filler before the last word."""
        silent = self.model.senones[SINGLE, self.silence, self.silence, self.silence]
        pause = self._phone(-1, SILENCE, silent, self.silence, [(end, _PAUSE) for end in ends])
        entries = [(end, _TO_FILLER) for end in ends]
        if filler is not None:
            entries.append((filler, _OMISSION))
        return pause, self._phone(-1, FILLER, np.full(3, -1, np.int16), _NO_PHONE, entries)

    def word(
        self,
        number: int,
        sounds: Sequence[Sound],
        left: int,
        right: int,
        entries: list[Entry],
    ) -> list[int]:
        around = [left, *map(self.nearest, sounds), right]
        last = len(sounds) - 1
        ends: list[int] = []
        for i, sound in enumerate(sounds):
            place = SINGLE if last == 0 else BEGIN if i == 0 else END if i == last else INTERNAL
            entries = [(end, np.float32(0)) for end in ends] if i else entries
            ends = []
            for phone in map(self.model.index, sound.acoustic):
                senones = self.model.senones[place, around[i], phone, around[i + 2]]
                ends.append(self._phone(number, sound.label, senones, phone, entries))
        return ends

    def _phone(
        self, word: int, label: str, senones: Short, phone: int, entries: list[Entry]
    ) -> int:
        self._senones.append(senones)
        self._phones.append(phone)
        self._labels.append(label)
        self._words.append(word)
        self._entries.append(entries)
        return 3 * len(self._phones) - 1

    def chain(self, finals: list[int], bounds: Sequence[tuple[int, int]]) -> Chain:
        phones, words = np.array(self._phones, np.int32), np.array(self._words, np.int32)
        counts = np.zeros(3 * len(phones) + 1, np.int32)
        counts[1::3] = [len(entries) for entries in self._entries]
        flat = [entry for entries in self._entries for entry in entries]
        filler = (phones == _NO_PHONE)[:, None]
        return Chain(
            senones=np.concatenate(self._senones).astype(np.int32),
            stay=np.where(filler, np.float32(0), self.model.stay[phones]).reshape(-1),
            leave=np.where(filler, np.float32(0), self.model.leave[phones]).reshape(-1),
            entries=np.array([state for state, _ in flat], np.int32),
            costs=np.array([cost for _, cost in flat], np.float32),
            first_entry=np.cumsum(counts, dtype=np.int32),
            bounds=np.repeat(np.array([*bounds, _ALWAYS], np.int32)[words], 3, axis=0),
            finals=np.array(finals, np.int32),
            instance=np.repeat(np.arange(len(phones), dtype=np.int32), 3),
            labels=tuple(self._labels),
            word=np.repeat(words, 3),
        )


def with_filler(scores: Short) -> Short:
    """Senone scores (T, S) with one column more (T, S + 1), those of filler.

    Filler is as good as the middle of silence in silence: what is in it is for the phone loop to
    say. The other states of silence are like soft speech of voices that the model fits badly.
    """
    silence = scores[:, acoustic_model().senones[SINGLE, -1, -1, -1, 1]]
    filler = np.minimum(silence, round(float(-_FILLER_SCORE / SCORE_UNIT)))
    return np.column_stack((scores, filler.astype(np.int16)))


class AlignedPhone(NamedTuple):
    """A phone found by an aligner: its label, frames [start, stop)."""

    label: str
    start: int
    stop: int


class Alignment(NamedTuple):
    """What an aligner found.

    Attributes:
        phones: contiguous over the frames that were accepted, silences and :data:`FILLER` among
            them.
        scores: (T,) float32 log score of each frame in its state, 0 where no senone fits better.
        states: (T,) int32 states of the chain.
        words: (T,) int32 number of the word spoken in each frame, −1 in pauses and filler.
    """

    phones: list[AlignedPhone]
    scores: Float
    states: Index
    words: Index


class Aligner:
    """Follows a chain through a recording that arrives in chunks."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._score = np.full(len(chain.senones), _NEVER, np.float32)
        self._low = 0
        self._frame = 0
        self._pending: list[tuple[NDArray[np.uint8], Index, Short]] = []
        self._path: list[Index] = []
        self._scores: list[Float] = []

    def accept_scores(self, scores: Short, frames: NDArray[np.int64] | None = None) -> None:
        """Take the senone scores of the next chunk.

        What lies two chunks back is final: by then all likely paths agree on it.

        Args:
            scores: (T, S), T ≥ 1.
            frames: (T,) frames of the recording that they are of; by default those that follow.
        """
        started = self._frame > 0
        if frames is None:
            frames = np.arange(self._frame, self._frame + len(scores))
        self._frame += len(scores)
        scores = with_filler(scores)
        back, lows = _advance(
            scores, frames, *self._chain[:7], self._score, self._low, started, SCORE_UNIT,
            _OUTSIDE, min(WINDOW, len(self._score)),
        )  # fmt: skip
        self._low = int(lows[-1])
        self._pending.append((back, lows, scores))
        if len(self._pending) > 2:
            self._finalize(self._traced(int(np.argmax(self._score)))[:1])

    def finish(self) -> Alignment | None:
        """The alignment; ``None`` when the recording ended long before the words did."""
        reached = self._score[self._chain.finals]
        if not self._pending or reached.max() <= _NEVER / 2:
            return None
        self._finalize(self._traced(int(self._chain.finals[np.argmax(reached)])))
        path = np.concatenate(self._path)
        edges = np.flatnonzero(np.diff(self._chain.instance[path], prepend=-1, append=-1))
        phones = [
            AlignedPhone(
                self._chain.labels[self._chain.instance[path[start]]], int(start), int(stop)
            )
            for start, stop in itertools.pairwise(edges)
        ]
        return Alignment(phones, np.concatenate(self._scores), path, self._chain.word[path])

    def _finalize(self, paths: list[Index]) -> None:
        """Make the paths through the oldest pending chunks final."""
        for path in paths:
            scores = self._pending.pop(0)[2]
            chosen = scores[np.arange(len(path)), self._chain.senones[path]]
            self._path.append(path)
            self._scores.append(-SCORE_UNIT * chosen.astype(np.float32))

    def _traced(self, state: int) -> list[Index]:
        """The states of each pending chunk on the best path to ``state``."""
        chunks: list[Index] = []
        for back, lows, _ in reversed(self._pending):
            path, state = _trace(back, lows, self._chain.entries, self._chain.first_entry, state)
            chunks.insert(0, path)
        return chunks


@numba.njit(cache=True)
def _advance(  # noqa: C901, PLR0912 - one loop, compiled as a whole.
    scores: Any, numbers: Any, senones: Any, stay: Any, leave: Any, entries: Any, costs: Any,
    first_entry: Any, bounds: Any, score: Any, low: Any, started: Any, unit: Any, outside: Any,
    width: Any,
) -> Any:  # fmt: skip
    """One chunk of Viterbi; ``score`` (n,) is carried on.

    ``back[t, i]`` says how state ``lows[t] + i`` was reached: 0 from itself, 1 from the state
    before it, 2 + k by its k-th entry.
    """
    never = np.float32(-1e9)
    frames = scores.shape[0]
    count = len(score)
    back = np.zeros((frames, width), np.uint8)
    lows = np.zeros(frames, np.int32)
    for frame in range(frames):
        lows[frame] = low
        number = numbers[frame]
        best = never
        best_state = low
        # Downwards, because every state is reached from states before it.
        for state in range(min(low + width, count) - 1, low - 1, -1):
            kept = score[state] + stay[state]
            how = 0
            if first_entry[state] == first_entry[state + 1]:
                moved = score[state - 1] + leave[state - 1] if state > low else never
                if moved > kept:
                    kept = moved
                    how = 1
            else:
                for k in range(first_entry[state], first_entry[state + 1]):
                    source = entries[k]
                    if source < 0:
                        moved = never if started or frame > 0 else costs[k]
                    elif source < low:
                        moved = never
                    else:
                        moved = score[source] + leave[source] + costs[k]
                    if moved > kept:
                        kept = moved
                        how = 2 + k - first_entry[state]
            kept -= unit * scores[frame, senones[state]]
            if not bounds[state, 0] <= number < bounds[state, 1]:
                kept += outside
            score[state] = kept
            back[frame, state - low] = how
            if kept > best:
                best = kept
                best_state = state
        for state in range(low, min(low + width, count)):
            score[state] = max(score[state] - best, never)
        following = min(max(low, best_state - width // 2), max(count - width, 0))
        score[low:following] = never
        low = following
    return back, lows


@numba.njit(cache=True)
def _trace(back: Any, lows: Any, entries: Any, first_entry: Any, state: Any) -> Any:
    """The states (T,) on the path to ``state`` at the end, and the state before the chunk."""
    frames = len(lows)
    path = np.empty(frames, np.int32)
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        how = back[frame, state - lows[frame]]
        if how == 1:
            state -= 1
        elif how > 1:
            state = max(entries[first_entry[state] + how - 2], 0)
    return path, state
