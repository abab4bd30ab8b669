# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs whose output goes to a log and that end when the set-up is cancelled. No bpy."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, TextIO, cast

from ...engine.core import platforms
from ...engine.core.errors import (
    BadInputError,
    CancelledError,
    GaussianSpeechError,
    MissingDependencyError,
)

Explain = Callable[[str, Sequence[str], Path], GaussianSpeechError]
"""From what a failure means, what the program printed and the log to the error."""

_POLL = 0.1
"""Seconds from one look whether somebody has cancelled to the next."""


class SetUpError(MissingDependencyError):
    """A program of the set-up failed.

    Attributes:
        log: which log says more, as the panel's status names it.
    """

    log: ClassVar[str] = "SET_UP"


class Runner:
    """Runs programs whose output goes to a log, and ends them when the set-up is cancelled.

    Args:
        log: file that is added to.
        cancelled: set to stop.
    """

    def __init__(self, log: Path, cancelled: threading.Event) -> None:
        self._log = log
        self._cancelled = cancelled

    def works(self, command: Sequence[str], environ: Mapping[str, str]) -> bool:
        """Whether a program ends without an error."""
        try:
            self.run(command, environ, "")
        except CancelledError:
            raise
        except GaussianSpeechError:
            return False
        return True

    def run(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        meaning: str,
        follow: Callable[[str], None] = lambda _line: None,
        explain: Explain | None = None,
    ) -> None:
        """Run a program to its end.

        Args:
            command: its command line.
            environ: its environment variables.
            meaning: what it means when it fails.
            follow: called with each line that it prints.
            explain: makes the error where it fails; by default :func:`failure`.

        Raises:
            SetUpError: it failed; the message has the last error that it printed.
            CancelledError: the set-up was cancelled.
        """
        if self._cancelled.is_set():
            raise CancelledError
        lines: list[str] = []
        unwritten: list[OSError] = []
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"> {' '.join(command)}\n")
            log.flush()
            try:
                process = _start(command, environ, self._log.parent)
            except OSError as error:
                raise SetUpError(
                    f"{meaning}: {command[0]}: {error.strerror}.", "Set up again."
                ) from error

            reader = threading.Thread(
                target=_read, args=(process, log, lines, unwritten, follow), daemon=True
            )
            reader.start()
            while process.poll() is None:
                if self._cancelled.wait(_POLL):
                    process.kill()
                    process.wait()
            # What the program has started may keep its output open.
            reader.join(5.0)
        if self._cancelled.is_set():
            raise CancelledError
        if unwritten:
            raise unwritten[0]
        if process.returncode:
            raise (explain or failure)(meaning, lines, self._log)


def _start(
    command: Sequence[str], environ: Mapping[str, str], folder: Path
) -> subprocess.Popen[str]:
    return platforms.Child(
        command,
        group=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=dict(environ),
        cwd=folder,
    )


def _read(
    process: subprocess.Popen[str],
    log: TextIO,
    lines: list[str],
    unwritten: list[OSError],
    follow: Callable[[str], None],
) -> None:
    """Take in what a program prints, until it ends; what the log cannot take is noted."""
    with cast("TextIO", process.stdout) as stream:
        for line in stream:
            lines.append(line.rstrip())
            follow(lines[-1])
            try:
                log.write(line)
                log.flush()
            except OSError as error:  # Read on: else the program would wait for us.
                unwritten.append(error)


NO_NETWORK = re.compile(
    r"NewConnectionError|Temporary failure in name resolution|getaddrinfo failed|ConnectTimeout|"
    r"Network is unreachable|Connection refused|ProxyError",
)


def failure(what: str, lines: Sequence[str], log: Path) -> GaussianSpeechError:
    """The error that a program's last words amount to."""
    text = "\n".join(lines)
    see = f"The whole log is {log}."
    if "No space left on device" in text or "not enough space on the disk" in text:
        return BadInputError(f"{what}: the disk is full.", "Free some space and set up again.")
    if NO_NETWORK.search(text):
        return SetUpError(
            f"{what}: the package index cannot be reached.",
            "Check the network and set up again, or choose a folder of wheels. " + see,
        )
    spoken = [line.strip() for line in lines if line.strip()] or ["it said nothing"]
    last = next((line for line in reversed(spoken) if "error" in line.lower()), spoken[-1])
    return SetUpError(f"{what}: {last[:160]}", f"Set up again. {see}")
