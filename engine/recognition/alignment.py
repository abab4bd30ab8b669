# SPDX-License-Identifier: GPL-3.0-or-later
"""When the phones of known words fall: Viterbi along the words, over recordings of any length.

The words become one chain of triphone states with an optional silence before each word and the
dictionary's pronunciations side by side. Only a window of the chain around the likeliest state is
followed, and the past becomes final as the recording proceeds, so that memory does not grow with
the length.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float, Index, Short
from engine.recognition.phone_loop import PhoneSegment
from engine.recognition.senones import BEGIN, END, INTERNAL, SCORE_UNIT, SINGLE, acoustic_model

Pronunciations = Sequence[Sequence[str]]

_PAUSE = np.float32(-2.0)
"""Log probability of a pause between two words."""

_WINDOW = 4_000
"""States followed at once: about a hundred words either side of where the speaker is."""

_NEVER = np.float32(-1e9)


class Chain(NamedTuple):
    """The states of the words, in the order in which they are spoken.

    Attributes:
        senones: (n,) int32.
        stay: (n,) float32 log probability of another frame in the state.
        leave: (n,) float32 log probability of leaving it.
        phone: (n,) int32, number of the phone in the acoustic model.
        instance: (n,) int32, which phone of the chain the state belongs to.
        word: (n,) int32, number of the word the state belongs to, −1 in a pause.
        entries: (m,) int32 states from which a phone can be entered, phone by phone.
        costs: (m,) float32 log probability of each such entry.
        first_entry: (n + 1,) int32: entries of state i are [first_entry[i], first_entry[i + 1]);
            none for states inside a phone, which follow the state before them. −1 is the beginning.
        finals: (k,) int32 states in which the chain may end.
    """

    senones: Index
    stay: Float
    leave: Float
    phone: Index
    instance: Index
    word: Index
    entries: Index
    costs: Float
    first_entry: Index
    finals: Index


def chain_of(words: Sequence[Pronunciations]) -> Chain:
    """Lay out the states of words.

    Args:
        words: at least one; each with at least one pronunciation of at least one ARPAbet phone.
    """
    builder = _Builder()
    silence = len(builder.model.labels) - 1
    ends: list[int] = [-1]
    for number, pronunciations in enumerate(words):
        left = builder.model.index(words[number - 1][0][-1]) if number else silence
        follows = number + 1 < len(words)
        right = builder.model.index(words[number + 1][0][0]) if follows else silence
        pause = builder.phone(SINGLE, silence, silence, silence, [(end, _PAUSE) for end in ends])
        entries = [(end, np.float32(0)) for end in (*ends, pause)]
        ends = []
        for phones in pronunciations:
            spoken = [builder.model.index(phone) for phone in phones]
            ends.append(builder.word(number, spoken, left, right, entries))
    pause = builder.phone(SINGLE, silence, silence, silence, [(end, _PAUSE) for end in ends])
    return builder.chain([*ends, pause])


class _Builder:
    """Collects states; every method returns the last state that it added."""

    def __init__(self) -> None:
        self.model = acoustic_model()
        self._senones: list[Short] = []
        self._phones: list[int] = []
        self._words: list[int] = []
        self._entries: list[list[tuple[int, np.float32]]] = []

    def phone(
        self,
        place: int,
        left: int,
        phone: int,
        right: int,
        entries: list[tuple[int, np.float32]],
        word: int = -1,
    ) -> int:
        self._senones.append(self.model.senones[place, left, phone, right])
        self._phones.append(phone)
        self._words.append(word)
        self._entries.append(entries)
        return 3 * len(self._phones) - 1

    def word(
        self,
        number: int,
        phones: list[int],
        left: int,
        right: int,
        entries: list[tuple[int, np.float32]],
    ) -> int:
        around = [left, *phones, right]
        last = len(phones) - 1
        end = -1
        for i, phone in enumerate(phones):
            place = SINGLE if last == 0 else BEGIN if i == 0 else END if i == last else INTERNAL
            way_in = entries if i == 0 else [(end, np.float32(0))]
            end = self.phone(place, around[i], phone, around[i + 2], way_in, number)
        return end

    def chain(self, finals: list[int]) -> Chain:
        phone = np.repeat(np.array(self._phones, np.int32), 3)
        counts = np.zeros(len(phone) + 1, np.int32)
        counts[1::3] = [len(entries) for entries in self._entries]
        flat = [entry for entries in self._entries for entry in entries]
        return Chain(
            senones=np.concatenate(self._senones).astype(np.int32),
            stay=self.model.stay[np.array(self._phones)].reshape(-1),
            leave=self.model.leave[np.array(self._phones)].reshape(-1),
            phone=phone,
            instance=np.repeat(np.arange(len(self._phones), dtype=np.int32), 3),
            word=np.repeat(np.array(self._words, np.int32), 3),
            entries=np.array([state for state, _ in flat], np.int32),
            costs=np.array([cost for _, cost in flat], np.float32),
            first_entry=np.cumsum(counts, dtype=np.int32),
            finals=np.array(finals, np.int32),
        )


class Alignment(NamedTuple):
    """What an aligner found.

    Attributes:
        phones: contiguous over the frames that were accepted, silences among them.
        scores: (T,) float32 log score of each frame in its state, 0 where no senone fits better.
        states: (T,) int32 states of the chain.
        words: (T,) int32 number of the word spoken in each frame, −1 in a pause.
    """

    phones: list[PhoneSegment]
    scores: Float
    states: Index
    words: Index


class Aligner:
    """Follows a chain through a recording that arrives in chunks."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._score = np.full(len(chain.senones), _NEVER, np.float32)
        self._low = 0
        self._started = False
        self._pending: list[tuple[NDArray[np.uint8], Index, Short]] = []
        self._path: list[Index] = []
        self._scores: list[Float] = []

    def accept_scores(self, scores: Short) -> None:
        """Take the senone scores (T, S) of the next chunk, T ≥ 1.

        What lies two chunks back is final: by then all likely paths agree on it.
        """
        back, lows = _advance(
            scores, *self._chain[:3], *self._chain[6:9], self._score, self._low, self._started,
            SCORE_UNIT, min(_WINDOW, len(self._score)),
        )  # fmt: skip
        self._started = True
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
            PhoneSegment(int(self._chain.phone[path[start]]), int(start), int(stop))
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
def _advance(  # noqa: C901 - one loop, compiled as a whole.
    scores: Any, senones: Any, stay: Any, leave: Any, entries: Any, costs: Any, first_entry: Any,
    score: Any, low: Any, started: Any, unit: Any, width: Any,
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
