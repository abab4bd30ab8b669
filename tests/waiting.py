# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what other threads and processes do.

How long that takes is the machine's, so no test may depend on it: the one deadline here is far
beyond anything that works, and only ends a test that hangs.
"""

from __future__ import annotations

import threading
import time
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
    values = []
    thread = threading.Thread(target=lambda: values.append(call()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert values, "it has raised, or it never returns"
    return values[0]


def process_state(pid):
    """Linux's letter for what a process does: T for one that is stopped, none for one that ended.

    A zombie has ended.
    """
    try:
        state = (
            Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
        )
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if state == "Z" else state
