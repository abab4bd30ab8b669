# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of the machine that the engine's command reaches, asked by training's own commands. No bpy.

Where the preferences start the engine on another machine, for example by ssh, the trainings run
there, too, and their folders lie there. Each question starts a process, so they are few; the chosen
job's picture is fetched when there is a newer one.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...engine.core.errors import GaussianSpeechError
from .command import Commands
from .job import Job, State
from .place import Order, Reading, file_name


class OtherMachine:
    """Jobs of another machine.

    Args:
        name: of the machine, for people.
        commands: of training, as run there.
        pictures: folder of this machine for copies of pictures; it is made when there is one.
    """

    remote = True

    def __init__(self, name: str, commands: Commands, pictures: Path) -> None:
        self.name = name
        self._commands = commands
        self._folder = ""
        self._names: frozenset[str] = frozenset()
        self._pictures = pictures
        self._fetched: dict[str, int] = {}

    def read(self, chosen: str = "", *, with_log: bool = False) -> Reading:
        """All jobs, the chosen one's picture, and the end of its log."""
        try:
            jobs = [_job(facts) for facts in self._commands.run("jobs", "list", "--json")]
            log = self._log(chosen) if with_log and chosen else ()
        except GaussianSpeechError as error:
            return Reading(error=error)
        except (TypeError, ValueError, KeyError) as error:
            return Reading(
                error=GaussianSpeechError(
                    f"The jobs on {self.name} cannot be read: {error!r}.",
                    "Install this version of GaussianSpeech there.",
                )
            )
        self._names = frozenset(job.id for job in jobs)
        return Reading(tuple(self._with_picture(job, chosen) for job in jobs), log)

    def start(self, name: str, order: Order, cancelled: threading.Event) -> str:
        """Start a command as a job in a new folder; returns the job's id.

        Raises:
            GaussianSpeechError: what the command said.
        """
        if not self._folder:
            answer = self._commands.run("jobs", "folder", "--json", cancelled=cancelled)
            self._folder = str(answer["folder"])
        name = file_name(name, lambda candidate: candidate in self._names)
        answer = self._commands.run(*order.words(f"{self._folder}/{name}"), cancelled=cancelled)
        return str(answer["job"]) if isinstance(answer, dict) and "job" in answer else name

    def cancel(self, job: str, *, at_once: bool = False) -> None:
        """Ask a job to save a checkpoint and stop, or end it.

        Raises:
            GaussianSpeechError: what the command said.
        """
        self._commands.output("jobs", "cancel", job, *(["--at-once"] if at_once else []))

    def resume(self, job: str) -> None:
        """Start a job again from its last checkpoint.

        Raises:
            GaussianSpeechError: what the command said.
        """
        self._commands.output("jobs", "resume", job)

    def remove(self, job: str) -> None:
        """Delete the folder of a job that has ended.

        Raises:
            GaussianSpeechError: what the command said.
        """
        self._commands.output("jobs", "remove", job)

    def _log(self, job: str) -> tuple[str, ...]:
        with contextlib.suppress(GaussianSpeechError):  # It may be gone by now.
            return tuple(self._commands.run("jobs", "show", job, "--json")["log"])
        return ()

    def _with_picture(self, job: Job, chosen: str) -> Job:
        """The job with a copy of its picture on this machine, where it has been fetched."""
        path = self._pictures / (re.sub(r"[^\w.-]", "-", job.id) + ".png")
        newest, fetched = job.preview_time, self._fetched.get(job.id, 0)
        if job.id == chosen and newest and newest != fetched:
            with contextlib.suppress(GaussianSpeechError, OSError):
                picture = self._commands.output("jobs", "preview", job.id)
                self._pictures.mkdir(parents=True, exist_ok=True)
                path.write_bytes(picture)
                self._fetched[job.id] = fetched = newest
        return replace(job, preview=path if fetched else None, preview_time=fetched)


def _job(facts: Mapping[str, Any]) -> Job:
    return Job(
        id=str(facts["job"]),
        kind=str(facts["kind"]),
        state=State(facts["state"]),
        step=int(facts["steps"]),
        total=int(facts["total"]),
        loss=_number(facts["loss"]),
        eta=_number(facts["eta"]),
        message=str(facts["message"]),
        created=float(facts["created"]),
        updated=float(facts["updated"]),
        data=str(facts["data"]),
        needs=(str(facts["data"]),),
        folder=str(facts["folder"]),
        preview_time=int(facts["preview"]),
        results=dict(facts["results"]),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
