# SPDX-License-Identifier: GPL-3.0-or-later
"""A training in the background, as the panel shows it. No bpy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

AVATAR, SPEECH, CAPTURE = "avatar", "speech", "capture"
"""Kinds of jobs, and of what they make."""

JOINT = "joint"
"""Kind of a job that makes an avatar and a speech model for each other."""


class State(StrEnum):
    """What a job is doing."""

    STARTING = "starting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"


ENDED = frozenset({State.FINISHED, State.CANCELLED, State.FAILED})


@dataclass(frozen=True)
class Job:
    """A job as it was last seen.

    Attributes:
        id: name of its folder.
        kind: ``avatar``, ``speech``, ``joint`` or another command's name; empty where unknown.
        state: what it is doing.
        step: steps done.
        total: steps wanted; 0 where unknown.
        loss: latest training loss, where there is one.
        eta: seconds to go, where that is known.
        message: what it is at, or why it ended.
        created: seconds since 1970.
        updated: when it last told, seconds since 1970.
        data: what it learns from; empty where unknown.
        needs: files and folders that it reads again when it is resumed, as its machine names them.
        folder: its folder, as the machine that it runs on names it.
        preview: file of its latest picture on this machine.
        preview_time: when that was written; a new picture may have an old name.
        report: whether there is a page about it, ``report.html`` in its folder on this machine.
        results: what there is to use of it, by kind, as the machine that it runs on names it.
    """

    id: str
    kind: str = ""
    state: State = State.STARTING
    step: int = 0
    total: int = 0
    loss: float | None = None
    eta: float | None = None
    message: str = ""
    created: float = 0.0
    updated: float = 0.0
    data: str = ""
    needs: tuple[str, ...] = ()
    folder: str = ""
    preview: Path | None = None
    preview_time: int = 0
    report: bool = False
    results: dict[str, str] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.state not in ENDED

    @property
    def resumable(self) -> bool:
        """Whether it ended before its time."""
        return self.state in (State.CANCELLED, State.FAILED)

    def reads(self, folder: str) -> bool:
        """Whether it still has to read something in a folder."""
        if not folder or self.state is State.FINISHED:
            return False
        inside = (folder + "/", folder + "\\")
        return any(path == folder or path.startswith(inside) for path in self.needs)

    @property
    def fraction(self) -> float:
        """How much of it is done, in [0, 1]."""
        if self.state is State.FINISHED:
            return 1.0
        return min(1.0, max(0.0, self.step / self.total)) if self.total else 0.0


def progress_text(job: Job) -> str:
    """Steps and the time to go, such as ``1,200 of 30,000, 12 min left``."""
    text = f"{job.step:,} of {job.total:,}" if job.total else f"{job.step:,} steps"
    if job.running and job.eta is not None:
        text += f", {duration_text(job.eta)} left"
    return text


def duration_text(seconds: float) -> str:
    """A time in the two units that matter: ``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
