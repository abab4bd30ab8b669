# SPDX-License-Identifier: GPL-3.0-or-later
"""The mouth of a filmed speaker beside the sound: ``<stem>.mouth.json``.

A JSON object with ``fps``, the frames per second; ``opening_mm``, a number for each frame, the
distance of the inner lips at the middle (landmarks 13 and 14 of MediaPipe's face mesh); and
``width_mm``, the distance of the mouth corners (61 and 291). Both are in millimetres where the
outer corners of the eyes (33 and 263) are 90 mm apart, for a film knows no size, and null where a
frame shows no face. ``text``, what is said, may be there; other keys are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.core.arrays import Double
from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject, read_json

FILM_SUFFIX = ".mouth.json"
_REMEDY = (
    "It must have 'fps', and 'opening_mm' and 'width_mm' with a number for each frame, or null "
    "where it shows no face."
)
_FILM = "Film a sentence, the face in the picture."
_LEAST_FPS, _MOST_FPS = 12.0, 240.0
_SHORTEST = 1.0
"""Seconds, over which movements can be compared."""
_WIDEST = 500.0
"""Millimetres; no mouth between eyes 90 mm apart comes near it."""


@dataclass(frozen=True, eq=False)
class MouthCurve:
    """A mouth over time, in mm where the outer eye corners are 90 mm apart.

    Attributes:
        fps: frames per second; frame i is at i / fps seconds.
        opening: (T,) distance of the inner lips at the middle; NaN where no face was seen.
        width: (T,) distance of the mouth corners seen from in front; NaN in the same frames.
    """

    fps: float
    opening: Double
    width: Double

    @property
    def times(self) -> Double:
        """(T,) seconds of the frames."""
        return np.arange(len(self.opening)) / self.fps


@dataclass(frozen=True, eq=False)
class FilmedMouth:
    """The mouth of a film, and what is said in it; an empty text where the file has none."""

    curve: MouthCurve
    text: str


def film_path(audio: Path) -> Path:
    """Where the filmed mouth of an audio file lies."""
    return audio.with_name(audio.stem + FILM_SUFFIX)


def load_filmed_mouth(path: Path) -> FilmedMouth:
    """Read the mouth of a film.

    Raises:
        BadInputError: no such file, no JSON, a key is missing or wrong, or the lists differ in
            length, or are too short; names the file.
    """
    content = read_json(path, _REMEDY)
    fps = content.number("fps", low=_LEAST_FPS, high=_MOST_FPS)
    opening, width = _curve(content, "opening_mm"), _curve(content, "width_mm")
    if len(opening) != len(width):
        raise BadInputError(f"{path} has {len(opening)} openings and {len(width)} widths.", _REMEDY)
    lost = np.isnan(opening) | np.isnan(width)
    if np.count_nonzero(~lost) < _SHORTEST * fps:
        raise BadInputError(f"{path} shows a face for less than {_SHORTEST:g} s.", _FILM)
    opening[lost] = width[lost] = np.nan
    return FilmedMouth(MouthCurve(fps, opening, width), content.text("text", ""))


def _curve(content: JsonObject, name: str) -> Double:
    listed = content.values.get(name)
    if not isinstance(listed, list) or not listed:
        raise content.wrong(f"{name!r} is no list of numbers")
    seen = [value is not None for value in listed]
    there = {name: [value for value in listed if value is not None]}
    known = JsonObject(there, content.where, _REMEDY)
    values = np.full(len(listed), np.nan)
    values[seen] = known.numbers(name, sum(seen))
    if np.any((values < 0) | (values > _WIDEST)):
        raise content.wrong(f"{name!r} leaves 0 to {_WIDEST:g} mm")
    return values
