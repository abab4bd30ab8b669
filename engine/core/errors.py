# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors a user can meet: each names the thing that is wrong and the remedy.

Standard library only: Blender and the engine share these through the wire protocol.
"""

from __future__ import annotations

from typing import ClassVar

MAX_LENGTH = 300
"""Characters of a message: a file or a library may put any amount of text into one."""


def _shortened(text: str) -> str:
    """One line of printable text; start and end of one that is too long, as both name the file."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    if len(text) <= MAX_LENGTH:
        return text
    half = MAX_LENGTH // 2
    return f"{text[: half - 1]}…{text[-half:]}"


class GaussianSpeechError(Exception):
    """A failure that is explained to the user rather than shown as a traceback.

    Attributes:
        message: what is wrong, naming the file or object; at most :data:`MAX_LENGTH` characters.
        hint: what to do about it, no longer; empty where nothing can be advised.
        kind: stable identifier that travels over the protocol.
    """

    kind: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = _shortened(message)
        self.hint = _shortened(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadInputError(GaussianSpeechError):
    """A file or value given by the user cannot be used."""

    kind = "bad_input"


class UnwritableError(BadInputError):
    """A file cannot be written; with space or permission the same request may succeed."""


class MissingDependencyError(GaussianSpeechError):
    """A library, model file or device that the request needs is not there."""

    kind = "missing_dependency"


class CancelledError(GaussianSpeechError):
    """The user cancelled the request; nothing half-written is left."""

    kind = "cancelled"

    def __init__(self, message: str = "Cancelled.", hint: str = "") -> None:
        super().__init__(message, hint)


class EngineGoneError(GaussianSpeechError):
    """The engine process ended while it was needed."""

    kind = "engine_gone"


def one_line(error: BaseException) -> str:
    """The error as one line, for stderr, reports and status lines."""
    return " ".join(str(error).split()) or type(error).__name__


ERROR_KINDS: dict[str, type[GaussianSpeechError]] = {
    cls.kind: cls
    for cls in (
        GaussianSpeechError,
        BadInputError,
        MissingDependencyError,
        CancelledError,
        EngineGoneError,
    )
}
"""From the ``kind`` on the wire back to the exception class."""
