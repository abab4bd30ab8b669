# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from engine.jobs import process as processes
from engine.jobs.command import JobCommand
from engine.jobs.folder import list_jobs, start_job
from tests.engine.small_jobs import WORKER


@pytest.fixture
def worker(tmp_path, program):
    """Start a small job; whatever still runs at the end of the test is ended."""
    program(WORKER)
    root = tmp_path / "jobs"
    count = 0

    def start(total=3, pause=0.0, fail_at=-1, **options):
        nonlocal count
        count += 1
        command = JobCommand("train avatar", (str(total), str(pause), str(fail_at)))
        return start_job(root / f"small-{count}", command, **options)

    yield start
    for job in list_jobs(root):
        if job.process is not None:
            processes.kill(job.process)
