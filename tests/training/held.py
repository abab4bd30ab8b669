# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that stop where they have just written a file, so that a test kills them there.

Without that they would go on until they are killed, perhaps to their end.
"""

from __future__ import annotations

import os
from pathlib import Path

_START = """
import os, time

replace = os.replace


def replace_and_stop(source, target, **options):
    replace(source, target, **options)
    if os.fspath(target).endswith({end!r}):
        try:
            os.close(os.open({stopped!r}, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        while True:
            time.sleep(60)


os.replace = replace_and_stop
"""
"""Python runs it at the start of each process."""


def stop_after(end: Path, folder: Path, monkeypatch) -> Path:
    """Let the processes that are started from now on stop, the first of them that comes so far.

    Args:
        end: of the path of the file that it has then written.
        folder: made, for what does this.
        monkeypatch: pytest's.

    Returns:
        A file that is there once a process has stopped.
    """
    folder.mkdir()
    stopped = folder / "stopped"
    start = _START.format(end=str(end), stopped=str(stopped))
    (folder / "sitecustomize.py").write_text(start, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    return stopped
