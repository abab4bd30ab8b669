# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what other threads and processes do.

How long that takes is the machine's, so no test may depend on it: the one deadline here is far
beyond anything that works, and only ends a test that hangs.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

PATIENCE = 300.0
"""Seconds after which what has not happened never will."""


def until(condition, meanwhile=lambda: time.sleep(0.01)):
    """What a condition gives once that is true.

    Args:
        condition: asked again and again.
        meanwhile: called in between.
    """
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        meanwhile()
    return found


def returned(call):
    """What a call returns, made by a thread of its own: one that never returns fails the test."""
    answer = Future()

    def work():
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for.
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return answer.result(PATIENCE)


def process_state(pid):
    """The letter for what a process does: T for one that is stopped, none for one that has ended.

    A zombie has ended.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2]
        except (FileNotFoundError, ProcessLookupError):
            return ""
    else:
        command = ["ps", "-o", "stat=", "-p", str(pid)]
        stat = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    return stat.strip()[:1].strip("Z")
