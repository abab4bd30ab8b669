# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech with phone alignments on disk: ``<stem>.wav`` beside ``<stem>.phones.json``.

The JSON is what PocketSphinx's aligner writes: an object with ``t`` (the transcript) and ``w``,
its words; each word has ``w``, its phones. Everything has ``b``, its begin, and ``d``, its
duration, in seconds; ``t`` of a phone is the ARPAbet label, ``SIL`` for silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from engine.audio.loading import Speech, load_speech
from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject, read_json
from engine.phonemes import Phone, normalize_label

ALIGNMENT_SUFFIX = ".phones.json"
_AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3"})
_LONGEST = 1e6
"""Seconds."""
_REMEDY = "It must be an alignment with words 'w' of phones 'w' with begin 'b' and duration 'd'."
_SLACK = 0.1


@dataclass(frozen=True, eq=False)
class AlignedSpeech:
    """A clip with what was said in it.

    Attributes:
        path: the audio file.
        speech: the decoded clip.
        phones: the sounds in order, ARPAbet without stress, silence as ``SIL``.
        transcript: the words.
    """

    path: Path
    speech: Speech
    phones: tuple[Phone, ...]
    transcript: str


def find_speech(paths: Iterable[str | Path]) -> tuple[Path, ...]:
    """The audio files among the paths; of folders, those inside that have an alignment.

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
                if file.suffix.lower() in _AUDIO_SUFFIXES and alignment_path(file).is_file()
            )
        elif path.exists():
            found.append(path)
        else:
            raise BadInputError(f"There is no file {path}.", "Check the path.")
    if not found:
        raise BadInputError(
            "No speech with alignments was found.",
            f"Give audio files that have <name>{ALIGNMENT_SUFFIX} beside them.",
        )
    return tuple(dict.fromkeys(found))


def alignment_path(audio: Path) -> Path:
    """Where the alignment of an audio file lies."""
    return audio.with_name(audio.stem + ALIGNMENT_SUFFIX)


def load_aligned_speech(path: str | Path) -> AlignedSpeech:
    """Read a clip and its alignment.

    Raises:
        BadInputError: the audio or the alignment is missing or unusable; names the file.
    """
    path = Path(path)
    speech = load_speech(path)
    alignment = alignment_path(path)
    phones, transcript = load_alignment(alignment)
    if phones[-1].end > speech.duration + _SLACK:
        raise BadInputError(
            f"{alignment} ends at {phones[-1].end:g} s, but {path.name} lasts "
            f"{speech.duration:g} s.",
            "Align this recording, not another one.",
        )
    return AlignedSpeech(path, speech, phones, transcript)


def load_alignment(path: Path) -> tuple[tuple[Phone, ...], str]:
    """Phones and transcript of an alignment file.

    Raises:
        BadInputError: no such file, no JSON, or not an alignment; names the file.
    """
    if not path.is_file():
        raise BadInputError(
            f"There is no alignment {path}.", "Lip sync is measured against known phones."
        )
    content = read_json(path, _REMEDY)
    transcript = content.text("t")
    phones = tuple(_phone(phone) for word in content.groups("w") for phone in word.groups("w"))
    if not phones:
        raise BadInputError(f"{path} holds no phones.", _REMEDY)
    for before, after in pairwise(phones):
        if after.start < before.end - 1e-6:
            raise BadInputError(f"The phones of {path} overlap at {after.start:g} s.", _REMEDY)
    return phones, transcript


def _phone(entry: JsonObject) -> Phone:
    start = entry.number("b", low=0, high=_LONGEST)
    duration = entry.number("d", low=1e-6, high=_LONGEST)
    # Times are written in hundredths; the sum of two of them is not quite one.
    return Phone(normalize_label(entry.text("t")), start, round(start + duration, 6))
