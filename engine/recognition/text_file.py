# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with what is said: plain text, and subtitles with times (SubRip .srt, WebVTT .vtt).

WebVTT: https://www.w3.org/TR/webvtt1/; SubRip has no standard, and files of it are read leniently.
The standard library alone: Blender imports this module.
"""

from __future__ import annotations

import codecs
import html
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

# Inside Blender the package round these has a name of Blender's choosing.
from ..core.errors import BadInputError  # noqa: TID252

MAX_BYTES = 16 << 20
"""Size of the largest file: a week of subtitles."""

SUFFIXES = (".txt", ".srt", ".vtt")

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[,.](\d{1,3})"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_STARTS_AS_TIME = re.compile(r"\s*\d{1,4}:\d\d:\d\d[,.]\d")
_TAG = re.compile(r"</?[a-zA-Z0-9][^<>]*>|\{\\[^{}]*\}")
"""``<i>``, ``<v Anna>``, ``<00:01.000>``; ``{\\an8}`` of SubStation Alpha."""
_SPEAKER = re.compile(r"^\s*(?:[-–—]\s*)?(?:[A-Z][A-Z0-9 .'’-]*:\s)?\s*")
"""The dash before a change of speaker, and a name in capitals."""
_NOT_SPOKEN = re.compile(r"[♪♫#]+")
_BLOCKS = ("NOTE", "STYLE", "REGION")


class Cue(NamedTuple):
    """A stretch of text with the seconds of the recording within which it is said."""

    text: str
    start: float = -math.inf
    end: float = math.inf


def read_text_file(path: str | Path) -> tuple[Cue, ...]:
    """What is said, from a file.

    Args:
        path: ``.srt`` or ``.vtt`` with times; any other file is text without. UTF-8, UTF-16 or
            UTF-32 with or without a byte order mark, else Windows' Western encoding.

    Returns:
        The cues in the order of their times; one without times for plain text.

    Raises:
        BadInputError: no such file, no text, or a line that no such file has; names file and line.
    """
    path = Path(path)
    text = _decoded(path, _content(path))
    if path.suffix.lower() not in (".srt", ".vtt"):
        return (Cue(text),)
    cues = _cues(path, text.splitlines(), webvtt=path.suffix.lower() == ".vtt")
    if not cues:
        raise BadInputError(
            f"{path} holds no cue with a text.",
            "A cue is a line '00:00:01,000 --> 00:00:02,500' with lines of text under it.",
        )
    return tuple(sorted(cues, key=lambda cue: cue.start))


def shifted(cues: Iterable[Cue], start: float, duration: float) -> tuple[Cue, ...]:
    """The cues of the stretch of a recording that begins at ``start`` seconds, in its own time."""
    moved = (cue._replace(start=cue.start - start, end=cue.end - start) for cue in cues)
    return tuple(cue for cue in moved if cue.end > 0 and cue.start < duration)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(
            f"The text file {path} cannot be read: {reason}.", "Check the path."
        ) from error
    if len(data) > MAX_BYTES:
        raise BadInputError(
            f"{path} has more than {MAX_BYTES >> 20} MB: that is no text of a recording.",
            "Give the text of this recording alone.",
        )
    return data


def _decoded(path: Path, data: bytes) -> str:
    mark, encoding = next((known for known in _BOMS if data.startswith(known[0])), (b"", ""))
    data = data[len(mark) :]
    for candidate in [encoding] if encoding else _candidates(data):
        try:
            text = data.decode(candidate)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
        else:
            line = text.count("\n", 0, text.find("\0")) + 1
            if "\0" not in text:
                return text
    raise BadInputError(
        f"{path}, line {line}: there are bytes that are no text.", "Save it as text in UTF-8."
    )


def _candidates(data: bytes) -> tuple[str, ...]:
    """Encodings that a file without a mark may have, the likeliest first."""
    start = data[:4096]
    zeros = start[::2].count(0), start[1::2].count(0)
    if max(zeros) > len(start) / 8 and len(data) % 2 == 0:
        return ("utf-16-be",) if zeros[0] > zeros[1] else ("utf-16-le",)
    return ("utf-8", "cp1252")


def _cues(path: Path, lines: list[str], *, webvtt: bool) -> list[Cue]:
    if webvtt and not re.match(r"WEBVTT(\s|$)", lines[0] if lines else ""):
        raise BadInputError(
            f"{path}, line 1: a WebVTT file begins with WEBVTT.", "Export the subtitles again."
        )
    cues: list[Cue] = []
    timing = None
    skipping = webvtt
    for number, line in enumerate(lines, 1):
        if not line.strip():
            # A cue of SubRip may hold empty lines; what follows one still belongs to it.
            skipping = False
        elif "-->" in line or _STARTS_AS_TIME.match(line):
            timing = _timing(path, number, line)
            cues.append(Cue("", *timing))
            skipping = False
        elif webvtt and line.split()[0] in _BLOCKS:
            skipping = True
        elif (
            skipping or _is_identifier(lines, number) or (timing is None and line.strip().isdigit())
        ):
            continue
        elif timing is None:
            raise BadInputError(
                f"{path}, line {number}: there is text before the first time.",
                "Above each text stands a line such as '00:00:01,000 --> 00:00:02,500'.",
            )
        else:
            cues[-1] = cues[-1]._replace(text=f"{cues[-1].text} {_spoken(line)}".strip())
    return [cue for cue in cues if cue.text]


def _is_identifier(lines: list[str], number: int) -> bool:
    """Whether a line, counted from 1, stands over a cue's times as its number or name."""
    return number < len(lines) and "-->" in lines[number]


def _timing(path: Path, number: int, line: str) -> tuple[float, float]:
    found = _TIMING.fullmatch(line)
    if found is None:
        raise BadInputError(
            f"{path}, line {number}: {line.strip()[:60]!r} is no time.",
            "It must look like '00:00:01,000 --> 00:00:02,500'.",
        )
    start, end = _seconds(*found.groups()[:4]), _seconds(*found.groups()[4:])
    if end < start:
        raise BadInputError(
            f"{path}, line {number}: the cue ends at {end:g} s, before it starts at {start:g} s.",
            "Mend the times.",
        )
    return start, end


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    return 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds) + float(f"0.{fraction}")


def _spoken(line: str) -> str:
    """A line of a cue without markup, speakers' names and notes of music."""
    plain = html.unescape(_TAG.sub("", line))
    return _SPEAKER.sub("", _NOT_SPOKEN.sub(" ", plain), count=1).strip()
