# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests about jobs to the engine, on this machine or another. No bpy.

Each returns at once, with a future of the engine's message (docs/protocol.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...engine.core.errors import GaussianSpeechError
from ...engine.core.protocol import Message
from ...engine.jobs.summary import JobSummary
from ..engine_link.future import Future

LOG_LINES = 12
"""Lines of a log that the panel shows."""


@dataclass(frozen=True)
class JobSpec:
    """What is to be started as a job.

    Attributes:
        command: such as ``train avatar``.
        options: its words.
    """

    command: str
    options: tuple[str, ...] = ()


class JobsClient:
    """The engine's jobs.

    Args:
        request: sends a request to the engine, which it starts where needed.
        folder: of the jobs, as the engine's machine names it; empty for the engine's default.
        remote: the command that reaches another machine's engine; empty where it runs on this one.
    """

    def __init__(
        self,
        request: Callable[[str, Mapping[str, Any]], Future],
        folder: str = "",
        remote: str = "",
    ) -> None:
        self._request = request
        self._folder = folder
        self.remote = remote

    def list(self) -> Future:
        """All jobs; see :func:`listed_jobs`."""
        return self._ask("list")

    def start(self, title: str, spec: JobSpec) -> Future:
        """Start a command as a job in a new folder, named by its title."""
        return self._ask("start", title=title, command=spec.command, options=list(spec.options))

    def cancel(self, job: str, *, at_once: bool = False) -> Future:
        """Ask a job to save a checkpoint and stop, or end it."""
        return self._ask("cancel", job=job, at_once=at_once)

    def resume(self, job: str) -> Future:
        """Start a job again from its last checkpoint."""
        return self._ask("resume", job=job)

    def remove(self, job: str) -> Future:
        """Delete the folder of a job that has ended."""
        return self._ask("remove", job=job)

    def preview(self, job: str) -> Future:
        """A job's latest picture: the array ``picture`` holds its file."""
        return self._ask("preview", job=job)

    def log(self, job: str) -> Future:
        """The last lines that a job printed."""
        return self._ask("log", job=job, lines=LOG_LINES)

    def _ask(self, method: str, **params: Any) -> Future:
        folder = {"folder": self._folder} if self._folder else {}
        return self._request(f"jobs.{method}", params | folder)


def listed_jobs(message: Message) -> tuple[JobSummary, ...]:
    """The jobs in the answer of :meth:`JobsClient.list`.

    Raises:
        GaussianSpeechError: it holds something else.
    """
    try:
        return tuple(JobSummary.from_json(values) for values in message.body["jobs"])
    except (KeyError, TypeError, ValueError) as error:
        raise GaussianSpeechError(
            f"The engine's list of jobs cannot be read: {error!r}.",
            "Use the engine of this version of the add-on.",
        ) from error
