# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a job is: ``status.json``, replaced whole at each write, so that no reader sees half.

Standard library and this project's light modules only: the add-on imports :class:`State`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..core.errors import BadInputError
from ..core.files import write_text
from ..core.json_values import JsonObject, read_json

REMEDY = "Remove the job and start the training again."

_STATUS = "status.json"
_LARGEST = 1 << 20
"""Bytes of the largest file of a job that is read; a whole configuration takes a few thousand."""


class State(StrEnum):
    """What a job is doing; ``cancelling`` and ``damaged`` are found out and never written."""

    STARTING = "starting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DAMAGED = "damaged"


WRITTEN = frozenset(State) - {State.CANCELLING, State.DAMAGED}
ENDED = frozenset({State.FINISHED, State.CANCELLED, State.FAILED, State.DAMAGED})


@dataclass(frozen=True)
class JobStatus:
    """How far a job is, as ``status.json`` says it.

    Attributes:
        state: what it is doing.
        step: steps done.
        total: steps in all; 0 where unknown.
        loss: latest training loss; ``None`` before the first or where it is not a finite number.
        eta: seconds that remain at the speed of this run; ``None`` where unknown.
        preview: path of the latest picture, relative to the job's folder; empty without one.
        message: what it is at, or why it ended.
        updated: seconds since 1970.
        notes: what its result lacks, one sentence each, such as losses without weights.
        preparing: whether the run, or the stage of it that has begun, has done no step yet: ending
            its processes loses nothing.
    """

    state: State = State.STARTING
    step: int = 0
    total: int = 0
    loss: float | None = None
    eta: float | None = None
    preview: str = ""
    message: str = ""
    updated: float = 0.0
    notes: tuple[str, ...] = ()
    preparing: bool = False


def read_status(folder: Path) -> JobStatus:
    """What ``status.json`` says; a fresh status where there is none yet.

    Raises:
        BadInputError: it is damaged.
    """
    path = folder / _STATUS
    if not path.exists():
        return JobStatus()
    content = read_object(path)
    state = content.text("state")
    if state not in WRITTEN:
        raise BadInputError(f"{path} has an unknown state: {state[:40]!r}.", REMEDY)
    return JobStatus(
        state=State(state),
        step=content.whole("step", 0),
        total=content.whole("total", 0),
        loss=content.number("loss", None),
        eta=content.number("eta", None),
        preview=content.text("preview", ""),
        message=content.text("message", ""),
        updated=content.number("updated", 0.0),
        notes=content.texts("notes") if "notes" in content else (),
        preparing=content.flag("preparing", default=False),
    )


def write_status(folder: Path, status: JobStatus) -> None:
    """Replace ``status.json`` atomically; a loss that is not finite is left out."""
    content = asdict(status)
    for key in ("loss", "eta"):
        if content[key] is not None and not math.isfinite(content[key]):
            content[key] = None
    write_object(folder / _STATUS, content)


def read_object(path: Path) -> JsonObject:
    """The JSON object in a file of a job's folder.

    Raises:
        BadInputError: no file, too large, or no object in it.
    """
    return read_json(path, REMEDY, max_bytes=_LARGEST)


def write_object(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a file of a job's folder atomically.

    Raises:
        BadInputError: values that JSON does not have.
    """
    try:
        text = json.dumps(content, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"{path.name} cannot be written: {error}.", "Use numbers and text."
        ) from error
    write_text(path, text)
