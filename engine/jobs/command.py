# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that can be jobs: stored by name and options, never as a program to run.

A job's folder may come from anywhere, so what it says only ever becomes arguments of a command of
this project, in the interpreter that runs now.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.core.checks import shown
from engine.core.errors import BadInputError

ENVIRONMENT = "GAUSSIANSPEECH_JOB"
"""Environment variable that names the job's folder to the worker."""

COMMANDS = ("train avatar", "train speech", "train joint", "train person", "capture", "track")
"""Commands of ``python -m training`` that can be jobs."""

PACKAGE = "training"
"""The package whose ``__main__`` runs the commands."""

_OUT = "--out"
_FLAGS = ("--background", "--no-background", "--json", "--no-json")


@dataclass(frozen=True)
class JobCommand:
    """A command of this project.

    Attributes:
        name: one of :data:`COMMANDS`.
        options: its words after the name, without ``--out``, which is always the job's folder, and
            without ``--background`` and ``--json``.

    Raises:
        BadInputError: another name, or an option that a job decides.
    """

    name: str
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in COMMANDS:
            raise BadInputError(
                f"{shown(self.name)} is no command that can be a job.",
                f"Use one of: {', '.join(COMMANDS)}.",
            )
        for word in self.options:
            if word.partition("=")[0] in (_OUT, *_FLAGS) or "\0" in word:
                raise BadInputError(
                    f"A job of {self.name!r} cannot have the option {shown(word)}.",
                    "Leave it out.",
                )

    @classmethod
    def parse(cls, words: Sequence[str]) -> JobCommand | None:
        """What a command line of ``gaussianspeech`` runs; ``None`` where that is no job.

        Args:
            words: without the program.
        """
        name = next((n for n in COMMANDS if list(words[: len(n.split())]) == n.split()), None)
        if name is None:
            return None
        options: list[str] = []
        rest = iter(words[len(name.split()) :])
        for word in rest:
            if word == _OUT:
                next(rest, None)
            elif word not in _FLAGS and not word.startswith(f"{_OUT}="):
                options.append(word)
        return cls(name, tuple(options))

    @classmethod
    def parse_argv(cls, argv: Sequence[str]) -> JobCommand | None:
        """The command in the program and arguments that version 0.1.0 stored; ``None`` if none.

        Only ``[python, "-m", "training", …]`` is one; the program itself is never run again.
        """
        return cls.parse(argv[3:]) if list(argv[1:3]) == ["-m", "training"] else None

    def argv(self, out: Path, *flags: str) -> list[str]:
        """Program and arguments that run it in this interpreter.

        Args:
            out: the job's folder.
            flags: further words before the options, such as ``--background``.
        """
        # -P: the working folder may hold modules of the names of this project's or of a library's.
        program = [sys.executable, "-P", "-m", PACKAGE]
        return [*program, *self.name.split(), _OUT, str(out), *flags, *self.options]


def environment(folder: Path | None = None) -> dict[str, str]:
    """The environment of a command that runs in another process, which imports this very code.

    Args:
        folder: of the job that the process works on.
    """
    root = Path(__file__).resolve().parents[2]
    changes = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    if root.name not in ("site-packages", "dist-packages"):
        before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        # An empty or relative entry would be the working folder, or lie in it.
        paths = [str(root), *(path for path in before if Path(path).is_absolute())]
        changes["PYTHONPATH"] = os.pathsep.join(paths)
    if folder is not None:
        changes[ENVIRONMENT] = str(folder.resolve())
    return os.environ | changes
