# SPDX-License-Identifier: GPL-3.0-or-later
"""What phones are spoken, with no idea of the words: an exact search over senone scores.

The phone loop keeps every triphone (left, phone, right) active in every frame, 64,000 of them with
three states each: without a beam nothing is pruned by mistake, and the plain loops vectorise.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np

from engine.core.arrays import Float, Index, Short
from engine.recognition.senones import INTERNAL, SCORE_UNIT, acoustic_model

LANGUAGE_WEIGHT = 2.0
"""Weight of the phone trigram against the sound, chosen on human and synthetic speech."""

_NEVER = np.float32(-1e9)


class PhoneSegment(NamedTuple):
    """A phone found by a search: its number in the acoustic model, frames [start, stop)."""

    phone: int
    start: int
    stop: int


class PhoneLoop:
    """The likeliest phones when nothing is known of what is said; takes a recording chunk by chunk.

    The search is carried on from chunk to chunk, so no phone is cut in two; memory is 6.4 kB for
    each frame of the last two chunks.
    """

    def __init__(self) -> None:
        size = len(acoustic_model().labels)
        self._size = size
        self._scores = np.full((3, size**3), _NEVER, np.float32)
        self._tokens = np.full((3, size**3), -1, np.int32)
        self._junctions = np.full(size**2, _NEVER, np.float32)
        self._junctions[(size - 1) * size :] = 0
        self._pending: list[tuple[int, Index]] = []
        self._frames = 0
        self._final: list[PhoneSegment] = []

    def accept_scores(self, scores: Short) -> None:
        """Take the senone scores (T, S) of the next chunk, T ≥ 1.

        What lies two chunks back is final: by then all likely paths agree on it.
        """
        self._search(scores)
        if len(self._pending) > 2:
            end = int(np.argmax(self._junctions))
            self._finalize(self._traced(self._frames, end), self._pending[1][0])
            del self._pending[0]

    def finish(self) -> list[PhoneSegment]:
        """All phones, silences among them, contiguous over the frames that were accepted."""
        # The recording ends in silence: some phone is followed by it.
        last = int(np.argmax(self._junctions[self._size - 1 :: self._size]))
        if self._pending:
            end = last * self._size + self._size - 1
            self._finalize(self._traced(self._frames, end), self._frames)
        return self._final

    def _search(self, scores: Short) -> None:
        """Carry the search on over (T, S) scores."""
        model = acoustic_model()
        back = _phone_loop(
            scores, _loop_senones(), model.stay, model.leave, _loop_entry(), SCORE_UNIT,
            self._scores, self._tokens, self._junctions, self._frames,
        )  # fmt: skip
        self._pending.append((self._frames, back))
        self._frames += len(scores)

    def _finalize(self, phones: list[PhoneSegment], until: int) -> None:
        """Add what begins before frame ``until``, from where the final phones end."""
        end = self._final[-1].stop if self._final else 0
        for phone, start, stop in phones:
            if start < until and stop > end:
                self._final.append(PhoneSegment(phone, max(start, end), stop))
                end = stop

    def _traced(self, frame: int, pair: int) -> list[PhoneSegment]:
        """The phones of the pending chunks on the path to a junction before ``frame``."""
        phones: list[PhoneSegment] = []
        for begin, back in reversed(self._pending):
            while frame > begin:
                token = int(back[frame - begin - 1, pair])
                start = 0 if token < 0 else token // self._size**2
                phones.append(PhoneSegment(pair // self._size, start, frame))
                frame, pair = start, token % self._size**2
        return phones[::-1]


class LivePhoneLoop(PhoneLoop):
    """The likeliest phones of what was said last, as far as the sound of now lets them be known.

    Args:
        kept: frames that can be looked back; memory is 6.4 kB for each.
    """

    def __init__(self, kept: int) -> None:
        super().__init__()
        self._kept = kept

    def accept_scores(self, scores: Short) -> None:
        """Take the senone scores (T, S) of the next frames, T ≥ 1."""
        self._search(scores)
        while self._pending[0][0] + len(self._pending[0][1]) <= self._frames - self._kept:
            del self._pending[0]

    def finish(self) -> list[PhoneSegment]:
        """The phones of the kept frames, contiguous; the last one ends now, in its middle perhaps.

        They stand on the best path to any state of any triphone, and may turn out otherwise when
        more is said.
        """
        if not self._pending:
            return []
        state, node = divmod(int(np.argmax(self._scores)), self._size**3)
        token = int(self._tokens[state, node])
        start = 0 if token < 0 else token // self._size**2
        phone = node // self._size % self._size
        before = self._traced(start, token % self._size**2) if token >= 0 else []
        return [*before, PhoneSegment(phone, start, self._frames)]


@cache
def _loop_senones() -> Short:
    """(3, P·P·P): senones of each state of each triphone inside a word."""
    senones = acoustic_model().senones[INTERNAL]
    return np.ascontiguousarray(senones.reshape(-1, 3).T)


@cache
def _loop_entry() -> Float:
    """(P·P·P,): score of entering each triphone, P(right | left, phone) weighted."""
    return np.ascontiguousarray(acoustic_model().trigram.reshape(-1) * np.float32(LANGUAGE_WEIGHT))


@numba.njit(cache=True, fastmath=True)
def _phone_loop(  # noqa: C901 - one loop, compiled as a whole.
    scores: Any, senones: Any, stay: Any, leave: Any, entry: Any, unit: Any,
    node_scores: Any, node_tokens: Any, junction: Any, begin: Any,
) -> Any:  # fmt: skip
    """One chunk of Viterbi through all triphones; the last three arrays are carried on.

    A pair (phone, right) names the junction where ``phone`` ends and ``right`` must follow. Token
    frame · P² + pair says where a triphone was entered; ``back[t, pair]`` is the token of the
    phone that ends after frame t, −1 at the beginning of the recording.
    """
    frames = scores.shape[0]
    size = stay.shape[0]
    pairs = size * size
    never = np.float32(-1e9)
    first, second, third = node_scores[0], node_scores[1], node_scores[2]
    first_token, second_token, third_token = node_tokens[0], node_tokens[1], node_tokens[2]
    back = np.full((frames, pairs), -1, np.int32)
    row = np.empty(scores.shape[1], np.float32)
    for t in range(frames):
        for s in range(len(row)):
            row[s] = -unit * scores[t, s]
        frame = begin + t
        best = never
        for pair in range(pairs):
            phone = pair % size
            arriving = junction[pair]
            token = np.int32(frame * pairs + pair) if frame else np.int32(-1)
            stay0, stay1, stay2 = stay[phone, 0], stay[phone, 1], stay[phone, 2]
            leave0, leave1 = leave[phone, 0], leave[phone, 1]
            for node in range(pair * size, pair * size + size):
                kept = third[node] + stay2
                moved = second[node] + leave1
                if moved > kept:
                    kept = moved
                    third_token[node] = second_token[node]
                third[node] = kept + row[senones[2, node]]
                kept = second[node] + stay1
                moved = first[node] + leave0
                if moved > kept:
                    kept = moved
                    second_token[node] = first_token[node]
                second[node] = kept + row[senones[1, node]]
                kept = first[node] + stay0
                moved = arriving + entry[node]
                if moved > kept:
                    kept = moved
                    first_token[node] = token
                kept += row[senones[0, node]]
                first[node] = kept
                best = max(best, kept)
        junction[:] = never
        for pair in range(pairs):
            phone = pair % size
            leave2 = leave[phone, 2] - best
            for right in range(size):
                node = pair * size + right
                leaving = third[node] + leave2
                out = phone * size + right
                if leaving > junction[out]:
                    junction[out] = leaving
                    back[t, out] = third_token[node]
        # Scores stay near 0, where float32 is fine.
        for node in range(len(first)):
            first[node] -= best
            second[node] -= best
            third[node] -= best
    return back
