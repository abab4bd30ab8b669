# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for phones, and for the words of a script, in a recording that was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.audio.features import FRAME_RATE, Features
from engine.core.arrays import Mask
from engine.core.progress import Progress
from engine.phonemes import SILENCE, Phone, Word
from engine.recognition.alignment import FILLER, Aligner, Alignment, Chain, chain_of
from engine.recognition.chunking import split_at_silence
from engine.recognition.closures import ClosingPhoneLoop
from engine.recognition.measurement import Measured
from engine.recognition.phone_loop import PhoneSegment
from engine.recognition.senones import acoustic_model, senone_scores
from engine.recognition.voice_activity import AUDIBLE, OVER_NOISE, SpeechRegions, runs
from engine.recognition.words import Script, word_times

_MISFIT, _DOUBTFUL, _FEW_MISFIT = -7.0, -6.0, -4.7
"""Mean log scores per frame under which words are not what is said; with little filler, with some
and with much of it, where a few words may fit by chance. Right words have -2.1 to -4.6 in human
speech of any language, -4.6 to -6.8 in the buzz of espeak-ng; those of other sentences -6.4 to
-11.7, and the few of them that fit best -4.7 to -9."""

_MANY, _SOME = 0.5, 0.1
"""Parts of a stretch of speech that are much filler, and more than right words leave (0.09)."""

_FILLED_PAUSE = 20
"""Frames of speech in a pause from which it is a filler or a broken word, not a word's edge."""

_LOCAL = 50
"""Frames of the shortest region in which words are judged by themselves."""

_SOFT = 50
"""Frames around sound in which a known line may continue, too softly to stand out."""


def _frames_to_recognize(
    found: Features, activity: SpeechRegions, *, words: bool
) -> list[tuple[int, int]]:
    """The frames that are recognised."""
    if not words:
        return list(activity.regions)
    # A line is known to be spoken: whispers and trailing words count too.
    threshold = np.maximum(activity.noise + OVER_NOISE, AUDIBLE)
    sound = [*activity.regions, *runs(found.level > threshold)]
    return [(start - _SOFT, stop + _SOFT) for start, stop in sound]


class Found(NamedTuple):
    """What was found in a recording.

    Attributes:
        phones: without the silences.
        words: of the text, with their times.
        missing: runs of words of the text that were not found, each with the second near which
            they would have been said.
        language: of the words, where it was found out.
        warnings: one sentence each.
    """

    phones: list[Phone]
    words: tuple[Word, ...] = ()
    missing: tuple[tuple[float, str], ...] = ()
    language: str = ""
    warnings: tuple[str, ...] = ()


def search(measured: Measured, script: Script, progress: Progress) -> Found:
    """Find the phones, and the words of a script where it has any."""
    found, activity = measured.features, measured.activity
    known = bool(script.pronunciations)
    nothing = Found([], missing=((0.0, " ".join(script.written)),) if known else ())
    chunks = split_at_silence(_frames_to_recognize(found, activity, words=known), found.level)
    if not chunks:
        return nothing
    loop = ClosingPhoneLoop()
    aligner = Aligner(_chain(script)) if known else None
    for number, chunk in enumerate(chunks):
        progress(number / len(chunks), "Recognising speech")
        scored = senone_scores(chunk.with_context(measured.cepstra))
        scores = np.ascontiguousarray(chunk.trim_context(scored))
        loop.accept_scores(scores)
        if aligner:
            aligner.accept_scores(scores, chunk.frames)
    frames = np.concatenate([chunk.frames for chunk in chunks])
    free = _within_speech(loop.finish(), frames, activity)
    aligned = aligner.finish() if aligner else None
    if aligned is None:
        return nothing._replace(phones=free)
    without = _without_words(aligned, frames, activity)
    without |= _spoken_pauses(aligned, free, frames)
    phones = _merge(_to_seconds(aligned.phones, frames), free, frames, without)
    return Found(phones, *word_times(script, aligned.words, frames, without))


def _chain(script: Script) -> Chain:
    """The states of the words of a script, which has some."""
    optional = [number for number, may_lack in enumerate(script.optional) if may_lack]
    return chain_of(script.pronunciations, script.bounds, optional)


def _without_words(aligned: Alignment, frames: NDArray[np.int64], activity: SpeechRegions) -> Mask:
    """(T,) the frames in which the words are not what is said, or are silent where speech is."""
    filler = np.zeros(len(frames), bool)
    for label, start, stop in aligned.phones:
        filler[start:stop] |= label == FILLER
    without = filler.copy()
    inside = np.zeros(len(frames), bool)
    for region in activity.regions:
        start, stop = np.searchsorted(frames, region)
        inside[start:stop] = True
        if stop - start >= _LOCAL:
            without[start:stop] |= _misfits(aligned, filler, slice(start, stop))
    if not inside.any() or _misfits(aligned, filler, inside):
        without[:] = True
    return without


def _spoken_pauses(aligned: Alignment, free: list[Phone], frames: NDArray[np.int64]) -> Mask:
    """(T,) the frames of pauses between words in which there is speech: fillers, broken words."""
    speech = np.zeros(len(frames), bool)
    for phone in free:
        start, end = phone.start * FRAME_RATE, phone.end * FRAME_RATE
        speech[np.searchsorted(frames, start) : np.searchsorted(frames, end)] = True
    spoken = np.zeros(len(frames), bool)
    for start, stop in runs(speech & (aligned.words < 0)):
        spoken[start:stop] = stop - start >= _FILLED_PAUSE
    return spoken


def _misfits(aligned: Alignment, filler: Mask, stretch: slice | Mask) -> bool:
    """Whether the words in some of the frames are not what is said there."""
    scores = aligned.scores[stretch][aligned.words[stretch] >= 0]
    left = filler[stretch].mean()
    limit = _FEW_MISFIT if left > _MANY else _DOUBTFUL if left > _SOME else _MISFIT
    return len(scores) > 0 and bool(scores.mean() < limit)


def _merge(
    aligned: list[Phone], free: list[Phone], frames: NDArray[np.int64], without: Mask
) -> list[Phone]:
    """The aligned phones, and the free ones in the frames ``without`` (T,) words."""
    spans = [
        (float(frames[start]) / FRAME_RATE, float(frames[stop - 1] + 1) / FRAME_RATE)
        for start, stop in runs(without)
    ]
    if not spans:
        return aligned
    starts = np.array([start for start, _ in spans])
    merged = []
    for phone in aligned:
        middle = (phone.start + phone.end) / 2
        before = int(np.searchsorted(starts, middle, "right")) - 1
        if before < 0 or middle >= spans[before][1]:
            merged.append(phone)
    for phone in free:
        first = max(0, int(np.searchsorted(starts, phone.start, "right")) - 1)
        for start, end in spans[first : int(np.searchsorted(starts, phone.end))]:
            part = phone._replace(start=max(start, phone.start), end=min(end, phone.end))
            if part.end - part.start > (phone.end - phone.start) / 2:
                merged.append(part)
    return sorted(merged, key=lambda phone: phone.start)


def _to_seconds(segments: Iterable[tuple[str, int, int]], frames: NDArray[np.int64]) -> list[Phone]:
    """Phones, by labels, in the recording's own time, without the silences and filler."""
    # A phone at a silence that was left out ends there.
    jumps = np.append(np.flatnonzero(np.diff(frames) > 1) + 1, len(frames))
    timed = []
    for label, start, stop in segments:
        if label not in {FILLER, SILENCE}:
            last = min(stop, int(jumps[np.searchsorted(jumps, start, "right")])) - 1
            times = (float(frames[start]) / FRAME_RATE, float(frames[last] + 1) / FRAME_RATE)
            timed.append(Phone(label, *times))
    return timed


def _within_speech(
    segments: Sequence[PhoneSegment], frames: NDArray[np.int64], activity: SpeechRegions
) -> list[Phone]:
    """The phones without those that lie wholly outside speech: breaths, clicks."""
    spoken: list[Phone] = []
    run: list[Phone] = []
    labels = acoustic_model().labels
    labelled = ((labels[phone], start, stop) for phone, start, stop in segments)
    for phone in [*_to_seconds(labelled, frames), Phone(SILENCE, np.inf, np.inf)]:
        if run and phone.start > run[-1].end:
            span = (run[0].start * FRAME_RATE, run[-1].end * FRAME_RATE)
            if any(start < span[1] and stop > span[0] for start, stop in activity.regions):
                spoken += run
            run = []
        run.append(phone)
    return spoken
