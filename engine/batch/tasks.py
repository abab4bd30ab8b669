# SPDX-License-Identifier: GPL-3.0-or-later
"""What the driver and whoever does the work say to each other; quick to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from engine.batch.lines import BatchLine
from engine.recognition.ids import DEFAULT as RECOGNIZER

Stage = Literal["speak", "film"]
"""``speak``: recognition, motion, curves and meshes. ``film``: the rasteriser."""


@dataclass(frozen=True)
class Settings:
    """What all tasks of a batch have in common.

    Attributes:
        out: folder of the results, at this path on every machine.
        token: what that folder holds, so that a machine notices that it sees another one.
        recognizer: as :func:`engine.motion.predict.predict`.
        backend: of films, as :func:`engine.splatting.registry.choose_backend`.
    """

    out: Path
    token: str
    recognizer: str = RECOGNIZER
    backend: str = "auto"


@dataclass(frozen=True)
class Task:
    """One stage of a line.

    Attributes:
        line: the line.
        stage: which.
        attempt: 1 for the first.
        avoid: nodes on which it failed.
    """

    line: BatchLine
    stage: Stage
    attempt: int = 1
    avoid: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """A task that is done.

    Attributes:
        task: which.
        made: kinds of outputs that were made now; those that were there already are not.
        seconds: it took.
        speech: seconds of the recording, where that was read.
        warnings: what the user should know.
        processor: seconds of processor time that it took, of all threads.
    """

    task: Task
    made: tuple[str, ...]
    seconds: float
    speech: float = 0.0
    warnings: tuple[str, ...] = ()
    processor: float = 0.0


@dataclass(frozen=True)
class Failure:
    """A task that failed.

    Attributes:
        task: which.
        message: what is wrong, and the remedy.
        bad_input: the line itself is wrong: doing it again would fail again.
        node: on which machine, where known.
    """

    task: Task
    message: str
    bad_input: bool = False
    node: str = field(default="")


class Executor(Protocol):
    """Who does tasks: processes of this machine, or a cluster."""

    @property
    def slots(self) -> int:
        """How many tasks it takes at a time."""
        ...

    def submit(self, task: Task) -> None:
        """Begin a task; fewer than :attr:`slots` are running."""
        ...

    def wait(self, seconds: float) -> list[Outcome | Failure]:
        """What has ended since the last call; waits at most so long for it."""
        ...

    def close(self) -> None:
        """End, and what is running with it; nothing half-written is left under a final name."""
        ...
