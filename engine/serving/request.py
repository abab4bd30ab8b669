# SPDX-License-Identifier: GPL-3.0-or-later
"""A request as a method gets it: parameters of known types, arrays of known shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject
from engine.core.progress import Progress, no_progress


@dataclass(frozen=True)
class Reply:
    """What a method answers.

    Attributes:
        body: JSON values.
        arrays: named arrays.
    """

    body: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


Send = Callable[[dict[str, Any], dict[str, NDArray[Any]]], None]
"""Sends a message of frames before the reply: JSON values and named arrays. Raises
``CancelledError`` once the user cancelled."""


def _send_nothing(_body: dict[str, Any], _arrays: dict[str, NDArray[Any]]) -> None:
    """Nobody waits for frames."""


@dataclass(frozen=True, eq=False)
class Request:
    """A request under way.

    Attributes:
        method: its name.
        params: its parameters.
        arrays: its arrays.
        progress: reports to the other side; raises ``CancelledError`` once the user cancelled.
        send: sends frames to the other side.
    """

    method: str
    params: JsonObject
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    progress: Progress = no_progress
    send: Send = _send_nothing

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
