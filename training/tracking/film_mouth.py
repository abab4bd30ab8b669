# SPDX-License-Identifier: GPL-3.0-or-later
"""The mouth of a speaker on film, as :mod:`training.data.filmed_mouth` stores it, with its sound.

No head is fitted: the landmarks of the lips are measured against the distance of the outer eye
corners, so what comes out owes nothing to this project's head or models.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import label

from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from training.data.filmed_mouth import film_path
from training.run.checkpoints import write_json
from training.tracking.film import open_film, pictures
from training.tracking.film_sound import write_sound
from training.tracking.landmarks import (
    INNER_LOWER,
    INNER_UPPER,
    OUTER_UPPER,
    LandmarkDetector,
    eye_distance,
)

_APART_MM = 90.0
"""Between the outer corners of the eyes; the default head's are as far."""
_MIDDLE = len(INNER_UPPER) // 2
_FACELESS = 0.5
"""Part of the pictures that may show no face."""
_BRIDGED = 0.2
"""Seconds without a face over which the mouth is taken to move evenly; longer ones stay unknown."""
_LARGEST = 1280


def measure_mouth(
    video: Path,
    folder: Path,
    detector: LandmarkDetector,
    text: str = "",
    progress: Progress = no_progress,
) -> Path:
    """Write the sound of a video and its speaker's mouth, ``NAME.wav`` and ``NAME.mouth.json``.

    Args:
        video: one talking head; of several the largest face counts.
        folder: where to write.
        detector: of landmarks, made for this video.
        text: what is said, where it is known.
        progress: called with the share done; may raise to cancel.

    Returns:
        The sound.

    Raises:
        BadInputError: no such video, no sound, or no face in half of its pictures.
    """
    film = open_film(video, _LARGEST)
    if not film.sound:
        raise BadInputError(f"{video} has no sound.", "Give a video of somebody who speaks.")
    rows: list[tuple[float, float]] = []
    for number, picture in pictures(film):
        progress(min(number / max(1, film.frames), 1.0), f"Measuring the mouth in {video.name}")
        faces = detector.detect(picture, number / film.fps)
        rows.append(_opening_and_width(faces[0].points) if faces else (np.nan, np.nan))
    opening, width = np.array(rows, np.float64).T
    lost = np.isnan(opening)
    if lost.mean() > _FACELESS:
        raise BadInputError(
            f"{video} shows no face in {lost.sum()} of {len(lost)} pictures.",
            "Film one face, near and from in front.",
        )
    sound = folder / f"{video.stem}.wav"
    folder.mkdir(parents=True, exist_ok=True)
    write_sound(film, sound, len(rows))
    content = {
        "fps": film.fps,
        "text": text,
        "opening_mm": _bridged(opening, lost, film.fps),
        "width_mm": _bridged(width, lost, film.fps),
        "detector": detector.name,
    }
    write_json(film_path(sound), content)
    progress(1.0, f"Mouth in {video.name} measured")
    return sound


def _opening_and_width(points: Float) -> tuple[float, float]:
    """Millimetres between the inner lips at the middle, and between the mouth's corners."""
    scale = _APART_MM / max(float(eye_distance(points)), 1e-6)
    pairs = ((INNER_UPPER[_MIDDLE], INNER_LOWER[_MIDDLE]), (OUTER_UPPER[0], OUTER_UPPER[-1]))
    opening, width = (scale * float(np.linalg.norm(points[a] - points[b])) for a, b in pairs)
    return opening, width


def _bridged(
    values: Double, lost: np.ndarray[tuple[int], np.dtype[np.bool_]], fps: float
) -> list[float | None]:
    """The values, even over short gaps between others, and None in longer ones."""
    every = np.arange(len(values))
    filled = np.interp(every, every[~lost], values[~lost])
    gaps, count = label(lost)
    lengths = np.bincount(gaps, minlength=count + 1)
    unknown = lost & (lengths[gaps] > _BRIDGED * fps)
    return [
        None if gone else round(float(value), 3)
        for value, gone in zip(filled, unknown, strict=True)
    ]
