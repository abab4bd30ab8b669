# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job has made so far: its picture and its results, and all of it in one record."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from engine.core.errors import BadInputError
from engine.jobs.folder import inside
from engine.jobs.record import Job
from engine.jobs.status import State
from engine.jobs.summary import AVATAR, CAPTURE, PERSON, SPEECH, JobSummary

_RESULTS = {AVATAR: "avatar.safetensors", SPEECH: "speech_model.safetensors"}
"""Files that a job leaves in its folder for others to use, by kind."""

_VIEWS = "transforms_train.json"
"""The file by which a folder is a capture that can be trained on."""

_PERSON = "person.json"
"""The file by which a folder is a person's (docs/persons.md)."""

_REPORT = "report.html"
_READ = ("data", "video", "avatar", "speech_model", "start", "initial")
"""Where the configuration of a training names what it reads."""

_LARGEST_PICTURE = 64 << 20
_MOST_NOTES = 10
_LONGEST = 1000
"""Characters of a text in a record: a message travels in a header of bounded size."""


def summarize(job: Job) -> JobSummary:
    """A job's record, with what lies in its folder."""
    status, config = job.status, job.config
    reads = [_text(path) for name in _READ for path in _paths(config.get(name))]
    return JobSummary(
        id=_text(job.id),
        kind=_text(config.get("kind", "")),
        state=status.state,
        step=status.step,
        total=status.total,
        loss=status.loss,
        eta=status.eta if job.running else None,
        message=_text(status.message),
        created=job.created,
        updated=status.updated,
        data=_text(", ".join(map(str, _paths(config.get("data") or config.get("video"))))),
        needs=tuple(str(Path(job.cwd, path)) for path in reads),
        folder=str(job.folder),
        preview=_written(_picture(job)),
        report=not job.running and inside(job.folder, _REPORT) is not None,
        resumable=job.resumable,
        results=_results(job),
        notes=tuple(_text(note) for note in status.notes[:_MOST_NOTES]),
    )


def read_preview(job: Job) -> bytes:
    """A job's latest picture, as its file is.

    Raises:
        BadInputError: there is none in its folder, or it cannot be read.
    """
    picture = _picture(job)
    try:
        if picture is not None and picture.stat().st_size <= _LARGEST_PICTURE:
            return picture.read_bytes()
    except OSError as error:
        raise BadInputError(f"{picture} cannot be read: {error.strerror}.") from error
    raise BadInputError(f"The job {job.id} has no picture yet.", "Try again later.")


def _paths(value: Any) -> list[Any]:
    """What an option reads: one path, several, or none."""
    if isinstance(value, list):
        return value
    return [value] if value else []


def _text(value: object) -> str:
    """A value of a job's files as a text that can be shown: short, and valid Unicode."""
    return str(value)[:_LONGEST].encode("utf-8", "replace").decode("utf-8")


def _picture(job: Job) -> Path | None:
    return inside(job.folder, job.status.preview) if job.status.preview else None


def _written(path: Path | None) -> int:
    with contextlib.suppress(OSError):  # It may be gone by now.
        return 0 if path is None else path.stat().st_mtime_ns
    return 0


def _results(job: Job) -> dict[str, str]:
    person = {PERSON: str(job.folder)} if (job.folder / _PERSON).is_file() else {}
    if job.running:
        # A person's files are those of stages that are done; all others are still written.
        return person
    paths = {kind: job.folder / name for kind, name in _RESULTS.items()}
    results = {kind: str(path) for kind, path in paths.items() if path.is_file()}
    results = person | results
    if job.status.state is State.FINISHED and (job.folder / _VIEWS).is_file():
        results[CAPTURE] = str(job.folder)
    return results
