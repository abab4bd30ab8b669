# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech with phone alignments on disk: a TextGrid or ``<stem>.phones.json`` beside the audio.

The JSON is what PocketSphinx's aligner writes: an object with ``t`` (the transcript) and ``w``,
its words; each word has ``w``, its phones. Everything has ``b``, its begin, and ``d``, its
duration, in seconds; ``t`` of a phone is the ARPAbet label, ``SIL`` for silence. TextGrids are
Praat's, with tiers of phones and words (:mod:`.aligned_tiers`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from engine.audio.loading import Speech, load_speech
from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject, read_json
from engine.phonemes import Phone, Word, normalize_label
from training.data.aligned_tiers import is_word, phones_of, words_of
from training.data.filmed_mouth import (
    FILM_SUFFIX,
    FilmedMouth,
    MouthCurve,
    film_path,
    load_filmed_mouth,
)
from training.data.text_grid import read_text_grid

ALIGNMENT_SUFFIX = ".phones.json"
TEXT_GRID_SUFFIXES = (".TextGrid", ".textgrid")
_AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".mp3", ".opus", ".m4a", ".aif", ".aiff", ".mp4"}
)
_LONGEST = 1e6
"""Seconds."""
_REMEDY = "It must be an alignment with words 'w' of phones 'w' with begin 'b' and duration 'd'."
_SLACK = 0.1
_VARIANT = re.compile(r"\(\d+\)$")
"""Number of a pronunciation, which the dictionary puts behind a word: ``was(2)``."""


class Alignment(NamedTuple):
    """When a recording's phones and words fall.

    Attributes:
        phones: in order, without overlap; ARPAbet without stress, silence as ``SIL``.
        words: in order, without silences; none where the file has no tier of words.
        transcript: the words as a text.
    """

    phones: tuple[Phone, ...]
    words: tuple[Word, ...]
    transcript: str


@dataclass(frozen=True, eq=False)
class AlignedSpeech:
    """A clip with what was said in it.

    Attributes:
        path: the audio file.
        speech: the decoded clip.
        phones, words, transcript: as of :class:`Alignment`; of a film without an alignment, what
            its text gives when it is aligned.
        film: the speaker's mouth, where it was filmed.
    """

    path: Path
    speech: Speech
    phones: tuple[Phone, ...]
    transcript: str
    words: tuple[Word, ...] = ()
    film: MouthCurve | None = None


def find_speech(paths: Iterable[str | Path]) -> tuple[Path, ...]:
    """The audio files among the paths; of folders, those that have an alignment or a film.

    Raises:
        BadInputError: a path does not exist, or nothing was found.
    """
    found: list[Path] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            found += sorted(
                file
                for file in path.iterdir()
                if file.suffix.lower() in _AUDIO_SUFFIXES
                and (alignment_path(file).is_file() or film_path(file).is_file())
            )
        elif path.exists():
            found.append(path)
        else:
            raise BadInputError(f"There is no file {path}.", "Check the path.")
    if not found:
        raise BadInputError(
            "No speech with alignments was found.",
            f"Give audio files that have <name>.TextGrid, <name>{ALIGNMENT_SUFFIX} or "
            f"<name>{FILM_SUFFIX} beside them.",
        )
    return tuple(dict.fromkeys(found))


def alignment_path(audio: Path) -> Path:
    """The alignment beside an audio file: the JSON, else the TextGrid, else where the JSON goes."""
    wanted = audio.with_name(audio.stem + ALIGNMENT_SUFFIX)
    beside = [audio.with_name(audio.stem + suffix) for suffix in TEXT_GRID_SUFFIXES]
    return next((path for path in (wanted, *beside) if path.is_file()), wanted)


def load_aligned_speech(path: str | Path) -> AlignedSpeech:
    """Read a clip with its alignment, and its filmed mouth where there is one.

    Raises:
        BadInputError: the audio, or its alignment and its filmed mouth, are missing or unusable;
            names the file.
    """
    path = Path(path)
    speech = load_speech(path)
    file, film = alignment_path(path), film_path(path)
    filmed = load_filmed_mouth(film) if film.is_file() else None
    if filmed is not None and filmed.curve.times[-1] > speech.duration + _SLACK:
        raise BadInputError(
            f"{film} ends at {filmed.curve.times[-1]:g} s, but {path.name} lasts "
            f"{speech.duration:g} s.",
            "Take sound and mouth from the same film.",
        )
    if filmed is not None and not file.is_file():
        return _filmed_speech(path, speech, filmed)
    alignment = load_alignment(file)
    if alignment.phones[-1].end > speech.duration + _SLACK:
        raise BadInputError(
            f"{file} ends at {alignment.phones[-1].end:g} s, but {path.name} lasts "
            f"{speech.duration:g} s.",
            "Align this recording, not another one.",
        )
    curve = None if filmed is None else filmed.curve
    return AlignedSpeech(
        path, speech, alignment.phones, alignment.transcript, alignment.words, curve
    )


def _filmed_speech(path: Path, speech: Speech, filmed: FilmedMouth) -> AlignedSpeech:
    """A film's clip with its text aligned, or with what is recognised where it has none."""
    from engine.recognition.recognizer import recognize

    known = recognize(speech, filmed.text or None)
    said = filmed.text or " ".join(word.text for word in known.words)
    return AlignedSpeech(path, speech, known.phones, said, known.words, filmed.curve)


def load_alignment(path: Path) -> Alignment:
    """Phones and words of an alignment file.

    Raises:
        BadInputError: no such file, not an alignment, or broken; names the file.
    """
    if not path.is_file():
        raise BadInputError(
            f"There is no alignment {path}.",
            "Lip sync is measured against known phones: a TextGrid or a "
            f"<name>{ALIGNMENT_SUFFIX} beside the audio.",
        )
    if path.suffix.lower() == ".textgrid":
        tiers = read_text_grid(path)
        words = words_of(tiers)
        return Alignment(phones_of(tiers, path), words, " ".join(word.text for word in words))
    content = read_json(path, _REMEDY)
    entries = content.groups("w")
    phones = tuple(_phone(phone) for word in entries for phone in word.groups("w"))
    if not phones:
        raise BadInputError(f"{path} holds no phones.", _REMEDY)
    for before, after in pairwise(phones):
        if after.start < before.end - 1e-6:
            raise BadInputError(f"The phones of {path} overlap at {after.start:g} s.", _REMEDY)
    words = tuple(word for entry in entries if is_word((word := _word(entry)).text))
    return Alignment(phones, words, content.text("t"))


def _word(entry: JsonObject) -> Word:
    phones = [_phone(phone) for phone in entry.groups("w")]
    text = _VARIANT.sub("", entry.text("t"))
    return Word(text, phones[0].start, phones[-1].end) if phones else Word("", 0.0, 0.0)


def _phone(entry: JsonObject) -> Phone:
    start = entry.number("b", low=0, high=_LONGEST)
    duration = entry.number("d", low=1e-6, high=_LONGEST)
    # Times are written in hundredths; the sum of two of them is not quite one.
    return Phone(normalize_label(entry.text("t")), start, round(start + duration, 6))
