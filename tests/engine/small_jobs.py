# SPDX-License-Identifier: GPL-3.0-or-later
"""Small jobs, whose command counts steps, and waiting for them."""

from engine.jobs import process as processes
from engine.jobs.folder import show
from tests.waiting import until

WORKER = """
import sys, time
from engine.core.errors import CancelledError
from engine.jobs.worker import JobHandle

total, pause, fail_at = int(sys.argv[-3]), float(sys.argv[-2]), int(sys.argv[-1])
with JobHandle.current(total=total) as job:
    saved = job.checkpoints / "step.txt"
    first = int(saved.read_text()) if saved.exists() else 0
    print("from", first, "resumed", job.resumed, flush=True)
    for step in range(first, total):
        if step == fail_at and not job.resumed:
            saved.write_text(str(step))
            raise RuntimeError("the loss exploded")
        time.sleep(pause)
        job.update(step + 1, loss=1 / (step + 1))
        if job.cancel_requested:
            saved.write_text(str(step + 1))
            raise CancelledError
print("after the work", flush=True)
"""


def until_step(job, step):
    until(lambda: show(job.folder).status.step >= step)


def ended(job):
    """The job once it has ended."""
    until(lambda: not show(job.folder).running)
    until(lambda: not processes.is_running(job.process))
    return show(job.folder)
