# SPDX-License-Identifier: GPL-3.0-or-later
"""Training's own commands, run from Blender in a thread. No bpy."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ...engine.core.errors import (
    BadInputError,
    CancelledError,
    GaussianSpeechError,
    MissingDependencyError,
)

PATIENCE = 180.0
"""Seconds a command may take: a first start compiles bytecode from a cold disk."""

_SAID = "gaussianspeech: "
"""What the line on stderr begins with that tells what is wrong and the remedy."""

_MISSING = re.compile(r"No module named '([^']+)'")


class Commands:
    """Runs ``jobs``, ``train`` and the like.

    Args:
        words: the program and what comes before the command, for example
            ``[python, "-m", "training"]``.
        env: the whole environment.
        cwd: working folder.
        install_hint: how to install what the commands need, for error messages.
    """

    def __init__(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        *,
        cwd: str | os.PathLike[str] | None = None,
        install_hint: str = "",
    ) -> None:
        self.words = tuple(words)
        self._env = dict(env)
        self._cwd = cwd
        self._install_hint = install_hint

    def run(self, *arguments: str, cancelled: threading.Event | None = None) -> Any:
        """Run a command and wait for the JSON that it prints; ``None`` where it prints none.

        Raises:
            GaussianSpeechError: it failed, with what it said.
        """
        text = self.output(*arguments, cancelled=cancelled).decode("utf-8", "replace").strip()
        if not text:
            return None
        try:
            return json.loads(text)
        except ValueError as error:
            raise GaussianSpeechError(
                f"{self._name(arguments)} printed something unexpected: {text[:200]}",
                "Use the engine that belongs to this version of the add-on.",
            ) from error

    def output(self, *arguments: str, cancelled: threading.Event | None = None) -> bytes:
        """Run a command and wait for all that it prints.

        Raises:
            GaussianSpeechError: it failed, with what it said.
        """
        # On Windows a console program started by a windowed one would open a console.
        flags = subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own program, no shell
                [*self.words, *self._quoted(arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._env,
                cwd=self._cwd,
                creationflags=flags,
            )
        except OSError as error:
            raise MissingDependencyError(
                f"{self.words[0]!r} cannot be started: {error.strerror or error}.",
                "Set Engine Python in the add-on's preferences. " + self._install_hint,
            ) from error
        out, said = _ended(process, cancelled or threading.Event())
        if process.returncode:
            raise self._error(arguments, process.returncode, said.decode("utf-8", "replace"))
        return out

    def _quoted(self, arguments: Sequence[str]) -> list[str]:
        """Arguments as the program wants them: ssh hands them to a shell on the other machine."""
        if PurePath(self.words[0]).stem.lower() in ("ssh", "plink"):
            return [shlex.quote(argument) for argument in arguments]
        return list(arguments)

    def _error(self, arguments: Sequence[str], code: int, said: str) -> GaussianSpeechError:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        for line in reversed(lines):
            if line.startswith(_SAID):
                return BadInputError(line.removeprefix(_SAID))
        missing = _MISSING.search(lines[-1]) if lines else None
        if missing and missing.group(1).partition(".")[0] not in ("engine", "training"):
            return MissingDependencyError(
                f"The engine's Python {self.words[0]} has no {missing.group(1)}.",
                self._install_hint,
            )
        words = " ".join(line.strip("│╭╮╰╯─ ") for line in lines[-6:])
        return GaussianSpeechError(
            f"{self._name(arguments)} ended with exit code {code}.",
            f"Its last words: {words}" if words else "It said nothing.",
        )

    def _name(self, arguments: Sequence[str]) -> str:
        return "'" + " ".join([*self.words, *arguments[:2]]) + "'"


def remote_words(engine_command: str) -> list[str] | None:
    """What runs training's commands where an engine command runs the engine.

    ``ssh host gaussianspeech serve`` gives ``ssh host gaussianspeech``; ``None`` where the command
    does not end in ``serve``, so that nothing can be known of how it works.
    """
    try:
        words = shlex.split(engine_command, posix=os.name != "nt")
    except ValueError:
        return None
    if len(words) < 2 or words.pop() != "serve":
        return None
    if words[-2:] == ["-m", "engine"]:
        words[-1] = "training"
    return words


def _ended(process: subprocess.Popen[bytes], cancelled: threading.Event) -> tuple[bytes, bytes]:
    """What a process printed until its end, which comes early when somebody asks for it."""
    waited = 0.0
    while True:
        try:
            return process.communicate(timeout=0.2)
        except subprocess.TimeoutExpired:
            waited += 0.2
        if cancelled.is_set() or waited > PATIENCE:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=5)
            if cancelled.is_set():
                raise CancelledError
            raise GaussianSpeechError(
                f"{process.args[0]!r} did not answer within {PATIENCE:g} s.",
                "Look whether the machine is busy, and try again.",
            )
