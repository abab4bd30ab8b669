# SPDX-License-Identifier: GPL-3.0-or-later
"""Where jobs run: this machine, whose folder is read, or another (``remote.py``). No bpy.

Places are asked from threads: disks, networks and processes may take their time.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ...engine.core.errors import GaussianSpeechError
from .command import Commands
from .folder import JobFolder
from .job import Job

LOG_LINES = 12
"""Lines of a log that the panel shows."""


@dataclass(frozen=True)
class Reading:
    """What a place told at one moment.

    Attributes:
        jobs: the latest first.
        log: last lines of the chosen job, where they were asked for.
        error: why there is nothing newer.
    """

    jobs: tuple[Job, ...] = ()
    log: tuple[str, ...] = ()
    error: GaussianSpeechError | None = None


@dataclass(frozen=True)
class Order:
    """What is to be started as a job.

    Attributes:
        command: its words, such as ``train``, ``avatar``.
        options: its options.
        preset: words that come after them: a preset and what differs from it.
    """

    command: tuple[str, ...]
    options: tuple[str, ...] = ()
    preset: tuple[str, ...] = ()

    def words(self, out: str) -> list[str]:
        """The command line that starts it in the background with a folder for what it makes."""
        fixed = ("--out", out, "--background", "--json")
        return [*self.command, *self.options, *fixed, *self.preset]


class Place(Protocol):
    """Where jobs run.

    Attributes:
        name: of the place, for people.
        remote: whether its files are not this machine's.
    """

    name: str
    remote: bool

    def read(self, chosen: str = "", *, with_log: bool = False) -> Reading:
        """All jobs, and the end of the chosen one's log."""

    def start(self, name: str, order: Order, cancelled: threading.Event) -> str:
        """Start a command as a job in a new folder; returns the job's id."""

    def cancel(self, job: str, *, at_once: bool = False) -> None:
        """Ask a job to save a checkpoint and stop, or end it."""

    def resume(self, job: str) -> None:
        """Start a job again from its last checkpoint."""

    def remove(self, job: str) -> None:
        """Delete the folder of a job that has ended."""


class ThisMachine:
    """Jobs of this machine: read from their folder; training's commands start and resume them.

    Args:
        folder: of the jobs.
        commands: makes those of training; may raise where there is no Python for them, which does
            not keep anybody from looking at the jobs.
    """

    remote = False

    def __init__(self, folder: JobFolder, commands: Callable[[], Commands]) -> None:
        self.name = str(folder.root)
        self._folder = folder
        self._commands = commands

    @property
    def root(self) -> Path:
        """Folder of the jobs."""
        return self._folder.root

    def read(self, chosen: str = "", *, with_log: bool = False) -> Reading:
        """All jobs, and the end of the chosen one's log."""
        try:
            jobs = tuple(self._folder.read())
        except GaussianSpeechError as error:
            return Reading(error=error)
        log = self._folder.log_tail(chosen, LOG_LINES) if with_log and chosen else ()
        return Reading(jobs, log)

    def start(self, name: str, order: Order, cancelled: threading.Event) -> str:
        """Start a command as a job in a new folder; returns the job's id.

        Raises:
            GaussianSpeechError: what the command said.
        """
        name = file_name(name, lambda candidate: (self.root / candidate).exists())
        out = str(self.root / name)
        answer: Any = self._commands().run(*order.words(out), cancelled=cancelled)
        return str(answer["job"]) if isinstance(answer, dict) and "job" in answer else name

    def cancel(self, job: str, *, at_once: bool = False) -> None:
        """Ask a job to save a checkpoint and stop, or end it.

        Raises:
            GaussianSpeechError: there is no such job, or it cannot be told.
        """
        if at_once:
            self._run("cancel", job, "--at-once")
        else:
            self._folder.cancel(job)

    def resume(self, job: str) -> None:
        """Start a job again from its last checkpoint.

        Raises:
            GaussianSpeechError: what the command said.
        """
        self._run("resume", job)

    def remove(self, job: str) -> None:
        """Delete the folder of a job that has ended.

        Raises:
            BadInputError: it runs, or files cannot be deleted.
        """
        self._folder.remove(job)

    def _run(self, command: str, job: str, *options: str) -> None:
        self._commands().output("jobs", command, job, "--folder", str(self.root), *options)


def file_name(wanted: str, taken: Callable[[str], bool]) -> str:
    """The name of a new job's folder: as wanted, without odd characters, with a number if taken."""
    stem = re.sub(r"[^\w.-]+", "-", wanted).strip("-.") or "job"
    name, number = stem, 1
    while taken(name):
        number += 1
        name = f"{stem}-{number}"
    return name
