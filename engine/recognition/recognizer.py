# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognition: speech becomes phones with times, log-mel energies and loudness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.audio.features import FRAME_RATE, Features, features, frame_total
from engine.audio.level import relative_level
from engine.audio.loading import Speech
from engine.audio.running import with_gain
from engine.core.arrays import Mask
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress, subprogress
from engine.phonemes import SILENCE, Phone, Word, normalize_segments
from engine.recognition.alignment import FILLER, Aligner, Alignment, chain_of
from engine.recognition.cepstra import cepstra, subtract_mean
from engine.recognition.chunking import split_at_silence
from engine.recognition.closures import ClosingPhoneLoop
from engine.recognition.ids import AUTO, DEFAULT
from engine.recognition.language import guess_language, voice_of
from engine.recognition.phone_loop import PhoneSegment
from engine.recognition.senones import acoustic_model, senone_scores
from engine.recognition.text_file import Cue
from engine.recognition.voice_activity import (
    AUDIBLE,
    OVER_NOISE,
    SpeechRegions,
    detect_voice_activity,
    runs,
)
from engine.recognition.whisper_models import choose_model, find_multilingual
from engine.recognition.words import Script, misfit_warning, script_of, word_times

Float = NDArray[np.float32]

_LETTERS_PER_SECOND = 50.0
"""Twice the fastest reading aloud, spaces and directions in brackets included."""
_ALWAYS_LETTERS = 20_000
LOUD = -20.0
"""dB to which loud speech is brought before recognition and in ``mel``."""

_MISFIT, _DOUBTFUL, _FEW_MISFIT = -7.0, -6.0, -4.7
"""Mean log scores per frame under which words are not what is said; with little filler, with some
and with much of it, where a few words may fit by chance. Right words have -2.1 to -4.6 in human
speech of any language, -4.6 to -6.8 in the buzz of espeak-ng; those of other sentences -6.4 to
-11.7, and the few of them that fit best -4.7 to -9."""

_MANY, _SOME = 0.5, 0.1
"""Parts of a stretch of speech that are much filler, and more than right words leave (0.09)."""

_NOT_UNDERSTOOD = (
    "No words were understood: sounds were recognised without words, which is less exact. Type "
    "what is said; or, where it is not English, download a recogniser of other languages with: "
    "gaussianspeech download base."
)

_COVERED = 0.5
_TEXT_LACKS = (
    "Most of what is said is not in the text: those sounds were recognised without words, which is "
    "less exact."
)

_NO_SPEECH = "No speech was found in the sound: the mouth stays still."

_FILLED_PAUSE = 20
"""Frames of speech in a pause from which it is a filler or a broken word, not a word's edge."""

_WRITTEN = 0.6
"""Part of the time that writing down what is said takes."""

_LOCAL = 50
"""Frames of the shortest region in which words are judged by themselves."""

_SOFT = 50
"""Frames around sound in which a known line may continue, too softly to stand out."""


@dataclass(frozen=True, eq=False)
class RecognizedSpeech:
    """What is spoken in a recording, and how loudly.

    Attributes:
        phones: contiguous, from 0 to exactly the clip's duration; ``SIL`` where nobody speaks.
        mel: (N, 40) float32 log-mel energies at 100 Hz of the levelled recording, N =
            round(duration · 100); the centre of frame i is (i + 0.5) / 100 s.
        energy: (N,) float32 in [0, 1]: loudness of the speech, 1 at the loud sounds of the seconds
            around, 0 where no phone is spoken and 45 dB below.
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
    text: str | Sequence[Cue] | None = None,
    progress: Progress = no_progress,
    *,
    language: str | None = None,
    recognizer: str = DEFAULT,
) -> RecognizedSpeech:
    """Find the phones of a recording.

    The words of a text are found in the sound. Without one, or where nothing of it is said, the
    recogniser writes down what is said, and that is found. Where there are no words, or none that
    fit the sound, phones are recognised one by one, by how they sound in their context and by how
    phones follow each other in English: far less exact. A warning says which words of a given text
    do not fit.

    Args:
        speech: from :func:`engine.audio.loading.load_speech`.
        text: what is said, where it is known; any script. Cues of a subtitle file bound when their
            words are said.
        progress: called with the fraction done; may raise to cancel.
        language: what is spoken, an ISO 639 code such as ``"en"``; found out by default.
        recognizer: what writes down a recording without a text: see
            :mod:`engine.recognition.ids`.

    Raises:
        BadInputError: the text is longer than anybody can say in that time, or there is no such
            language.
    """
    if language:
        voice_of(language)
    cues = _given(text, speech.duration)
    measured = _measure(speech, subprogress(progress, 0.0, 0.05))
    step = subprogress(progress, 0.05, 1.0)
    found = _align(measured, cues, language, step) if cues else _Found([])
    if not found.words:
        warnings = found.warnings
        found = _transcribe_and_align(speech.samples, measured, language, recognizer, step)
        if not found.phones and not speech.warnings:
            warnings = (*warnings, _NO_SPEECH)
        found = found._replace(warnings=(*warnings, *found.warnings))
    progress(1.0, "Speech recognised")
    return RecognizedSpeech(
        normalize_segments(found.phones, speech.duration),
        measured.features.mel + 2 * np.log(measured.gain)[:, None],
        _energy(measured.features.level, measured.activity.loud, found.phones),
        (*speech.warnings, *found.warnings),
        found.words,
        found.language if found.words else "",
    )


def _align(
    measured: _Measured,
    cues: Sequence[Cue],
    language: str | None,
    progress: Progress,
) -> _Found:
    """Find the words of a given text; a warning names those that are not said."""
    language = language or guess_language(" ".join(cue.text for cue in cues))
    script = script_of(cues, language)
    found = _search(measured, script, progress)
    warnings = []
    if not script.written:
        warnings.append("The text holds no words that can be spoken; it was not used.")
    elif found.missing:
        warnings.append(misfit_warning(found.words, found.missing))
    if found.words and _seconds(found.words) < _COVERED * _seconds(found.phones):
        warnings.append(_TEXT_LACKS)
    return found._replace(language=language, warnings=tuple(warnings))


def _seconds(timed: Sequence[Phone] | Sequence[Word]) -> float:
    """How long phones or words last together."""
    return sum(item.end - item.start for item in timed)


def _transcribe_and_align(
    samples: Float,
    measured: _Measured,
    language: str | None,
    recognizer: str,
    progress: Progress,
) -> _Found:
    """Write down what is said and find that; phones alone where no words fit."""
    choice = choose_model(recognizer, language)
    if choice.folder is None or not measured.activity.regions:
        found = _search(measured, Script(), progress)
        return found._replace(warnings=(choice.warning,) if choice.warning else ())
    found = _with_model(samples, measured, choice.folder, language, progress)
    if found.words or not found.phones:
        return found
    other = find_multilingual() if recognizer == AUTO else None
    if other not in (None, choice.folder):
        found = _with_model(samples, measured, other, language, subprogress(progress, 0.5, 1.0))
    return found if found.words else found._replace(warnings=(_NOT_UNDERSTOOD,))


def _with_model(
    samples: Float,
    measured: _Measured,
    folder: Path,
    language: str | None,
    progress: Progress,
) -> _Found:
    """What a Whisper model writes down, as far as the sound bears it out."""
    from engine.recognition.transcriber import transcribe

    transcript = transcribe(
        with_gain(samples, measured.gain),
        measured.features.level,
        measured.activity.regions,
        folder,
        language,
        subprogress(progress, 0.0, _WRITTEN),
    )
    script = script_of(transcript.cues, transcript.language)
    found = _search(measured, script, subprogress(progress, _WRITTEN, 1.0))
    return found._replace(language=transcript.language)


def _given(text: str | Sequence[Cue] | None, duration: float) -> Sequence[Cue]:
    """The cues of a given text; none where there is no text.

    Raises:
        BadInputError: it is longer than anybody can say in that time.
    """
    cues = [Cue(text)] if isinstance(text, str) else list(text or ())
    cues = [cue for cue in cues if cue.text.strip()]
    _check_length(sum(len(cue.text) for cue in cues), duration)
    return cues


def _check_length(length: int, duration: float) -> None:
    """Refuse a text whose search would take minutes and find nothing."""
    most = round(max(_ALWAYS_LETTERS, _LETTERS_PER_SECOND * duration))
    if length > most:
        raise BadInputError(
            f"The text has {length:,} letters; nobody says more than {most:,} in {duration:.1f} s.",
            "Give the text of this recording alone.",
        )


class _Measured(NamedTuple):
    """A recording's features, where somebody speaks in it, and how loudly.

    Attributes:
        features: N frames at 100 Hz.
        activity: the regions of speech.
        gain: (N,) float32 factor that brings loud speech to :data:`LOUD`.
        cepstra: (N, 13) float32, of :mod:`.cepstra`.
    """

    features: Features
    activity: SpeechRegions
    gain: Float
    cepstra: Float


def _measure(speech: Speech, progress: Progress) -> _Measured:
    found = features(speech.samples, frame_total(speech), subprogress(progress, 0.0, 0.4))
    activity = detect_voice_activity(speech.samples, found, subprogress(progress, 0.4, 0.7))
    gain = (10 ** ((LOUD - np.maximum(activity.loud, AUDIBLE)) / 20)).astype(np.float32)
    progress(0.7, "Measuring the sound")
    raw = cepstra(speech.samples, gain)
    return _Measured(found, activity, gain, subtract_mean(raw, activity.regions))


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


class _Found(NamedTuple):
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


def _search(measured: _Measured, script: Script, progress: Progress) -> _Found:
    """Find the phones, and the words of a script where it has any."""
    found, activity = measured.features, measured.activity
    known = bool(script.pronunciations)
    nothing = _Found([], missing=((0.0, " ".join(script.written)),) if known else ())
    chunks = split_at_silence(_frames_to_recognize(found, activity, words=known), found.level)
    if not chunks:
        return nothing
    loop = ClosingPhoneLoop()
    aligner = Aligner(chain_of(script.pronunciations, script.bounds)) if known else None
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
    return _Found(phones, *word_times(script, aligned.words, frames, without))


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


def _energy(level: Float, loud: Float, phones: Sequence[Phone]) -> Float:
    """Loudness in [0, 1] of the frames in which somebody speaks: (N,)."""
    spoken = np.zeros(len(level), bool)
    for phone in phones:
        spoken[round(phone.start * FRAME_RATE) : round(phone.end * FRAME_RATE)] = True
    return np.where(spoken, relative_level(level, loud), np.float32(0))
