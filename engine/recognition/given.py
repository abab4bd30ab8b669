# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech whose phones and words are given: nothing is recognised, only missing sounds are added."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from engine.audio.features import FRAME_RATE
from engine.audio.loading import Speech
from engine.core.progress import Progress, no_progress, subprogress
from engine.phonemes import SILENCE, VOWELS, Phone, Word, normalize_segments
from engine.recognition.alignment import Aligner, chain_of
from engine.recognition.chunking import SpeechChunk
from engine.recognition.language import guess_language, voice_of
from engine.recognition.measurement import Measured, measure
from engine.recognition.recognizer import RecognizedSpeech
from engine.recognition.segmentation import Segmentation
from engine.recognition.senones import senone_scores
from engine.recognition.text_file import Cue
from engine.recognition.words import Script, script_of

_VOWEL = 1.5
"""Duration of a vowel in that of a consonant. Klatt (1976, "Linguistic uses of segmental duration
in English") has 130 ms for stressed vowels, 70 ms for others and 70 ms for consonants."""

_FITS = -6.0
"""Mean log score per frame under which a word is not what is said, as in the recogniser."""
_SPOKEN = 0.6
"""Least part of a word's time that its sounds fill when they are found in the recording."""
_PRESENT = 1e-3
"""Seconds of a phone within a word by which the word has it."""


def accept(
    speech: Speech,
    given: Segmentation,
    progress: Progress = no_progress,
    *,
    language: str | None = None,
) -> RecognizedSpeech:
    """The speech of a recording as exactly the phones and words that are given.

    A word in whose time there is no phone is pronounced: its sounds are found in the recording
    within that time where they fit it, and share it where they do not.

    Args:
        speech: from :func:`engine.audio.loading.load_speech`.
        given: seconds from the recording's start.
        progress: called with the fraction done; may raise to cancel.
        language: what is spoken, an ISO 639 code such as ``"en"``; by default that of the words'
            script.

    Raises:
        BadInputError: what is given reaches beyond the recording, or there is no such language.
    """
    if language:
        voice_of(language)
    given.check_within(speech.duration)
    measured = measure(speech, subprogress(progress, 0.0, 0.6))
    sounds = [phone for phone in given.phones if phone.label != SILENCE]
    missing = _without_phones(given.words, sounds)
    read_as = language or guess_language(" ".join(word.text for word in given.words))
    warnings = list(speech.warnings)
    for number, word in enumerate(missing):
        progress(0.6 + 0.4 * number / len(missing), "Pronouncing words")
        said = _pronounced(word, read_as, measured)
        sounds += said
        if not said:
            warnings.append(f"“{word.text}” holds nothing that can be spoken: no sounds were made.")
    progress(1.0, "Phones accepted")
    return RecognizedSpeech(
        normalize_segments(sounds, speech.duration),
        measured.mel,
        measured.energy(sounds),
        tuple(warnings),
        given.words,
        language or (read_as if missing else ""),
    )


def _without_phones(words: Iterable[Word], sounds: Sequence[Phone]) -> list[Word]:
    """The words in whose time there is no phone."""
    starts = np.array([phone.start for phone in sounds])
    ends = np.array([phone.end for phone in sounds])
    return [
        word
        for word in words
        if not (np.minimum(ends, word.end) - np.maximum(starts, word.start) > _PRESENT).any()
    ]


def _pronounced(word: Word, language: str, measured: Measured) -> list[Phone]:
    """The sounds of a word, from its start to its end; none where there is nothing to say."""
    script = script_of([Cue(word.text)], language)
    if not script.pronunciations:
        return []
    return _found(word, script, measured) or _shared(word, script)


def _found(word: Word, script: Script, measured: Measured) -> list[Phone]:
    """The sounds where they are in the recording; none where they do not fit what is said."""
    first, last = round(word.start * FRAME_RATE), round(word.end * FRAME_RATE)
    frames = np.arange(max(first, 0), min(last, len(measured.gain)))
    if not len(frames):
        return []
    chunk = SpeechChunk(frames)
    aligner = Aligner(chain_of(script.pronunciations))
    scores = chunk.trim_context(senone_scores(chunk.with_context(measured.cepstra)))
    aligner.accept_scores(np.ascontiguousarray(scores))
    aligned = aligner.finish()
    if aligned is None:
        return []
    inside = aligned.words >= 0
    said = set(aligned.words[inside].tolist())
    whole = len(said) == len(script.pronunciations) and inside.mean() >= _SPOKEN
    if not whole or aligned.scores[inside].mean() < _FITS:
        return []
    # What is between the word's sounds belongs to the one before, so that they fill its time.
    phones = [phone for phone in aligned.phones if inside[phone.start]]
    edges = [word.start, *(float(frames[p.start]) / FRAME_RATE for p in phones[1:]), word.end]
    spans = itertools.pairwise(edges)
    return [Phone(phone.label, *span) for phone, span in zip(phones, spans, strict=True)]


def _shared(word: Word, script: Script) -> list[Phone]:
    """The sounds with the word's time shared among them."""
    labels = [sound.label for options in script.pronunciations for sound in options[0]]
    lengths = [_VOWEL if label in VOWELS else 1.0 for label in labels]
    shares = np.cumsum([0.0, *lengths]) / sum(lengths)
    edges = (word.start + shares * (word.end - word.start)).round(6).tolist()
    spans = itertools.pairwise(edges)
    return [Phone(label, *span) for label, span in zip(labels, spans, strict=True)]
