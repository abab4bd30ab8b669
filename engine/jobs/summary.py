# SPDX-License-Identifier: GPL-3.0-or-later
"""A job in one flat record, as lists show it and as it travels to the add-on.

Both ends of the protocol import this module: standard library and light modules only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .status import ENDED, State

AVATAR, SPEECH, CAPTURE = "avatar", "speech", "capture"
"""Kinds of jobs, and of their results."""

JOINT, PERSON = "joint", "person"
"""Kinds of jobs that make both: for each other, and one after the other."""


@dataclass(frozen=True)
class JobSummary:
    """A job as it is now.

    Attributes:
        id: name of its folder.
        kind: ``avatar``, ``speech``, ``joint``, ``person`` or ``capture``; empty where unknown.
        state: what it is doing.
        step: steps done.
        total: steps in all; 0 where unknown.
        loss: latest training loss, where there is one.
        eta: seconds that remain, where that is known.
        message: what it is at, or why it ended.
        notes: what its result lacks, one sentence each.
        created: seconds since 1970.
        updated: when it last reported, seconds since 1970.
        data: what it learns from; empty where unknown.
        needs: files and folders that it reads again when it is resumed.
        folder: its folder; this and other paths are those of the machine that it runs on.
        preview: when its latest picture was written, nanoseconds; 0 without one. A new picture may
            have an old name.
        report: whether there is a page about it, ``report.html`` in its folder.
        resumable: whether it can be started again.
        results: what there is to use of it: paths by kind.
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
    preview: int = 0
    report: bool = False
    resumable: bool = False
    results: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> JobSummary:
        """The record that :meth:`to_json` gave on the other side; unknown fields are ignored.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        known = {f.name: values[f.name] for f in fields(cls)}
        texts = {name: tuple(known[name]) for name in ("needs", "notes")}
        return cls(**known | texts | {"state": State(known["state"])})

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.state not in ENDED

    @property
    def fraction(self) -> float:
        """How much of it is done, in [0, 1]."""
        if self.state is State.FINISHED:
            return 1.0
        return min(1.0, max(0.0, self.step / self.total)) if self.total else 0.0

    def reads(self, folder: str) -> bool:
        """Whether it still has to read something in a folder."""
        if not folder or self.state is State.FINISHED:
            return False
        inside = (folder + "/", folder + "\\")
        return any(path == folder or path.startswith(inside) for path in self.needs)


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
