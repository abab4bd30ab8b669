# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognition: speech becomes phones with times, log-mel energies and loudness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.audio.loading import Speech
from engine.audio.running import with_gain
from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress, subprogress
from engine.phonemes import Phone, Word, normalize_segments
from engine.recognition.ids import AUTO, DEFAULT
from engine.recognition.language import guess_language, voice_of
from engine.recognition.measurement import Measured, measure
from engine.recognition.search import Found, search
from engine.recognition.text_file import Cue
from engine.recognition.whisper_models import choose_model, find_multilingual
from engine.recognition.words import Script, doubt_warning, misfit_warning, script_of

_LETTERS_PER_SECOND = 50.0
"""Twice the fastest reading aloud, spaces and stage directions included."""
_ALWAYS_LETTERS = 20_000
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

_PARTLY_UNDERSTOOD = (
    "Most of what is said was not understood as words: those sounds were recognised without words, "
    "which is less exact. Type what is said."
)

_NO_SPEECH = "No speech was found in the sound: the mouth stays still."

_WRITTEN = 0.6
"""Part of the time that writing down what is said takes."""


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
    measured = measure(speech, subprogress(progress, 0.0, 0.05))
    step = subprogress(progress, 0.05, 1.0)
    found = _align(measured, cues, language, step) if cues else Found([])
    if not found.words:
        warnings = found.warnings
        found = _transcribe_and_align(speech.samples, measured, language, recognizer, step)
        if not found.phones and not speech.warnings:
            warnings = (*warnings, _NO_SPEECH)
        found = found._replace(warnings=(*warnings, *found.warnings))
    progress(1.0, "Speech recognised")
    return RecognizedSpeech(
        normalize_segments(found.phones, speech.duration),
        measured.mel,
        measured.energy(found.phones),
        (*speech.warnings, *found.warnings),
        found.words,
        found.language if found.words else "",
    )


def _align(
    measured: Measured,
    cues: Sequence[Cue],
    language: str | None,
    progress: Progress,
) -> Found:
    """Find the words of a given text; a warning names those that are not said."""
    language = language or guess_language(" ".join(cue.text for cue in cues))
    script = script_of(cues, language)
    found = search(measured, script, progress)
    warnings = []
    if not script.written:
        warnings.append("The text holds no words that can be spoken; it was not used.")
    elif found.missing:
        warnings.append(misfit_warning(found.words, found.missing))
    if _covers_little(found):
        warnings.append(_TEXT_LACKS)
    return found._replace(language=language, warnings=tuple(warnings))


def _covers_little(found: Found) -> bool:
    """Whether there are words, but most of what is said lies outside them."""
    return bool(found.words) and _seconds(found.words) < _COVERED * _seconds(found.phones)


def _seconds(timed: Sequence[Phone] | Sequence[Word]) -> float:
    """How long phones or words last together."""
    return sum(item.end - item.start for item in timed)


def _transcribe_and_align(
    samples: Float,
    measured: Measured,
    language: str | None,
    recognizer: str,
    progress: Progress,
) -> Found:
    """Write down what is said and find that; phones alone where no words fit."""
    choice = choose_model(recognizer, language)
    if choice.folder is None or not measured.activity.regions:
        found = search(measured, Script(), progress)
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
    measured: Measured,
    folder: Path,
    language: str | None,
    progress: Progress,
) -> Found:
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
    found = search(measured, script, subprogress(progress, _WRITTEN, 1.0))
    warnings = list(doubt_warning(found.words, transcript.doubtful))
    if _covers_little(found):
        warnings.append(_PARTLY_UNDERSTOOD)
    return found._replace(language=transcript.language, warnings=tuple(warnings))


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
