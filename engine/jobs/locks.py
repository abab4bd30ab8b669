# SPDX-License-Identifier: GPL-3.0-or-later
"""Round what is written to a job's folder: errors that name it, and one start at a time."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from engine.core import platforms
from engine.core.errors import BadInputError
from engine.jobs.process import identified
from engine.jobs.record import STARTING, being_started


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Name the folder where it cannot be written.

    Raises:
        BadInputError: the block met an error of the system.
    """
    try:
        yield
    except OSError as error:
        raise BadInputError(
            f"The job's folder {folder} cannot be written: {error.strerror}.",
            "Check its permissions and the free space.",
        ) from error


@contextlib.contextmanager
def starting(folder: Path) -> Iterator[None]:
    """Hold the job against a second start at the same time.

    Raises:
        BadInputError: another program is starting it, or its folder cannot be written.
    """
    lock = folder / STARTING
    with writing(folder):
        if not being_started(folder):
            platforms.remove(lock)
        try:
            with lock.open("x", encoding="utf-8") as file:
                json.dump(identified(os.getpid())._asdict(), file)
        except FileExistsError as error:
            raise BadInputError(
                f"The job {folder.name} is being started by another program.",
                "Try again in a few seconds.",
            ) from error
    try:
        yield
    finally:
        platforms.remove(lock)
