# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that is set, or a machine that sleeps, neither ends nor keeps anything."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from engine.jobs.command import JobCommand
from engine.jobs.folder import adopt_job, list_jobs, show
from engine.jobs.status import State
from engine.jobs.worker import JobHandle

ROOT = Path(__file__).resolve().parents[3]
COMMAND = JobCommand("train avatar", ("--steps", "10"))


def test_no_limit_is_counted_on_a_clock_that_can_be_set():
    """The wall clock gives dates and time codes, and the age of a lock that names nobody."""
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("engine", "training", "blender_addon")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"\btime\.time\(|datetime\.(now|today|utcnow)\(", path.read_text("utf-8"))
    }
    jobs = {f"engine/jobs/{name}.py" for name in ("folder", "record", "worker")}
    assert found <= jobs | {"engine/live/senders.py"}


@pytest.mark.parametrize("hours", [-1000, -1, 1, 1000])
def test_a_clock_that_is_set_in_a_training_changes_nothing_but_the_dates(
    tmp_path, monkeypatch, hours
):
    folder = tmp_path / "job"
    adopt_job(folder, COMMAND)
    real = time.time
    with JobHandle(folder, total=10) as job:
        job.update(1, loss=0.5)
        monkeypatch.setattr("time.time", lambda: real() + 3600 * hours)
        job.update(2, loss=0.4)
        assert 0 <= job.status.eta < 60
        assert show(folder).status.state is State.RUNNING
        assert [listed.id for listed in list_jobs(tmp_path)] == ["job"]
    assert show(folder).status.state is State.FINISHED
