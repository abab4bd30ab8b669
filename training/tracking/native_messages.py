# SPDX-License-Identifier: GPL-3.0-or-later
"""What libraries in C++ write to stderr by themselves, past Python and its settings."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from engine.core import platforms

_STDERR = 2


@contextlib.contextmanager
def native_messages_in(path: Path) -> Iterator[None]:
    """Have what native code writes to stderr written to a file, which is deleted at the end.

    MediaPipe says at each start what it lacks for programs of other kinds, and no setting stops it.
    Where native code ends the process its last words stay in the file. Python's stderr stays.

    Args:
        path: of the file. Where it cannot be written, nothing is changed.
    """
    try:
        file = path.open("wb")
    except OSError:
        yield
        return
    before = sys.stderr
    try:
        with (
            file,
            os.fdopen(os.dup(_STDERR), "w", 1, "utf-8", "backslashreplace") as shown,
        ):
            os.dup2(file.fileno(), _STDERR)
            if _is_stderr(before):
                sys.stderr = shown
            try:
                yield
            finally:
                sys.stderr = before
                shown.flush()
                os.dup2(shown.fileno(), _STDERR)
    finally:
        platforms.remove(path)


def _is_stderr(stream: TextIO | None) -> bool:
    """Whether what Python calls stderr is the process's: tests and notebooks replace it."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return stream is not None and stream.fileno() == _STDERR
    return False
