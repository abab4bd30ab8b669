# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos of several cameras in one time: which picture of each belongs to which of the first.

When each began is given, or found by their sound: the loudness of one is laid on that of the other
as the opening of a mouth is laid on a sound (:mod:`engine.motion.sound_offset`). Videos without
sound begin together, as cameras with a common trigger do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.audio.loading import SAMPLE_RATE, load_speech
from engine.core.arrays import Double
from engine.core.errors import BadInputError
from engine.motion.sound_offset import RATE, estimate_offset
from training.tracking.film import SHORTEST, Film
from training.tracking.film_sound import late_sound

_HINT = "Give the seconds by which each video begins after the first (--offsets 0 0.12 -0.3)."
_FLOOR = 1e-4
"""Amplitude (−80 dBFS) below which differences of loudness are noise."""


@dataclass(frozen=True)
class Simultaneous:
    """Videos in one time.

    Attributes:
        films: with the frames that all have; the rate is the first one's.
        offsets: seconds by which each begins after the first.
        notes: for the user, one sentence each.
    """

    films: tuple[Film, ...]
    offsets: tuple[float, ...]
    notes: tuple[str, ...]


def simultaneous(films: Sequence[Film], given: Sequence[float] = ()) -> Simultaneous:
    """The part of videos that all of them show.

    Args:
        films: the videos.
        given: seconds by which each begins after the first; else found by their sound.

    Raises:
        BadInputError: the sounds are not of one recording, or the videos have less than a second in
            common.
    """
    if len(films) == 1:
        return Simultaneous(tuple(films), (0.0,), ())
    offsets, notes = _offsets(films, given)
    start = max(offsets)
    end = min(at + film.frames / film.fps for at, film in zip(offsets, films, strict=True))
    if end - start < SHORTEST:
        last = films[int(np.argmax(offsets))]
        raise BadInputError(
            f"The videos have {max(0.0, end - start):.2f} s in common: {last.path} begins "
            f"{start - min(offsets):.2f} s after the first of them.",
            f"{SHORTEST:g} s are needed. {_HINT}",
        )
    fps = films[0].fps
    frames = max(1, round((end - start) * fps))
    timed = tuple(
        replace(film, fps=fps, begin=start - at, frames=frames, most=frames)
        for at, film in zip(offsets, films, strict=True)
    )
    return Simultaneous(timed, offsets, notes)


def _offsets(
    films: Sequence[Film], given: Sequence[float]
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    if given:
        return tuple(at - given[0] for at in given), ()
    if silent := [film.path.name for film in films if not film.sound]:
        note = f"Without sound in {', '.join(silent)} all videos are taken to begin together."
        return (0.0,) * len(films), (note,)
    first = _loudness(films[0])
    offsets = (0.0, *(_offset(films[0], first, film) for film in films[1:]))
    listed = ", ".join(
        f"{film.path.name} {at:+.2f} s" for film, at in zip(films[1:], offsets[1:], strict=True)
    )
    return offsets, (f"By their sound the videos begin after {films[0].path.name}: {listed}.",)


def _offset(first: Film, loudness: Double, film: Film) -> float:
    found = estimate_offset(_loudness(film), RATE, loudness)
    if not found.found:
        raise BadInputError(
            f"Where {film.path} lies in the time of {first.path} cannot be found by their sound "
            f"(correlation {found.correlation:.2f}, elsewhere {found.second:.2f}).",
            _HINT,
        )
    # From between the sounds to between the first pictures.
    return float(-found.seconds - late_sound(film) + late_sound(first))


def _loudness(film: Film) -> Double:
    """(N,) decibels at :data:`engine.motion.sound_offset.RATE`."""
    hop = round(SAMPLE_RATE / RATE)
    samples = load_speech(film.path).samples
    blocks = samples[: len(samples) // hop * hop].reshape(-1, hop).astype(np.float64)
    return np.asarray(20 * np.log10(np.sqrt(np.square(blocks).mean(1)) + _FLOOR))
