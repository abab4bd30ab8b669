# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes of files by which the work on a job is counted, and the command of such a job."""

from __future__ import annotations

import os

from engine.jobs.command import JobCommand

COMMAND = JobCommand("train speech", ("--steps", "3"))
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod")
MOST = 200


def is_change(event, args):
    """Whether an audit event is a change of files."""
    writes = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    return event in CHANGES or bool(writes)
