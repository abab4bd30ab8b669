# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said in a video: recordings cut at pauses, and when the lips close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from engine.audio.loading import load_speech
from engine.core.arrays import Double
from engine.core.errors import BadInputError
from engine.core.files import atomic_write
from engine.core.progress import Progress
from engine.motion.rules.contacts import contact_curves, phones_in_silence
from engine.phonemes import SILENCE, Phone, Word
from engine.recognition.recognizer import recognize

_SHORTEST, _LONGEST = 4.0, 20.0
"""Seconds of a recording: cut at pauses once it is so long, anywhere when it gets longer."""
_PAUSE = 0.25
_SILENT, _HOLDS_NOTHING = 1.0, 1e-4
"""Seconds and amplitude, -80 dB, from which and up to which a sound track holds nothing: any
microphone that is on makes more noise."""


@dataclass(frozen=True, eq=False)
class Said:
    """What is said.

    Attributes:
        phones: contiguous over the sound.
        words: timed.
        language: ISO 639 code; empty where unknown.
        closure: (T,) how far p, b and m close the lips at each frame, 0 to 1.
        warnings: for the user.
    """

    phones: tuple[Phone, ...]
    words: tuple[Word, ...]
    language: str
    closure: Double
    warnings: tuple[str, ...]


def listen(
    sound: Path,
    text: str | None,
    frames: int,
    fps: float,
    progress: Progress,
    *,
    begins: Sequence[int] = (0,),
    language: str = "",
) -> Said:
    """Recognise a video's sound.

    Args:
        sound: as :func:`training.tracking.film_sound.write_sound` left it.
        text: what is said, where the user knows.
        frames: of the video.
        fps: frames per second.
        progress: called with the share done; may raise to cancel.
        begins: first frames of videos that follow each other; no lips close for the next one's.
        language: what is spoken, an ISO 639 code; found out where it is empty.

    Raises:
        BadInputError: the sound cannot be used.
    """
    speech = load_speech(sound)
    known = recognize(speech, text, progress, language=language or None)
    closures = []
    for first, last in pairwise([*begins, frames]):
        phones = phones_between(known.phones, first / fps, last / fps)
        alone = phones_in_silence(phones, (last - first) / fps)
        closures.append(contact_curves(alone, last - first, fps, 1.0).closure)
    return Said(
        known.phones,
        known.words,
        known.language or language,
        np.concatenate(closures).astype(np.float64),
        known.warnings,
    )


def cut_at_pauses(
    said: Said, frames: int, fps: float, begins: Sequence[int] = (0,)
) -> list[tuple[int, int]]:
    """First and last (exclusive) frames of recordings, which together are the whole.

    Args:
        said: of the sound.
        frames: of the video.
        fps: frames per second.
        begins: first frames of videos that follow each other, in which no recording is of two.
    """
    pauses = [
        0.5 * (phone.start + phone.end)
        for phone in said.phones
        if phone.label == SILENCE and phone.end - phone.start >= _PAUSE
    ]
    edges = [frame / fps for frame in (*begins, frames)]
    cuts = [cut for first, end in pairwise(edges) for cut in _cuts(pauses, first, end)]
    ends = [*cuts[1:], edges[-1]]
    return [(round(a * fps), round(b * fps)) for a, b in zip(cuts, ends, strict=True)]


def _cuts(pauses: Sequence[float], first: float, end: float) -> list[float]:
    """Where recordings of a stretch begin, seconds."""
    cuts, last = [first], first
    for pause in [*(pause for pause in pauses if first < pause < end), end]:
        while pause - last > _LONGEST:
            last += _LONGEST
            cuts.append(last)
        if pause - last >= _SHORTEST and end - pause >= _SHORTEST:
            last = pause
            cuts.append(last)
    return cuts


def write_segment(sound: Path, path: Path, first: int, last: int, fps: float) -> None:
    """The sound of some frames.

    Args:
        sound: of the whole video.
        path: ``.wav``.
        first: frame.
        last: frame, exclusive.
        fps: frames per second.

    Raises:
        BadInputError: the sound cannot be read.
    """
    try:
        with soundfile.SoundFile(sound) as source:
            source.seek(round(first / fps * source.samplerate))
            samples = source.read(round((last - first) / fps * source.samplerate), dtype="int16")
            rate = source.samplerate
    except (soundfile.SoundFileError, OSError) as error:
        raise BadInputError(f"{sound} cannot be read.", "Track the video again.") from error
    with atomic_write(path) as temporary:
        soundfile.write(temporary, samples, rate, subtype="PCM_16")


def silent_frames(sound: Path, frames: int, fps: float) -> NDArray[np.bool_]:
    """(T,) whether a frame lies where the sound holds nothing for a second and more.

    Args:
        sound: of the whole video.
        frames: of the video.
        fps: frames per second.

    Raises:
        BadInputError: the sound cannot be read.
    """
    try:
        with soundfile.SoundFile(sound) as source:
            edges = np.round(np.arange(1, frames + 1) / fps * source.samplerate).astype(int)
            counts = np.diff(edges, prepend=0)
            empty = np.array(
                [np.abs(source.read(n, dtype="float32")).max(initial=0) for n in counts]
            )
    except (soundfile.SoundFileError, OSError) as error:
        raise BadInputError(f"{sound} cannot be read.", "Track the video again.") from error
    silent: NDArray[np.bool_] = empty < _HOLDS_NOTHING
    changes = np.diff(silent.astype(np.int8), prepend=0, append=0)
    for begin, end in np.flatnonzero(changes).reshape(-1, 2).tolist():
        if end - begin < _SILENT * fps:
            silent[begin:end] = False
    return silent


def words_between(words: Sequence[Word], start: float, end: float) -> tuple[Word, ...]:
    """The words of a stretch, in its own time."""
    return tuple(
        word._replace(start=word.start - start, end=word.end - start)
        for word in words
        if word.start >= start - 1e-6 and word.end <= end + 1e-6
    )


def phones_between(phones: Sequence[Phone], start: float, end: float) -> tuple[Phone, ...]:
    """The phones of a stretch, in its own time, those at its ends cut."""
    return tuple(
        phone._replace(start=max(phone.start, start) - start, end=min(phone.end, end) - start)
        for phone in phones
        if phone.end > start and phone.start < end
    )
