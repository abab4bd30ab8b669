# SPDX-License-Identifier: GPL-3.0-or-later
"""Praat's TextGrids: tiers of labelled intervals beside a recording.

The text file formats of the Praat manual ("TextGrid file formats"), long and short: both are the
same values in the same order, free-standing numbers, quoted texts (``""`` stands for a quote) and
flags in angle brackets; everything else, such as ``xmin =`` or ``intervals [3]:``, is for the eye.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

# Inside Blender the package round these has a name of Blender's choosing.
from ..core.errors import BadInputError  # noqa: TID252

SUFFIX = ".TextGrid"

_VALUE = re.compile(
    r'!.*|"(?P<text>(?:[^"]|"")*)"|(?<!\S)(?:(?P<flag><[a-z]+>)|(?P<number>[-+]?\d\S*))(?!\S)'
)
_LARGEST = 64 << 20
_LONGEST = 1e6
"""Seconds."""
_REMEDY = "Save it in Praat by 'Save as text file' or 'Save as short text file'."


class Interval(NamedTuple):
    """A labelled stretch of time: text as written, seconds."""

    text: str
    start: float
    end: float


class Tier(NamedTuple):
    """An interval tier.

    Attributes:
        name: as written.
        intervals: in order, without overlap.
    """

    name: str
    intervals: tuple[Interval, ...]


def read_text_grid(path: str | Path) -> tuple[Tier, ...]:
    """The interval tiers of a TextGrid file; point tiers are left out.

    UTF-8, UTF-16, and Latin-1 as older versions of Praat wrote it.

    Raises:
        BadInputError: missing, too large, no TextGrid in text form, or broken; names the file.
    """
    values = _Values(path, _decoded(path))
    if not values.text("the file type").startswith("ooTextFile"):
        values.fail("it is no text file of Praat")
    if (kind := values.text("the class")) != "TextGrid":
        values.fail(f"it holds a {kind!r}, not a TextGrid")
    values.number("the start")
    values.number("the end")
    if values.flag("whether there are tiers") != "<exists>":
        values.fail("it has no tiers")
    tiers = []
    for number in range(1, values.whole("the number of tiers") + 1):
        kind, name = values.text(f"the kind of tier {number}"), values.text(f"name {number}")
        values.number(f"the start of tier {name!r}")
        values.number(f"the end of tier {name!r}")
        size = values.whole(f"the size of tier {name!r}")
        if kind == "IntervalTier":
            tiers.append(Tier(name, tuple(values.intervals(name, size))))
        elif kind == "TextTier":
            for point in range(1, size + 1):
                values.number(f"time {point} of tier {name!r}")
                values.text(f"mark {point} of tier {name!r}")
        else:
            values.fail(f"there are no tiers of kind {kind!r}")
    return tuple(tiers)


def _decoded(path: str | Path) -> str:
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be read: {error.strerror}.", "Check the path."
        ) from None
    if len(data) > _LARGEST:
        raise BadInputError(f"{path} is larger than {_LARGEST >> 20} MB.", _REMEDY)
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


class _Values:
    """The values of the file, one after the other."""

    def __init__(self, path: str | Path, content: str) -> None:
        self._path = path
        self._found = _VALUE.finditer(content)

    def fail(self, reason: str) -> NoReturn:
        raise BadInputError(f"{self._path} cannot be read: {reason}.", _REMEDY)

    def _next(self, kind: str, what: str) -> str:
        match = next((match for match in self._found if match.lastgroup), None)
        if match is None:
            self.fail(f"it ends before {what}")
        if match.lastgroup != kind:
            self.fail(f"{what} is missing before {match[0][:20]!r}")
        return match[kind]

    def text(self, what: str) -> str:
        return self._next("text", what).replace('""', '"')

    def flag(self, what: str) -> str:
        return self._next("flag", what)

    def number(self, what: str) -> float:
        written = self._next("number", what)
        try:
            value = float(written)
        except ValueError:
            self.fail(f"{what} is {written[:20]!r}")
        if not math.isfinite(value) or abs(value) > _LONGEST:
            self.fail(f"{what} is {written[:20]}")
        return value

    def whole(self, what: str) -> int:
        value = self.number(what)
        if value < 0 or value != int(value):
            self.fail(f"{what} is {value:g}")
        return int(value)

    def intervals(self, tier: str, size: int) -> Iterator[Interval]:
        end = -math.inf
        for number in range(1, size + 1):
            what = f"interval {number} of tier {tier!r}"
            start, stop = self.number(f"the start of {what}"), self.number(f"the end of {what}")
            if start < end - 1e-6 or stop <= start:
                self.fail(f"{what} runs from {start:g} to {stop:g} s, the one before to {end:g} s")
            end = stop
            yield Interval(self.text(f"the text of {what}").strip(), start, stop)
