# SPDX-License-Identifier: GPL-3.0-or-later
"""A request as a method sees it: parameters of known types, arrays of known shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress

Float = NDArray[np.float32]

_ABSENT: Any = object()


@dataclass(frozen=True)
class Reply:
    """What a method answers.

    Attributes:
        body: JSON values.
        arrays: named arrays.
    """

    body: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


class Params:
    """JSON values of a request, read by name and type.

    Args:
        values: what came over the wire.
        where: what the values belong to, for messages: the method's name.
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self._where = where
        self._read: set[str] = set()

    def text(self, name: str, default: str | None = _ABSENT) -> Any:
        """A text; ``default`` where it is missing or null.

        Raises:
            BadInputError: another type, or missing without a default.
        """
        value = self._take(name, default)
        if value is default:
            return value
        if not isinstance(value, str):
            raise self._wrong(name, "a text", value)
        return value

    def number(self, name: str, default: float | None = _ABSENT) -> Any:
        """A finite number as float; ``default`` where it is missing or null.

        Raises:
            BadInputError: another type, not finite, or missing without a default.
        """
        value = self._take(name, default)
        if value is default:
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number", value)
        if not math.isfinite(value):
            raise self._wrong(name, "a finite number", value)
        return float(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false.

        Raises:
            BadInputError: another type.
        """
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def numbers(self, name: str, count: int, default: list[float] | None = _ABSENT) -> Any:
        """``count`` finite numbers as (count,) float32; ``default`` where missing or null.

        Raises:
            BadInputError: anything else.
        """
        value = self._take(name, default)
        if value is default:
            return value
        good = isinstance(value, list) and all(
            isinstance(number, int | float) and math.isfinite(number) for number in value
        )
        if not good or len(value) != count:
            raise self._wrong(name, f"a list of {count} finite numbers", value)
        return np.array(value, np.float32)

    def mapping(self, name: str) -> dict[str, float]:
        """Finite numbers by name; empty where it is missing or null.

        Raises:
            BadInputError: anything else.
        """
        value = self._take(name, {})
        good = isinstance(value, dict) and all(
            isinstance(number, int | float) and math.isfinite(number) for number in value.values()
        )
        if not good:
            raise self._wrong(name, "an object of finite numbers", value)
        return dict(value)

    def group(self, name: str) -> Params:
        """A JSON object with parameters of its own.

        Raises:
            BadInputError: anything else.
        """
        value = self._take(name, _ABSENT)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object", value)
        return Params(value, f"{self._where} {name}")

    def groups(self, name: str) -> list[Params]:
        """A list of JSON objects.

        Raises:
            BadInputError: anything else.
        """
        value = self._take(name, _ABSENT)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(name, "a list of objects", value)
        return [Params(item, f"{self._where} {name}[{i}]") for i, item in enumerate(value)]

    def no_others(self) -> None:
        """Check that every parameter was asked for: a misspelt one must not pass in silence.

        Raises:
            BadInputError: there are others.
        """
        others = sorted(set(self._values) - self._read)
        if others:
            raise BadInputError(f"{self._where} does not know the parameter {', '.join(others)}.")

    def _take(self, name: str, default: Any) -> Any:
        self._read.add(name)
        value = self._values.get(name)
        if value is None:
            if default is _ABSENT:
                raise BadInputError(f"{self._where} needs the parameter {name!r}.")
            return default
        return value

    def _wrong(self, name: str, expected: str, value: Any) -> BadInputError:
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "…"
        return BadInputError(f"{self._where}: {name!r} must be {expected}, not {shown}.")


@dataclass(frozen=True, eq=False)
class Request:
    """A request under way.

    Attributes:
        method: its name.
        params: its parameters.
        arrays: its arrays.
        progress: tells the other side; raises ``CancelledError`` once the user cancelled.
    """

    method: str
    params: Params
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    progress: Progress = no_progress

    def floats(self, name: str, shape: tuple[int | None, ...]) -> Float:
        """An array of the request as float32.

        Args:
            name: of the array.
            shape: expected sizes; ``None`` for any.

        Raises:
            BadInputError: missing, of another shape, or not finite.
        """
        if name not in self.arrays:
            raise BadInputError(f"{self.method} needs the array {name!r}.")
        array = self.arrays[name]
        fits = array.ndim == len(shape) and all(
            expected in (None, size) for size, expected in zip(array.shape, shape, strict=True)
        )
        if not fits:
            raise BadInputError(
                f"{self.method}: array {name!r} has the shape {array.shape}, expected {shape}."
            )
        array = array.astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            raise BadInputError(f"{self.method}: array {name!r} holds NaN or infinite values.")
        return array


Method = Callable[[Request], Reply]
"""Answers a request; raises ``GaussianSpeechError`` for what the user should know."""
