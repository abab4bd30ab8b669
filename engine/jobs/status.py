# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a job is: ``status.json``, replaced whole at each write, so that no reader sees half."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from engine.core.errors import BadInputError
from engine.core.files import atomic_write

_STATUS = "status.json"
_ATTEMPTS = 6
_PAUSE = 0.02


class State(StrEnum):
    """What a job is doing."""

    STARTING = "starting"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"


ENDED = frozenset({State.FINISHED, State.CANCELLED, State.FAILED})


@dataclass(frozen=True)
class JobStatus:
    """How far a job is, as ``status.json`` says it.

    Attributes:
        state: what it is doing.
        step: steps done.
        total: steps wanted; 0 where unknown.
        loss: latest training loss; ``None`` before the first or where it is not a finite number.
        eta: seconds to go by the pace of this run; ``None`` where unknown.
        preview: path of the latest picture, relative to the job's folder; empty without one.
        message: what it is at, or why it ended.
        updated: seconds since 1970.
    """

    state: State = State.STARTING
    step: int = 0
    total: int = 0
    loss: float | None = None
    eta: float | None = None
    preview: str = ""
    message: str = ""
    updated: float = 0.0


def read_status(folder: Path) -> JobStatus:
    """What ``status.json`` says; a fresh status where there is none yet.

    Raises:
        BadInputError: it is damaged.
    """
    path = folder / _STATUS
    if not path.exists():
        return JobStatus()
    content = read_json(path)
    known = {entry.name for entry in fields(JobStatus)}
    try:
        status = JobStatus(**{key: value for key, value in content.items() if key in known})
        return replace(status, state=State(status.state))
    except (TypeError, ValueError) as error:
        raise BadInputError(f"{path} is damaged.", "Start the training again.") from error


def write_status(folder: Path, status: JobStatus) -> None:
    """Replace ``status.json`` atomically; a loss that is not finite is left out."""
    content = asdict(status)
    for key in ("loss", "eta"):
        if content[key] is not None and not math.isfinite(content[key]):
            content[key] = None
    write_json(folder / _STATUS, content)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file of a job's folder.

    Raises:
        BadInputError: no file, or no object in it.
    """
    # On Windows a file cannot be opened in the moment in which it is replaced.
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            break
        except FileNotFoundError as error:
            raise BadInputError(f"There is no job in {path.parent}.", "Check the path.") from error
        except (OSError, ValueError) as error:
            if attempt == _ATTEMPTS or not isinstance(error, PermissionError):
                raise BadInputError(f"{path} cannot be read: {error}.") from error
            time.sleep(_PAUSE)
    if not isinstance(content, dict):
        raise BadInputError(f"{path} is damaged.", "Start the training again.")
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
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
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with atomic_write(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except PermissionError:
            if attempt == _ATTEMPTS:
                raise
            time.sleep(_PAUSE)
        else:
            return
