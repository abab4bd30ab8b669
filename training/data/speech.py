# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech with phone alignments on disk: a TextGrid or ``<stem>.phones.json`` beside the audio.

Both are those of :mod:`engine.recognition.segmentation`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.audio.loading import Speech, load_speech
from engine.core.errors import BadInputError
from engine.core.files import is_hidden
from engine.phonemes import Phone, Word
from engine.recognition.segmentation import SUFFIX as ALIGNMENT_SUFFIX
from engine.recognition.segmentation import find_segmentation, load_segmentation
from training.data.filmed_mouth import (
    FILM_SUFFIX,
    FilmedMouth,
    MouthCurve,
    film_path,
    load_filmed_mouth,
)

_AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".mp3", ".opus", ".m4a", ".aif", ".aiff", ".mp4"}
)
_SLACK = 0.1


@dataclass(frozen=True, eq=False)
class AlignedSpeech:
    """A clip with what was said in it.

    Attributes:
        path: the audio file.
        speech: the decoded clip.
        phones, words, transcript: as of :class:`engine.recognition.segmentation.Segmentation`; of
            a film without an alignment, what its text gives when it is aligned.
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
                and not is_hidden(file)
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
    return find_segmentation(audio.parent, audio.stem)


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
    alignment = load_segmentation(file)
    alignment.check_within(speech.duration, path.name)
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
