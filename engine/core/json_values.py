# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON from outside (files, requests, metadata): bounded, and read by name and type."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .checks import check_range, shown
from .errors import BadInputError
from .platforms import retry_while_open

MAX_BYTES = 64 << 20
"""The largest JSON file that is read; the transforms of 100,000 pictures take 60 MB."""
LARGEST_WHOLE = 2**53
"""JSON numbers are float64 to most readers: whole numbers are exact up to here."""

_ABSENT: Any = object()


def parse_json(data: str | bytes) -> Any:
    """JSON as Python values.

    Raises:
        ValueError: anything that is not JSON of RFC 8259 (``NaN`` is not), or nested too deeply.
    """
    try:
        return json.loads(data, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def without_nan(content: Any) -> Any:
    """The values with ``None`` for numbers that JSON has no word for: NaN and the infinities."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    return content


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def read_json(
    path: str | Path, remedy: str = "", max_bytes: int = MAX_BYTES, *, of_list: str = ""
) -> JsonObject:
    """Read a file that holds one JSON object, UTF-8.

    Args:
        path: the file.
        remedy: the hint of every error about its content.
        max_bytes: larger files are refused unread.
        of_list: key under which a list stands that a file holds in place of an object; files of
            lists are refused without it.

    Raises:
        BadInputError: missing, too large, not JSON, or no object; names the file.
    """
    try:
        with retry_while_open(lambda: Path(path).open("rb")) as stream:
            data = stream.read(max_bytes + 1)
        values = parse_json(data.decode("utf-8-sig")) if len(data) <= max_bytes else None
    except FileNotFoundError:
        raise BadInputError(f"There is no file {path}.", remedy or "Check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"{path} cannot be read: {reason}.", remedy) from error
    if len(data) > max_bytes:
        raise BadInputError(f"{path} is larger than {max_bytes >> 20} MB.", remedy)
    if of_list and isinstance(values, list):
        values = {of_list: values}
    return JsonObject(values, str(path), remedy)


class JsonObject:
    """A JSON object whose values are read by name and type.

    Every method raises :class:`BadInputError` that names the object and the key; a ``default`` is
    returned where the key is missing or null.

    Args:
        values: the parsed object.
        where: what the values belong to, for messages: a file, or a request's method.
        remedy: the hint of every error.
    """

    def __init__(self, values: Any, where: str, remedy: str = "") -> None:
        if not isinstance(values, dict):
            raise BadInputError(f"{where} is no JSON object.", remedy)
        self._values: Mapping[str, Any] = values
        self._where = where
        self._remedy = remedy
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    @property
    def values(self) -> Mapping[str, Any]:
        """The parsed object itself, unchecked."""
        return self._values

    @property
    def where(self) -> str:
        """What the values belong to, for messages."""
        return self._where

    def text(self, name: str, default: str | None = _ABSENT) -> Any:
        """A text."""
        value = self._take(name, default)
        if value is default or isinstance(value, str):
            return value
        raise self._wrong(name, "a text", value)

    def label(self, name: str, default: str = _ABSENT) -> str:
        """A text, or a whole number as text: names that other programs also number."""
        value = self._take(name, default)
        if isinstance(value, str) or type(value) is int:
            return str(value)
        raise self._wrong(name, "a text", value)

    def number(
        self,
        name: str,
        default: float | None = _ABSENT,
        low: float = -math.inf,
        high: float = math.inf,
    ) -> Any:
        """A finite number within ``[low, high]`` as float."""
        value = self._take(name, default)
        if value is default:
            return value
        return check_range(f"{self._where}: {name!r}", value, low, high, self._remedy)

    def whole(self, name: str, default: int | None = _ABSENT, low: int = 0, high: int = 0) -> Any:
        """A whole number within ``[low, high]`` (high: 2⁵³ where it is not given) as int."""
        value = self._take(name, default)
        if value is default:
            return value
        high = high or LARGEST_WHOLE
        number = check_range(f"{self._where}: {name!r}", value, low, high, self._remedy)
        if number != int(number):
            raise self._wrong(name, "a whole number", value)
        return int(number)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def numbers(self, name: str, count: int, default: list[float] | None = _ABSENT) -> Any:
        """``count`` finite numbers as (count,) float32."""
        value = self._take(name, default)
        if value is default:
            return value
        if not isinstance(value, list) or len(value) != count:
            raise self._wrong(name, f"a list of {count} finite numbers", value)
        expected = f"a list of {count} finite numbers"
        return self._finite(name, [value], expected)[0].astype(np.float32)

    def mapping(self, name: str) -> dict[str, float]:
        """Finite numbers by name; empty where it is missing or null."""
        value = self._take(name, {})
        if not isinstance(value, dict):
            raise self._wrong(name, "an object of finite numbers", value)
        where = f"{self._where} {shown(name)}"
        return {
            key: check_range(f"{where}: {shown(key)}", number, hint=self._remedy)
            for key, number in value.items()
        }

    def matrix(self, name: str, rows: int, columns: int) -> NDArray[np.float64]:
        """Rows of finite numbers, (rows, columns) float64."""
        value = self._take(name, _ABSENT)
        expected = f"{rows}×{columns} finite numbers"
        if not isinstance(value, list):
            raise self._wrong(name, expected, value)
        if len(value) != rows:
            raise self.wrong(f"{name!r} must be {expected}, and has {len(value)} rows")
        for number, row in enumerate(value):
            if not (isinstance(row, list) and len(row) == columns):
                raise self._wrong(f"{name}[{number}]", f"{columns} finite numbers", row)
        return self._finite(name, value, expected)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._take(name, _ABSENT)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of texts", value)
        return tuple(value)

    def group(self, name: str) -> JsonObject:
        """A JSON object of its own."""
        value = self._take(name, _ABSENT)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object", value)
        return JsonObject(value, f"{self._where} {name}", self._remedy)

    def groups(self, name: str) -> list[JsonObject]:
        """A list of JSON objects."""
        value = self._take(name, _ABSENT)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(name, "a list of objects", value)
        return [
            JsonObject(item, f"{self._where} {name}[{i}]", self._remedy)
            for i, item in enumerate(value)
        ]

    def timed(self, name: str) -> list[tuple[str, float, float]]:
        """A list of ``[text, start, end]``, such as phones; empty where it is missing or null."""
        value = self._take(name, [])
        expected = "a list of [text, start, end]"
        if not isinstance(value, list):
            raise self._wrong(name, expected, value)
        where, found = f"{self._where} {shown(name)}", []
        for entry in value:
            if not (isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str)):
                raise self._wrong(name, expected, entry)
            text, *times = entry
            start, end = (check_range(f"{where}: a time of {shown(text)}", t) for t in times)
            found.append((text, start, end))
        return found

    def no_others(self) -> None:
        """Check that every key was asked for: a misspelt parameter must not pass in silence.

        Raises:
            BadInputError: one was not; names it.
        """
        if others := sorted(set(self._values) - self._read):
            names = ", ".join(map(shown, others[:3]))
            raise BadInputError(f"{self._where} does not know the parameter {names}.", self._remedy)

    def wrong(self, what: str) -> BadInputError:
        """The error that the object's content is not as it must be."""
        return BadInputError(f"{self._where}: {what}.", self._remedy)

    def _take(self, name: str, default: Any) -> Any:
        self._read.add(name)
        value = self._values.get(name)
        if value is None and default is _ABSENT:
            raise BadInputError(f"{self._where}: lacks {name!r}.", self._remedy)
        return default if value is None else value

    def _finite(self, name: str, rows: list[Any], expected: str) -> NDArray[np.float64]:
        """Rows of numbers, each a list of the same length."""
        if not all(type(number) in (int, float) for row in rows for number in row):
            raise self._wrong(name, expected, rows)
        try:
            array = np.array(rows, np.float64)
        except OverflowError:
            raise self._wrong(name, expected, rows) from None
        # Rendering and training compute in float32: what overflows there is not finite either.
        if not np.all(np.abs(array) <= np.finfo(np.float32).max):
            raise self._wrong(name, expected, rows)
        return array

    def _wrong(self, name: str, expected: str, value: Any) -> BadInputError:
        return BadInputError(
            f"{self._where}: {name!r} must be {expected}, not {shown(value)}.", self._remedy
        )
