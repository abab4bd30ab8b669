# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a text in a recording: how they sound, where they fall, and which are not said."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.audio.features import FRAME_RATE
from engine.core.arrays import Index, Mask
from engine.phonemes import Word
from engine.recognition.alignment import Pronunciations
from engine.recognition.pronunciation import beginning, pronunciations_in_context
from engine.recognition.text_file import Cue
from engine.recognition.transcript import written_words

_SLACK = 0.6
"""Seconds by which words may lie outside their cue: subtitles and Whisper are no more exact."""

_NAMED = 4
"""Stretches of words that a warning names."""

_QUOTED = 60
"""Characters of the words that a warning quotes."""


@dataclass
class Script:
    """A text as words to be found in a recording.

    Attributes:
        written: the words as they are written.
        pronunciations: of each spoken word; "10:30" is spoken as two.
        numbers: the written word that each spoken one belongs to.
        bounds: frames [earliest, latest) within which each spoken word is expected.
        optional: of each spoken word, whether it may well not be said.
    """

    written: list[str] = field(default_factory=list)
    pronunciations: list[Pronunciations] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    bounds: list[tuple[int, int]] = field(default_factory=list)
    optional: list[bool] = field(default_factory=list)


def script_of(cues: Iterable[Cue], language: str) -> Script:
    """The words of cues in a language, in their order."""
    script = Script()
    for cue in cues:
        earliest, latest = (
            int(np.clip(seconds * FRAME_RATE, -(1 << 30), 1 << 30))
            for seconds in (cue.start - _SLACK, cue.end + _SLACK)
        )
        written = written_words(cue.text, language)
        spoken = [part for word in written for part in word.spoken]
        options = iter(pronunciations_in_context(spoken, language))
        for word in written:
            said = list(itertools.islice(options, len(word.spoken)))
            for number, part in enumerate(word.spoken):
                if _is_broken_off(part, word.text) and (begun := beginning(part, language)):
                    said[number] = (begun, *said[number])
            said = list(filter(None, said))
            if said:
                script.pronunciations += said
                script.numbers += [len(script.written)] * len(said)
                script.bounds += [(earliest, latest)] * len(said)
                script.optional += [word.optional] * len(said)
                script.written.append(word.text)
    return script


def _is_broken_off(part: str, written: str) -> bool:
    """Whether a part of a written word is followed by a dash or an ellipsis: w-what, th—."""
    return re.search(rf"(?<!\w){re.escape(part)}(?:[-‐‑–—…]|\.\.)", written) is not None


class WordTimes(NamedTuple):
    """Which words of a script were found.

    Attributes:
        words: those that were found, with their times.
        missing: the written words that were not, in runs that follow each other in the text, each
            with the second at which they would have been said; none that are optional.
    """

    words: tuple[Word, ...]
    missing: tuple[tuple[float, str], ...]


def word_times(script: Script, spoken: Index, frames: NDArray[np.int64], misfit: Mask) -> WordTimes:
    """The times of the written words.

    Args:
        script: what was looked for.
        spoken: (T,) number of the spoken word in each frame, −1 between words.
        frames: (T,) the recording's frames that those are.
        misfit: (T,) frames in which the words are not what is said.
    """
    times: dict[int, tuple[float, float]] = {}
    edges = np.flatnonzero(np.diff(spoken, prepend=-2, append=-2))
    for first, last in itertools.pairwise(edges):
        if spoken[first] >= 0 and not misfit[(first + last) // 2]:
            number = script.numbers[spoken[first]]
            end = float(frames[last - 1] + 1) / FRAME_RATE
            start = float(frames[first]) / FRAME_RATE
            times[number] = (min(times.get(number, (start, end))[0], start), end)
    words = tuple(Word(script.written[number], *times[number]) for number in sorted(times))
    return WordTimes(words, tuple(_missing(script, times)))


def _missing(script: Script, times: dict[int, tuple[float, float]]) -> Iterable[tuple[float, str]]:
    optional = dict(zip(script.numbers, script.optional, strict=True))
    before = 0.0
    for found, run in itertools.groupby(range(len(script.written)), times.__contains__):
        numbers = list(run)
        if found:
            before = times[numbers[-1]][1]
        elif text := " ".join(script.written[number] for number in numbers if not optional[number]):
            yield before, text


def misfit_warning(words: Sequence[Word], missing: Sequence[tuple[float, str]]) -> str:
    """A sentence that names the words of a given text that are not in the sound."""
    if not words:
        return "The text does not fit the sound: none of it was found, and it was not used."
    return (
        f"The text does not fit the sound: {_named(missing)} was not found; the sounds there were "
        "recognised without it."
    )


def doubt_warning(words: Sequence[Word], doubtful: Iterable[Cue]) -> Iterator[str]:
    """At most one sentence: of which stretches the recogniser was not sure.

    Args:
        words: those that were found.
        doubtful: what was written down without certainty. Where none of its words were found,
            phones stand in its place, and it is not named.
    """
    kept = [
        (cue.start, cue.text)
        for cue in doubtful
        if any(word.start < cue.end and word.end > cue.start for word in words)
    ]
    if kept:
        yield (
            f"The recogniser was not sure of {_named(kept)}: listen, and where other words are "
            "said, give them as the text and predict again."
        )


def _named(stretches: Sequence[tuple[float, str]]) -> str:
    """Stretches of text with the seconds near which they are, all but the first few as a number."""
    named = [f"“{_shortened(text)}” near {time:.1f} s" for time, text in stretches[:_NAMED]]
    more = len(stretches) - len(named)
    return ", ".join([*named, f"{more} more stretches"] if more else named)


def _shortened(text: str) -> str:
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"
