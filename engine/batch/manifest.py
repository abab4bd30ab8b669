# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests of lines: CSV with a header, or JSON Lines; every error names file, line and column."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from engine.batch.lines import KINDS, PERFORMANCE, BatchLine
from engine.core.checks import shown
from engine.core.errors import BadInputError
from engine.core.json_values import parse_json
from engine.core.timing import MAX_FPS, MIN_FPS
from engine.motion.model.ids import MODELS
from engine.motion.style import Style
from engine.rendering.picture_size import picture_size

MAX_BYTES = 256 << 20
"""The largest manifest that is read: some million lines."""

_TEXTS = ("text", "language", "person", "head", "speech_model")
_PATHS = ("character", "mapping")
_STYLE = tuple(
    field.name for field in fields(Style) if isinstance(field.default, float | int | str)
)
COLUMNS = ("sound", "name", *_TEXTS, *_PATHS, "fps", "outputs", "size", *_STYLE)
"""Columns of a manifest; ``sound`` is needed, the others have defaults."""

_LISTED = re.compile(r"[\s,;+]+")
_NAME = re.compile(r"[^\x00-\x1f\x7f\\:*?\"<>|]{1,200}")
_SHIPPED = ("default", *MODELS)


@dataclass(frozen=True)
class Defaults:
    """What a line has where its manifest does not say it; as :class:`BatchLine`."""

    outputs: tuple[str, ...] = (PERFORMANCE,)
    person: str = "default"
    head: str | None = None
    fps: float = 25.0
    size: tuple[int, int] = (720, 720)


def read_manifest(path: Path, defaults: Defaults) -> list[BatchLine]:
    """Read the lines of a manifest; file names in it start from its folder.

    Args:
        path: ``.csv`` with a header of :data:`COLUMNS`, or ``.jsonl`` with an object a line.
        defaults: of all lines.

    Raises:
        BadInputError: another kind of file, none, one that is damaged, an unknown column, a value
            that cannot be, or two lines of one name; names the file, the line and the column.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".jsonl"):
        raise BadInputError(f"{path} is no manifest.", "Give a .csv with a header, or a .jsonl.")
    text = _text(path)
    rows = _csv_rows(path, text) if kind == ".csv" else _json_rows(path, text)
    lines: list[BatchLine] = []
    known: dict[str, int] = {}
    for row in rows:
        line = row.line(defaults)
        # Windows and macOS take names that differ in case alone for one.
        earlier = known.setdefault(line.name.casefold(), line.number)
        if earlier != line.number:
            raise row.wrong(
                "name", f"line {earlier} is called {shown(line.name)}, too", "Name them."
            )
        lines.append(line)
    if not lines:
        raise BadInputError(f"{path} has no lines.", "Write one for each recording.")
    return lines


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise BadInputError(f"There is no manifest {path}.", "Check the path.") from None
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.", "Check it.") from error
    if len(data) > MAX_BYTES:
        raise BadInputError(f"{path} is larger than {MAX_BYTES >> 20} MB.", "Split it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise BadInputError(
            f"{path}, line {number}: byte {column} is not UTF-8.", "Save it as UTF-8."
        ) from error


@dataclass(frozen=True)
class _Row:
    """A row and where it stands.

    Attributes:
        path: of the manifest.
        number: of its first line in the file.
        values: by column; empty texts and nulls are left out.
    """

    path: Path
    number: int
    values: Mapping[str, Any]

    def wrong(self, column: str, what: str, hint: str = "") -> BadInputError:
        """The error that a value cannot be."""
        where = f"{self.path}, line {self.number}, column {column!r}"
        return BadInputError(f"{where}: {what}.", hint)

    def line(self, defaults: Defaults) -> BatchLine:
        """The row as a line."""
        for column in self.values:
            if column not in COLUMNS:
                raise self.wrong(
                    column, "no such column", f"Columns are {', '.join(COLUMNS[:13])} …."
                )
        if "sound" not in self.values:
            raise self.wrong("sound", "it is empty", "Name the recording.")
        sound = self._path("sound")
        assert sound is not None
        person = self._named("person")
        return BatchLine(
            number=self.number,
            name=self._name(sound),
            sound=sound,
            text=self._text("text"),
            language=self._text("language"),
            person=person or defaults.person,
            head=self._named("head") or (None if person else defaults.head),
            model=self._named("speech_model") or "",
            character=self._path("character"),
            mapping=self._path("mapping"),
            fps=self._number("fps", defaults.fps, MIN_FPS, MAX_FPS),
            size=self._size(defaults.size),
            outputs=self._outputs(defaults.outputs),
            style=self._style(),
        )

    def _text(self, column: str) -> str | None:
        value = self.values.get(column)
        if value is None or isinstance(value, str):
            return value
        raise self.wrong(column, f"{shown(value)} is no text")

    def _path(self, column: str) -> Path | None:
        value = self._text(column)
        if value is not None and "\0" in value:
            raise self.wrong(column, f"{shown(value)} is no file name")
        return None if value is None else self.path.resolve().parent / value

    def _named(self, column: str) -> str | None:
        """What ships by its name, else a path."""
        value = self._text(column)
        if value is None or value.partition("#")[0] in _SHIPPED:
            return value
        return str(self._path(column))

    def _name(self, sound: Path) -> str:
        value = self._text("name") or sound.stem
        parts = value.split("/")
        bad = any(part != part.strip() or part.startswith(".") or not part for part in parts)
        if bad or not _NAME.fullmatch(value):
            raise self.wrong(
                "name", f"{shown(value)} can be no file's name", "Use letters and digits."
            )
        return value

    def _number(self, column: str, default: float, low: float, high: float) -> float:
        value = self.values.get(column, default)
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not low <= number <= high:
            raise self.wrong(column, f"{shown(value)} is no number from {low:g} to {high:g}")
        return number

    def _size(self, default: tuple[int, int]) -> tuple[int, int]:
        value = self._text("size")
        if value is None:
            return default
        try:
            return picture_size(value)
        except BadInputError as error:
            raise self.wrong("size", error.message.removesuffix("."), error.hint) from error

    def _outputs(self, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self.values.get("outputs")
        if value is None:
            return default
        listed = value if isinstance(value, list) else _LISTED.split(str(value).strip())
        try:
            return checked_kinds(listed)
        except BadInputError as error:
            raise self.wrong("outputs", error.message.removesuffix("."), error.hint) from error

    def _style(self) -> Style:
        given: dict[str, Any] = {}
        for column in _STYLE:
            if column not in self.values:
                continue
            default = getattr(Style, column)
            if isinstance(default, str):
                given[column] = self._text(column)
            else:
                number = self._number(column, default, -(2.0**53), 2.0**53)
                given[column] = int(number) if isinstance(default, int) else number
            try:
                Style(**given)
            except BadInputError as error:
                raise self.wrong(column, error.message.removesuffix("."), error.hint) from error
        return Style(**given)


def checked_kinds(kinds: list[Any] | tuple[str, ...]) -> tuple[str, ...]:
    """Kinds of outputs, each once.

    Raises:
        BadInputError: an unknown one.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise BadInputError(
                f"{shown(kind)} is no kind of output.", f"Kinds are {', '.join(KINDS)}."
            )
    return tuple(dict.fromkeys(kinds))


def _csv_rows(path: Path, text: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    start = 1
    try:
        for values in reader:
            number, start = start, reader.line_num + 1
            if not any(value.strip() for value in values):
                continue
            if header is None:
                header = [value.strip() for value in values]
                _check_header(path, number, header)
                continue
            if len(values) > len(header):
                raise BadInputError(
                    f"{path}, line {number}: it has {len(values)} columns, the header has "
                    f"{len(header)}.",
                    "Put a text with commas between double quotes.",
                )
            pairs = zip(header, values, strict=False)
            yield _Row(path, number, {key: value for key, value in pairs if value.strip()})
    except csv.Error as error:
        raise BadInputError(
            f"{path}, line {start}: {error}.", "Save it as CSV with commas and double quotes."
        ) from error


def _check_header(path: Path, number: int, header: list[str]) -> None:
    unknown = next((name for name in header if name not in COLUMNS), None)
    twice = next((name for name in header if header.count(name) > 1), None)
    where = f"{path}, line {number}"
    if unknown is not None:
        column = header.index(unknown) + 1
        raise BadInputError(
            f"{where}, column {column}: there is no column called {shown(unknown)}.",
            f"Columns are {', '.join(COLUMNS[:13])} ….",
        )
    if twice is not None:
        raise BadInputError(f"{where}: two columns are called {twice!r}.", "Leave one out.")
    if "sound" not in header:
        raise BadInputError(f"{where}: no column is called 'sound'.", "Begin with a header.")


def _json_rows(path: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = parse_json(line)
        except ValueError as error:
            column = getattr(error, "colno", 1)
            raise BadInputError(
                f"{path}, line {number}, character {column}: it is no JSON: "
                f"{getattr(error, 'msg', error)}.",
                "Write one object a line.",
            ) from error
        if not isinstance(values, dict):
            raise BadInputError(f"{path}, line {number}: it is no JSON object.", "Write one.")
        yield _Row(path, number, {key: v for key, v in values.items() if v not in (None, "")})
