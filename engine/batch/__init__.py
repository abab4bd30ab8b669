# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of lines: a manifest in, performances, films and meshes out, on one machine or many.

A line is two tasks at most, *speak* and *film*. The same driver hands them to processes of this
machine (:mod:`.process_pool`) or to a Ray cluster (:mod:`.ray_cluster`). What is done stands in
records beside the results (:mod:`.folder`), so nothing is done twice, whatever ended before.
"""

from __future__ import annotations

from engine.batch.driver import Report, run_batch
from engine.batch.lines import KINDS, BatchLine
from engine.batch.manifest import Defaults, read_manifest
from engine.batch.tasks import Executor, Failure, Outcome, Settings, Stage, Task

__all__ = [
    "KINDS",
    "BatchLine",
    "Defaults",
    "Executor",
    "Failure",
    "Outcome",
    "Report",
    "Settings",
    "Stage",
    "Task",
    "read_manifest",
    "run_batch",
]
