# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos of one person filmed one after another, as one film: each is a take of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.core.errors import BadInputError
from training.tracking.film import Film
from training.tracking.scan import Scan

_SAME_SHAPE = 0.01
"""Relative difference of width to height up to which pictures are of one shape."""
_MISSING = (0.5, 0.02)
"""Seconds and part of a film that may be missing from the end without a word."""
_SILENT = "It has no sound: there are views of it, and no recordings."


def alike(films: Sequence[Film]) -> tuple[Film, ...]:
    """Videos of one camera, with pictures of one size at one rate: those of the first.

    Args:
        films: the videos.

    Raises:
        BadInputError: pictures of another shape, which are of another camera or held otherwise.
    """
    first = films[0]
    for film in films[1:]:
        (width, height), (wide, high) = film.file_size, first.file_size
        if abs(width * high / (height * wide) - 1) > _SAME_SHAPE:
            raise BadInputError(
                f"{film.path} has {width}×{height} pixels, {first.path} {wide}×{high}: they are "
                "not of one camera, held the same way.",
                "Give videos of one camera, or with --cameras several that filmed at one time.",
            )
    return first, *(
        replace(
            film,
            width=first.width,
            height=first.height,
            fps=first.fps,
            frames=max(1, round(film.frames * first.fps / film.fps)),
            scale=first.width / film.file_size[0],
        )
        for film in films[1:]
    )


def joined(films: Sequence[Film], scans: Sequence[Scan]) -> tuple[Film, Scan]:
    """One film of several, and its scan; each film begins another take.

    Args:
        films: the videos, :func:`alike`.
        scans: what each shows.
    """
    films = [_as_decoded(film, len(found.state)) for film, found in zip(films, scans, strict=True)]
    if len(films) == 1:
        return films[0], scans[0]
    takes = tuple(replace(film, most=film.frames) for film in films)
    sound = any(take.sound for take in takes)
    notes = [(take, note) for take in takes for note in take.remarks]
    notes += [(take, _SILENT) for take in takes if sound and not take.sound]
    begins = np.cumsum([0, *(found.takes[-1] + 1 for found in scans)])
    whole = replace(
        takes[0],
        frames=sum(take.frames for take in takes),
        sound=sound,
        smeared=any(take.smeared for take in takes),
        notes=tuple(f"{take.path.name}: {note}" for take, note in notes),
        file_fps=0.0,
        takes=takes,
    )
    return whole, Scan(
        np.concatenate([found.points for found in scans]),
        np.concatenate([found.state for found in scans]),
        np.concatenate([found.takes + at for found, at in zip(scans, begins, strict=False)]),
        whole.fps,
        np.concatenate([found.trust for found in scans]),
        np.concatenate([found.sharpness for found in scans]),
        np.concatenate([found.smeared for found in scans]),
    )


def _as_decoded(film: Film, frames: int) -> Film:
    """A film with the number of pictures that were decoded, and a note where many are missing."""
    stated, found = film.frames / film.fps, frames / film.fps
    if stated - found <= max(_MISSING[0], _MISSING[1] * stated):
        return replace(film, frames=frames)
    note = (
        f"Its pictures end after {found:.1f} s of {stated:.1f} s: the file was cut off, or its "
        "sound is longer."
    )
    return replace(film, frames=frames, notes=(*film.notes, note))
