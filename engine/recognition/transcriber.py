# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said, written down by Whisper (Radford et al. 2022) through faster-whisper.

Whisper invents sentences in silence and music, repeats itself, and leaves out fillers and broken
words. So it gets speech alone, in chunks that are cut at pauses; what it is unsure of is dropped;
and what remains is only proposed: the alignment (:mod:`.alignment`) leaves out words that the sound
does not bear out, and puts phones where there are words missing.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.audio.features import FRAME_RATE, HOP
from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.platforms import usable_processors
from engine.core.progress import Progress
from engine.recognition.text_file import Cue

_LONGEST = 28 * FRAME_RATE
"""Frames of the longest chunk: Whisper sees 30 s at once."""

_WINDOW = 30 * FRAME_RATE
_PADDING = 10 * FRAME_RATE
"""Frames of silence that Whisper sees after a chunk. It was trained with windows of 30 s; with ten
seconds of silence it writes the same words, with fewer it repeats itself."""

_PAUSE = 2 * FRAME_RATE
"""Frames of a pause that parts two chunks; shorter ones are left in, so that sentences stay."""

_MARGIN = 30
"""Frames of sound around speech that Whisper gets."""

_TOKENS_PER_SECOND = 10
"""Twice those of fast speech: where Whisper repeats itself, this ends it."""
_ALWAYS_TOKENS, _MOST_TOKENS = 20, 220

_UNSURE = -1.2
"""Mean log probability of the tokens of a stretch under which it is guessed. Right words of clear
and whispered speech have -0.2 to -1.0; those for a language the model does not know -0.9 to -2."""

_DOUBTFUL = -0.7
"""The same, under which the words are kept, but for somebody to check: in speech that is clipped,
reverberant, drawn out or under noise most such stretches have wrong words, and of single words
every other one; clear and whispered sentences have -0.3 to -0.65."""

_WORDS_PER_SECOND = 8.0
"""More than anybody says."""

_LOOP = re.compile(r"(?<!\S)(\S.{0,80}?)(?:[\s,.!?-]+\1){5,}(?!\w)", re.IGNORECASE)
"""The same words six times and more: ``Bye bye. Bye bye. …``"""

_OTHER_CODES = {"cmn": "zh", "fil": "tl", "iw": "he", "jv": "jw", "nb": "no"}
"""Whisper's codes of languages that have several."""

_DETECTIONS = 3
"""Chunks by which the language is found out."""


class Transcript(NamedTuple):
    """What was written down.

    Attributes:
        cues: stretches of text with their times, in order.
        language: the one that was given, or Whisper's code of the one that was found out.
        doubtful: those of the cues of which the model was not sure.
    """

    cues: tuple[Cue, ...]
    language: str
    doubtful: tuple[Cue, ...] = ()


def transcribe(
    samples: Float,
    level: Float,
    regions: Sequence[tuple[int, int]],
    folder: Path,
    language: str | None,
    progress: Progress,
) -> Transcript:
    """Write down a recording.

    Args:
        samples: (n,) float32 at 16 kHz.
        level: (N,) float32 dB of each frame.
        regions: frames [start, stop) of speech, in order.
        folder: of the model.
        language: what is spoken, where known.
        progress: called with the fraction done; may raise to cancel.

    Raises:
        BadInputError: the model cannot be read, or does not know the language.
    """
    progress(0.0, "Reading the recogniser")
    model = whisper_model(str(folder))
    known = model.supported_languages
    code = None if language is None else _code(language)
    if code is not None and code not in known:
        raise BadInputError(
            f"The recogniser {folder.name!r} does not know the language {language!r}.",
            f"Give the text, or choose the recogniser 'phones'. It knows {', '.join(known[:30])}"
            f"{'…' if len(known) > 30 else ''}.",
        )
    chunks = _chunks(regions, level)
    if code is None:
        code = known[0] if len(known) == 1 else _language(model, samples, chunks)
    written: list[_Written] = []
    for number, chunk in enumerate(chunks):
        progress(number / len(chunks), "Writing down what is said")
        written += _written(model, samples, chunk, code)
    doubtful = tuple(cue for cue, certainty in written if certainty < _DOUBTFUL)
    return Transcript(tuple(cue for cue, _ in written), language or code, doubtful)


def _code(language: str) -> str:
    """Whisper's code of a language, which has no countries: ``"pt-br"`` is ``"pt"``."""
    base = language.strip().lower().replace("_", "-").partition("-")[0]
    return _OTHER_CODES.get(base, base)


def _chunks(regions: Sequence[tuple[int, int]], level: Float) -> list[tuple[int, int]]:
    """Frames [start, stop) of the recording that Whisper sees together."""
    wide: list[tuple[int, int]] = []
    for start, stop in regions:
        first, last = max(0, start - _MARGIN), min(len(level), stop + _MARGIN)
        if wide and first < wide[-1][1]:
            first = wide.pop()[0]
        wide.append((first, last))
    chunks: list[tuple[int, int]] = []
    for first, last in wide:
        joined = chunks and first - chunks[-1][1] < _PAUSE and last - chunks[-1][0] <= _LONGEST
        start = chunks.pop()[0] if joined else first
        while last - start > _LONGEST:
            cut = start + _LONGEST // 2 + _quietest(level[start + _LONGEST // 2 : start + _LONGEST])
            chunks.append((start, cut))
            start = cut
        chunks.append((start, last))
    return chunks


def _quietest(level: Float) -> int:
    """The middle of the quietest fifth of a second."""
    width = FRAME_RATE // 5
    return int(np.argmin(np.convolve(level, np.full(width, 1 / width), "valid"))) + width // 2


def _language(model: Any, samples: Float, chunks: Sequence[tuple[int, int]]) -> str:
    """The language of which the model is surest in the first chunks."""
    sure = {"en": 0.0}
    model.window = _WINDOW
    for start, stop in chunks[:_DETECTIONS]:
        found, probability, _ = model.detect_language(samples[start * HOP : stop * HOP])
        sure[found] = sure.get(found, 0.0) + probability * (stop - start)
    return max(sure, key=sure.__getitem__)


class _Written(NamedTuple):
    """A stretch of text, and the mean log probability of its tokens."""

    cue: Cue
    certainty: float


def _written(model: Any, samples: Float, chunk: tuple[int, int], language: str) -> list[_Written]:
    """What is said in a chunk, without what Whisper only guesses."""
    start, stop = chunk
    seconds = (stop - start) / FRAME_RATE
    # Its convolution takes every second frame.
    model.window = min(_WINDOW, (stop - start + _PADDING) // 2 * 2)
    tokens = min(_ALWAYS_TOKENS + math.ceil(_TOKENS_PER_SECOND * seconds), _MOST_TOKENS)
    segments, _ = model.transcribe(
        samples[start * HOP : stop * HOP],
        language=language,
        beam_size=5,
        # Without chance, so that the same sound has the same words.
        temperature=0.0,
        condition_on_previous_text=False,
        max_new_tokens=tokens,
    )
    written = []
    for segment in segments:
        text = _LOOP.sub(r"\1 \1", segment.text.strip())
        first, last = min(segment.start, seconds), min(segment.end, seconds)
        if (
            segment.avg_logprob > _UNSURE
            and re.search(r"\w", text)
            and len(text.split()) <= _WORDS_PER_SECOND * max(last - first, 1.0)
        ):
            begin = start / FRAME_RATE
            cue = Cue(text, begin + first, begin + last)
            written.append(_Written(cue, segment.avg_logprob))
    return written


@lru_cache(maxsize=2)
def whisper_model(folder: str) -> Any:
    """The model, read once per process.

    Raises:
        BadInputError: its files are damaged or not Whisper's.
    """
    # Never the network: what is missing is for the user to install.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from faster_whisper import WhisperModel

    class ShortWindow(WhisperModel):  # type: ignore[misc]
        """Encodes no more of the padding than is needed: a third of the time for short clips."""

        window = _WINDOW

        def encode(self, features: Any) -> Any:
            return super().encode(np.ascontiguousarray(features[..., : self.window]))

    try:
        return ShortWindow(
            folder, device="cpu", compute_type="int8", cpu_threads=usable_processors()
        )
    # The library raises RuntimeError, ValueError and others for files that it cannot read.
    except Exception as error:
        raise BadInputError(
            f"The Whisper model in {folder} cannot be read: {error}.",
            "Download or convert it again.",
        ) from error
