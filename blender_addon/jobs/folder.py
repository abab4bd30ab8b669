# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of this machine's jobs: one folder a job, which its worker keeps writing. No bpy.

Read as ``gaussianspeech jobs`` reads it (``engine/jobs/folder.py`` says what lies in it): what
was started here is found there and the other way round. Everything here may wait for a disk or a
network: it is called from threads.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...engine.core.errors import BadInputError
from ...engine.jobs import process as detached
from .job import AVATAR, CAPTURE, ENDED, SPEECH, Job, State

_FORMAT = "gaussianspeech-job-1"
_JOB, _STATUS, _LOG, _CANCEL, _STARTING = (
    "job.json",
    "status.json",
    "log.txt",
    "cancel",
    "starting",
)
_RESULTS = {AVATAR: "avatar.safetensors", SPEECH: "speech_model.safetensors"}
_NEEDS = ("data", "avatar", "speech_model", "start")
"""Where the configuration of a training names what it reads, in ``job.json``."""
_VIEWS = "transforms_train.json"
_LINE = 400
"""Bytes of a log that are read for each line asked for."""


class JobFolder:
    """The jobs of this machine.

    Args:
        root: folder of the jobs; it need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen: dict[Path, tuple[tuple[int, ...], Job]] = {}

    def read(self) -> list[Job]:
        """All jobs, the latest first; folders that are no jobs are passed over.

        Raises:
            BadInputError: the folder cannot be read.
        """
        try:
            folders = [path.parent for path in self.root.glob(f"*/{_JOB}")]
        except OSError as error:
            raise BadInputError(
                f"The folder of the jobs {self.root} cannot be read: {error.strerror or error}.",
                "Check its permissions.",
            ) from error
        jobs = [self._job(folder) for folder in folders]
        self._seen = {path: seen for path, seen in self._seen.items() if path in folders}
        return sorted(jobs, key=lambda job: (job.created, job.id), reverse=True)

    def log_tail(self, job: str, lines: int) -> tuple[str, ...]:
        """The last lines that a job printed."""
        try:
            with (self.root / job / _LOG).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LINE * lines))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ()
        return tuple(text.splitlines()[-lines:])

    def cancel(self, job: str) -> None:
        """Ask a job to save a checkpoint and stop.

        Raises:
            BadInputError: there is no such job, or its folder cannot be written.
        """
        try:
            (self._own(job) / _CANCEL).touch()
        except OSError as error:
            raise BadInputError(
                f"The job {job} cannot be cancelled: {error.strerror or error}.",
                f"Check the permissions of {self.root}.",
            ) from error

    def remove(self, job: str) -> None:
        """Delete the folder of a job that has ended.

        Raises:
            BadInputError: it runs, there is no such job, or files cannot be deleted.
        """
        folder = self._own(job)
        if self._read(folder).running:
            raise BadInputError(f"The job {job} is running.", "Cancel it first.")
        try:
            # Without this file the rest is no job any more, should the deletion be broken off.
            (folder / _JOB).unlink()
            shutil.rmtree(folder)
        except OSError as error:
            raise BadInputError(
                f"The folder of the job {job} cannot be deleted: {error.strerror or error}.",
                f"Close programs that use {folder} and delete what is left of it.",
            ) from error

    def _own(self, job: str) -> Path:
        folder = self.root / job
        if not job or Path(job).name != job or not (folder / _JOB).is_file():
            raise BadInputError(f"There is no job {job!r} in {self.root}.", "Refresh the list.")
        return folder

    def _job(self, folder: Path) -> Job:
        """The job, from memory where it had ended and nothing was written since."""
        written = _written(folder)
        before = self._seen.get(folder)
        if before is not None and before[0] == written and before[1].state in ENDED:
            return before[1]
        try:
            job = self._read(folder)
        except PermissionError:
            # On Windows a file cannot be opened in the moment in which it is replaced.
            return before[1] if before is not None else Job(folder.name, folder=str(folder))
        self._seen[folder] = (written, job)
        return job

    def _read(self, folder: Path) -> Job:
        try:
            about = _job_json(folder / _JOB)
            # The process first: a status read afterwards is at least as new as this look at it.
            alive = _alive(folder, about.get("process"))
            status = _json(folder / _STATUS)
            return _as_seen(folder, about, status, alive=alive)
        except PermissionError:
            raise
        except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
            return Job(
                folder.name,
                state=State.FAILED,
                message=f"The job's files cannot be read: {error}.",
                folder=str(folder),
            )


def _as_seen(
    folder: Path, about: Mapping[str, Any], status: Mapping[str, Any], *, alive: bool
) -> Job:
    config = about.get("config") or {}
    state, message = State(status.get("state", State.STARTING)), str(status.get("message", ""))
    if state not in ENDED:
        if not alive:
            state = State.FAILED
            message = "The process ended without a word; its log may tell why."
        elif (folder / _CANCEL).exists():
            state = State.CANCELLING
    preview, preview_time = _preview(folder, status.get("preview"))
    return Job(
        id=folder.name,
        kind=str(config.get("kind", "")),
        state=state,
        step=int(status.get("step", 0)),
        total=int(status.get("total", 0)),
        loss=_number(status.get("loss")),
        eta=_number(status.get("eta")) if state not in ENDED else None,
        message=message,
        created=float(about.get("created", 0.0)),
        updated=float(status.get("updated", 0.0)),
        data=str(config.get("data", "")),
        needs=tuple(str(config[name]) for name in _NEEDS if config.get(name)),
        folder=str(folder),
        preview=preview,
        preview_time=preview_time,
        report=state in ENDED and (folder / "report.html").is_file(),
        results=_results(folder, state),
    )


def _results(folder: Path, state: State) -> dict[str, str]:
    if state not in ENDED:
        return {}
    found = {kind: folder / name for kind, name in _RESULTS.items()}
    results = {kind: str(path) for kind, path in found.items() if path.is_file()}
    if state is State.FINISHED and (folder / _VIEWS).is_file():
        results[CAPTURE] = str(folder)
    return results


def _alive(folder: Path, process: Any) -> bool:
    if process is None:
        return (folder / _STARTING).exists()
    return detached.is_running(detached.Process(int(process[0]), str(process[1])))


def _preview(folder: Path, name: object) -> tuple[Path | None, int]:
    if not isinstance(name, str) or not name:
        return None, 0
    path = folder / name
    with contextlib.suppress(OSError):
        return path, path.stat().st_mtime_ns
    return None, 0


def _written(folder: Path) -> tuple[int, ...]:
    times = []
    for name in (_JOB, _STATUS):
        try:
            times.append((folder / name).stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)


def _job_json(path: Path) -> dict[str, Any]:
    about = _json(path)
    if about.get("format") != _FORMAT:
        raise ValueError(f"{path.name} is not of this version")
    return about


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    if not isinstance(content, dict):
        raise TypeError(f"{path.name} holds no object")
    return content


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
