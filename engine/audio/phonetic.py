# SPDX-License-Identifier: GPL-3.0-or-later
"""The phonetic encoder: speech becomes phones with times, log-mel energies and loudness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.audio.activity import Activity, find_activity
from engine.audio.features import FRAME_RATE, features, frame_total
from engine.audio.loading import Speech
from engine.audio.recognition import SILENCE, aligned_phones, free_phones
from engine.audio.transcript import spoken_words
from engine.progress import Progress, silent
from engine.speech.performance import Phone

Float = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PhoneticEncoding:
    """What is spoken, and how loudly.

    Attributes:
        phones: contiguous, from 0 to exactly the clip's duration; ``SIL`` where nobody speaks.
        mel: (N, 40) float32 log-mel energies at 100 Hz of the levelled recording, N =
            round(duration · 100); the centre of frame i is (i + 0.5) / 100 s.
        energy: (N,) float32 in [0, 1]: loudness of the speech, 1 at this recording's loud voiced
            sounds, 0 outside speech and 45 dB below.
        warnings: things the user should know, one sentence each, the speech's own among them.
    """

    phones: tuple[Phone, ...]
    mel: Float
    energy: Float
    warnings: tuple[str, ...] = ()


_LOUD = -20.0
"""dB to which loud voiced frames are brought before recognition and in ``mel``."""

_DYNAMICS = 45.0
"""dB between energy 0 and 1."""

_MARGIN = 20
"""Frames of surrounding sound that the recogniser hears before and after a stretch."""

_LONGEST_ALIGNED = 12_000
"""Frames up to which a text is aligned."""

_LONGEST = 3_000
"""Frames of the longest piece recognised at once."""


def encode(
    speech: Speech, text: str | None = None, progress: Progress = silent
) -> PhoneticEncoding:
    """Find the phones of a recording.

    Args:
        speech: from :func:`engine.audio.loading.load_speech`.
        text: what is said, where it is known: the words are then aligned rather than guessed.
        progress: told how far the work is; may raise to cancel.
    """
    frames = frame_total(speech)
    progress(0.0, "Listening for speech")
    found = features(speech.samples, frames)
    activity = find_activity(found)
    gain = 10 ** ((_LOUD - activity.loud) / 20) if activity.regions else 1.0
    levelled = speech.samples * np.float32(gain)
    warnings = list(speech.warnings)
    words = spoken_words(text) if text else []
    phones = _aligned(levelled, words, activity) if words and activity.regions else None
    if phones is None:
        if text and text.strip():
            warnings.append("The text does not fit the sound; the phones were guessed without it.")
        phones = _guessed(levelled, activity, found.level, progress)
    progress(1.0, "Speech recognised")
    return PhoneticEncoding(
        _covering(phones, speech.duration),
        found.mel + np.float32(2 * np.log(gain)),
        _energy(found.level, activity),
        tuple(warnings),
    )


def _guessed(samples: Float, activity: Activity, level: Float, progress: Progress) -> list[Phone]:
    phones: list[Phone] = []
    pieces = _pieces(activity, level)
    for number, (start, stop) in enumerate(pieces):
        progress(0.1 + 0.9 * number / len(pieces), "Recognising speech")
        phones += _heard(samples, start, stop, free_phones)
    return phones


def _aligned(samples: Float, words: list[str], activity: Activity) -> list[Phone] | None:
    """The phones of the words between the first and the last sound of speech."""
    start, stop = activity.regions[0][0], activity.regions[-1][1]
    if stop - start > _LONGEST_ALIGNED:
        return None
    found: list[Phone] | None = []

    def align(piece: Float) -> list[Phone]:
        nonlocal found
        found = aligned_phones(piece, words)
        return found or []

    phones = _heard(samples, start, stop, align)
    return None if found is None else phones


def _heard(
    samples: Float, start: int, stop: int, recognise: Callable[[Float], list[Phone]]
) -> list[Phone]:
    """The phones in frames [start, stop), recognised with a margin of sound around them."""
    first = max(0, start - _MARGIN)
    offset = first / FRAME_RATE
    heard = recognise(samples[first * 160 : (stop + _MARGIN) * 160])
    shifted = [Phone(p.label, p.start + offset, p.end + offset) for p in heard]
    return _clipped(shifted, start / FRAME_RATE, stop / FRAME_RATE)


def _pieces(activity: Activity, level: Float) -> list[tuple[int, int]]:
    """The regions, long ones cut where they are quietest."""
    pieces = []
    for start, stop in activity.regions:
        while stop - start > _LONGEST:
            half = start + _LONGEST // 2
            cut = half + int(np.argmin(level[half : start + _LONGEST]))
            pieces.append((start, cut))
            start = cut  # noqa: PLW2901 - what is left of the region.
        pieces.append((start, stop))
    return pieces


def _clipped(phones: list[Phone], start: float, end: float) -> list[Phone]:
    return [
        Phone(p.label, max(p.start, start), min(p.end, end))
        for p in phones
        if p.label != SILENCE and p.end > start and p.start < end
    ]


def _covering(phones: list[Phone], duration: float) -> tuple[Phone, ...]:
    """Sorted phones made contiguous over [0, duration], gaps being silence."""
    covered: list[Phone] = []
    time = 0.0
    for label, start, end in phones:
        start, end = max(start, time), min(end, duration)  # noqa: PLW2901 - clipped.
        if end <= start:
            continue
        if start > time:
            covered.append(Phone(SILENCE, time, start))
        covered.append(Phone(label, start, end))
        time = end
    if time < duration:
        covered.append(Phone(SILENCE, time, duration))
    return tuple(covered)


def _energy(level: Float, activity: Activity) -> Float:
    energy = np.zeros_like(level)
    for start, stop in activity.regions:
        over = (level[start:stop] - (activity.loud - _DYNAMICS)) / _DYNAMICS
        energy[start:stop] = np.clip(over, 0.0, 1.0)
    return energy
