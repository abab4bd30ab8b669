# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognition: speech becomes phones with times, log-mel energies and loudness."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.audio.features import FRAME_RATE, Features, features, frame_total
from engine.audio.level import relative_level
from engine.audio.loading import Speech
from engine.core.arrays import Index
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress, subprogress
from engine.phonemes import SILENCE, Phone, Word, normalize_segments
from engine.recognition.alignment import Aligner, chain_of
from engine.recognition.chunking import split_at_silence
from engine.recognition.ids import DEFAULT
from engine.recognition.phone_loop import PhoneLoop, PhoneSegment
from engine.recognition.pronunciation import pronunciations
from engine.recognition.senones import acoustic_model, senone_scores
from engine.recognition.transcript import written_words
from engine.recognition.voice_activity import (
    AUDIBLE,
    OVER_NOISE,
    SpeechRegions,
    detect_voice_activity,
    runs,
)

Float = NDArray[np.float32]

_LETTERS_PER_SECOND = 50.0
"""Twice the fastest reading aloud, spaces and directions in brackets included."""
_ALWAYS_LETTERS = 20_000
LOUD = -20.0
"""dB to which loud voiced frames are brought before recognition and in ``mel``."""

_MISFIT = -6.0
"""Mean log score per frame under which words are not what is said. Right transcripts of human and
synthetic speech have -2.1 to -3.7, those of other sentences -7.9 to -11.7."""

_LOCAL = 50
"""Frames of the shortest region in which words are judged by themselves."""

_CONTRAST = 25.0
"""dB that loud speech has over the background, at the least, in a recording with no pause."""

_SOFT = 50
"""Frames around sound in which a known line may continue, too softly to stand out."""


@dataclass(frozen=True, eq=False)
class RecognizedSpeech:
    """What is spoken in a recording, and how loudly.

    Attributes:
        phones: contiguous, from 0 to exactly the clip's duration; ``SIL`` where nobody speaks.
        mel: (N, 40) float32 log-mel energies at 100 Hz of the levelled recording, N =
            round(duration · 100); the centre of frame i is (i + 0.5) / 100 s.
        energy: (N,) float32 in [0, 1]: loudness of the speech, 1 at this recording's loud voiced
            sounds, 0 where no phone is spoken and 45 dB below.
        warnings: things the user should know, one sentence each, the speech's own among them.
        words: the words that were found in the sound, as they are written; empty where phones were
            recognised without words.
        language: of the words, an ISO 639 code such as ``"en"``; empty where unknown.
    """

    phones: tuple[Phone, ...]
    mel: Float
    energy: Float
    warnings: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()
    language: str = ""


def recognize(
    speech: Speech,
    text: str | None = None,
    progress: Progress = no_progress,
    *,
    language: str | None = None,
    recognizer: str = DEFAULT,  # noqa: ARG001
) -> RecognizedSpeech:
    """Find the phones of a recording.

    Without a text the phones are recognised one by one, by how they sound in their context and by
    how phones follow each other in English. With a text its words are found in the sound, which is
    far more exact; where the words do not fit the sound, the recognised phones stand in and a
    warning says so.

    Args:
        speech: from :func:`engine.audio.loading.load_speech`.
        text: what is said, where it is known; any script.
        progress: called with the fraction done; may raise to cancel.
        language: what is spoken, an ISO 639 code such as ``"en"``; found out by default.
        recognizer: what writes down a recording without a text: see
            :mod:`engine.recognition.ids`.

    Raises:
        BadInputError: the text is longer than anybody can say in that time.
    """
    _check_length(text or "", speech.duration)
    measured = _measure(speech, subprogress(progress, 0.0, 0.1))
    written, words, numbers = _pronounced(text or "")
    warnings = list(speech.warnings)
    if text and text.strip() and not words:
        warnings.append("The text holds no words that can be spoken; it was not used.")
    phones, misfits, spans = _recognize_chunks(speech.samples, measured, words, progress)
    if misfits:
        warnings.append(_warning(misfits, speech.duration))
    progress(1.0, "Speech recognised")
    return RecognizedSpeech(
        normalize_segments(phones, speech.duration),
        measured.features.mel + np.float32(2 * np.log(measured.gain)),
        _energy(measured.features.level, measured.loud, phones),
        tuple(warnings),
        _words(written, numbers, spans, misfits),
        (language or "en") if words else "",
    )


def _pronounced(text: str) -> tuple[list[str], list[tuple[tuple[str, ...], ...]], list[int]]:
    """The written words, how each spoken one may sound, and to which written one that belongs."""
    written: list[str] = []
    words: list[tuple[tuple[str, ...], ...]] = []
    numbers: list[int] = []
    for word in written_words(text):
        spoken = [said for part in word.spoken if (said := pronunciations(part))]
        numbers += [len(written)] * len(spoken)
        words += spoken
        written.append(word.text)
    return written, words, numbers


def _words(
    written: Sequence[str],
    numbers: Sequence[int],
    spans: Sequence[tuple[int, float, float]],
    misfits: Sequence[tuple[float, float]],
) -> tuple[Word, ...]:
    """The written words with their times, without those that are not what is said."""
    words: list[Word] = []
    last = -1
    for spoken, start, end in spans:
        if any(first <= (start + end) / 2 < stop for first, stop in misfits):
            continue
        if numbers[spoken] == last:
            words[-1] = words[-1]._replace(end=end)
        else:
            words.append(Word(written[numbers[spoken]], start, end))
            last = numbers[spoken]
    return tuple(words)


def _check_length(text: str, duration: float) -> None:
    """Refuse a text whose search would take minutes and find nothing."""
    most = round(max(_ALWAYS_LETTERS, _LETTERS_PER_SECOND * duration))
    if len(text) > most:
        raise BadInputError(
            f"The text has {len(text):,} letters; nobody says more than {most:,} in "
            f"{duration:.1f} s.",
            "Give the text of this recording alone.",
        )


class _Measured(NamedTuple):
    """A recording's features, where somebody speaks in it, and how loudly.

    Attributes:
        features: N frames at 100 Hz.
        activity: the regions of speech.
        loud: decibels of loud voiced frames.
        gain: factor that brings those to :data:`LOUD`.
    """

    features: Features
    activity: SpeechRegions
    loud: float
    gain: float


def _measure(speech: Speech, progress: Progress) -> _Measured:
    found = features(speech.samples, frame_total(speech), progress)
    activity = detect_voice_activity(found)
    loud = activity.loud if activity.regions else float(np.percentile(found.level, 95))
    gain = float(10 ** ((LOUD - max(loud, AUDIBLE)) / 20))
    return _Measured(found, activity, loud, gain)


def _frames_to_recognize(
    found: Features, activity: SpeechRegions, *, words: bool
) -> list[tuple[int, int]]:
    """The frames that are recognised."""
    if not words:
        return list(activity.regions)
    # A line is known to be spoken: whispers and trailing words count too.
    quiet, loud = np.percentile(found.level, (10, 95))
    threshold = max(min(quiet, loud - _CONTRAST) + OVER_NOISE, AUDIBLE)
    sound = [*activity.regions, *runs(found.level > threshold)]
    return [(start - _SOFT, stop + _SOFT) for start, stop in sound]


def _recognize_chunks(
    samples: Float,
    measured: _Measured,
    words: Sequence[Sequence[Sequence[str]]],
    progress: Progress,
) -> tuple[list[Phone], list[tuple[float, float]], list[tuple[int, float, float]]]:
    """The phones spoken, the seconds in which the words are not what is said, the words' times."""
    found, activity = measured.features, measured.activity
    chunks = split_at_silence(_frames_to_recognize(found, activity, words=bool(words)), found.level)
    if not chunks:
        return [], [], []
    loop = PhoneLoop()
    aligner = Aligner(chain_of(words)) if words else None
    for number, chunk in enumerate(chunks):
        progress(0.1 + 0.9 * number / len(chunks), "Recognising speech")
        sound = chunk.samples(samples) * np.float32(measured.gain)
        scores = np.ascontiguousarray(chunk.trim_context(senone_scores(sound)))
        loop.accept_scores(scores)
        if aligner:
            aligner.accept_scores(scores)
    frames = np.concatenate([chunk.frames for chunk in chunks])
    free = _within_speech(loop.finish(), frames, activity)
    aligned = aligner.finish() if aligner else None
    if aligned is None:
        whole = (float(frames[0]) / FRAME_RATE, float(frames[-1] + 1) / FRAME_RATE)
        return free, [whole] if words else [], []
    misfits = _misfits(aligned.scores, frames, activity)
    phones = _merge(_to_seconds(aligned.phones, frames), free, misfits)
    return phones, misfits, _word_spans(aligned.words, frames)


def _word_spans(words: Index, frames: NDArray[np.int64]) -> list[tuple[int, float, float]]:
    """Number, start and end in seconds of each word that was found."""
    edges = np.flatnonzero(np.diff(words, prepend=-2, append=-2))
    return [
        (
            int(words[start]),
            float(frames[start]) / FRAME_RATE,
            float(frames[stop - 1] + 1) / FRAME_RATE,
        )
        for start, stop in itertools.pairwise(edges)
        if words[start] >= 0
    ]


def _to_seconds(segments: Sequence[PhoneSegment], frames: NDArray[np.int64]) -> list[Phone]:
    """Phones in the recording's own time, without the silences."""
    labels = acoustic_model().labels
    # A phone at a silence that was left out ends there.
    jumps = np.append(np.flatnonzero(np.diff(frames) > 1) + 1, len(frames))
    timed = []
    for phone, start, stop in segments:
        if labels[phone] != SILENCE:
            last = min(stop, int(jumps[np.searchsorted(jumps, start, "right")])) - 1
            times = (float(frames[start]) / FRAME_RATE, float(frames[last] + 1) / FRAME_RATE)
            timed.append(Phone(labels[phone], *times))
    return timed


def _within_speech(
    segments: Sequence[PhoneSegment], frames: NDArray[np.int64], activity: SpeechRegions
) -> list[Phone]:
    """The phones without those that lie wholly outside speech: breaths, clicks."""
    spoken: list[Phone] = []
    run: list[Phone] = []
    for phone in [*_to_seconds(segments, frames), Phone(SILENCE, np.inf, np.inf)]:
        if run and phone.start > run[-1].end:
            span = (run[0].start * FRAME_RATE, run[-1].end * FRAME_RATE)
            if any(start < span[1] and stop > span[0] for start, stop in activity.regions):
                spoken += run
            run = []
        run.append(phone)
    return spoken


def _misfits(
    scores: Float, frames: NDArray[np.int64], activity: SpeechRegions
) -> list[tuple[float, float]]:
    """The seconds in which the aligned words score too badly to be what is said."""
    if scores.mean() < _MISFIT:
        return [(float(frames[0]) / FRAME_RATE, float(frames[-1] + 1) / FRAME_RATE)]
    misfits = []
    for start, stop in activity.regions:
        inside = scores[np.searchsorted(frames, start) : np.searchsorted(frames, stop)]
        if len(inside) >= _LOCAL and inside.mean() < _MISFIT:
            misfits.append((start / FRAME_RATE, stop / FRAME_RATE))
    return misfits


def _merge(
    aligned: list[Phone], free: list[Phone], misfits: list[tuple[float, float]]
) -> list[Phone]:
    """The aligned phones, the free ones where the words do not fit."""

    def misfit(phone: Phone) -> bool:
        middle = (phone.start + phone.end) / 2
        return any(start <= middle < end for start, end in misfits)

    kept = [phone for phone in aligned if not misfit(phone)]
    return sorted(kept + [phone for phone in free if misfit(phone)], key=lambda phone: phone.start)


def _warning(misfits: list[tuple[float, float]], duration: float) -> str:
    if sum(end - start for start, end in misfits) > duration / 2:
        where = "the sound"
    else:
        where = "the sound at " + ", ".join(f"{a:.1f} to {b:.1f} s" for a, b in misfits[:5])
    return f"The text does not fit {where}: the phones there were recognised without it."


def _energy(level: Float, loud: float, phones: Sequence[Phone]) -> Float:
    """Loudness in [0, 1] of the frames in which somebody speaks: (N,)."""
    spoken = np.zeros(len(level), bool)
    for phone in phones:
        spoken[round(phone.start * FRAME_RATE) : round(phone.end * FRAME_RATE)] = True
    return np.where(spoken, relative_level(level, loud), np.float32(0))
