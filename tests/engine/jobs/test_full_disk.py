# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk fills up before any change of files of a job; with room again the job can be used on."""

import errno
import os
import sys

import pytest

from engine.core.errors import BadInputError
from engine.jobs.folder import adopt_job, cancel, list_jobs, resume, show, start_job
from engine.jobs.status import State
from engine.jobs.worker import JobHandle
from tests.engine.jobs.file_changes import COMMAND, MOST, is_change
from tests.engine.small_jobs import ended

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")

WHOLE = "there was room for all"


def said_without_room(change, work):
    """What is said of work on a disk that is full from its n-th change on; empty: nothing was lost.

    Files and folders can be removed from a full disk, too.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        left, said = change, ""

        def count(event, args):
            nonlocal left
            if is_change(event, args) and event not in ("os.remove", "os.rmdir"):
                left -= 1
                if left <= 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(args[0]))

        sys.addaudithook(count)
        try:
            work()
        except BadInputError as error:
            said = str(error)
        except BaseException as error:  # noqa: BLE001 - the child must not continue as a second test run.
            said = f"unforeseen: {error!r}"
        os.write(write, (said or WHOLE * (left > 0)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    assert not said.startswith("unforeseen"), said
    return said


def each_shortage(root, work):
    """A folder for each change at which the disk was full, and what was said."""
    for change in range(1, MOST):
        folder = root / f"job-{change}"
        said = said_without_room(change, lambda folder=folder: work(folder))
        if said == WHOLE:
            assert change > 3
            return
        yield folder, said
    raise AssertionError("the work never comes to its end")


def train(folder):
    adopt_job(folder, COMMAND, config={"steps": 2})
    with JobHandle(folder, total=2) as job:
        for step in (1, 2):
            job.update(step, loss=1 / step)


def test_a_training_says_so_and_is_begun_again(tmp_path):
    refused = 0
    for folder, said in each_shortage(tmp_path, train):
        listed = [job for job in list_jobs(tmp_path) if job.folder == folder]
        assert all(not job.running and job.status.state is not State.DAMAGED for job in listed)
        if said:
            refused += 1
            assert "No space left" in said or "disk is full" in said
        if not listed or listed[0].status.state is not State.FINISHED:
            train(folder)
        assert show(folder).status.state is State.FINISHED
    assert refused > 3


def test_a_start_says_so_and_leaves_nothing(tmp_path, program):
    program("import time\ntime.sleep(0.2)\n")
    for folder, said in each_shortage(tmp_path, lambda folder: start_job(folder, COMMAND)):
        assert "No space left" in said or "disk is full" in said
        assert not folder.exists()


def test_a_resumption_says_so_and_can_be_repeated(worker):
    job = worker(total=100_000, pause=0.01)
    cancel(job.folder, at_once=True)
    ended(job)
    change = 1
    while (said := said_without_room(change, lambda: resume(job.folder))) != WHOLE:
        assert "No space left" in said or "disk is full" in said
        assert show(job.folder).status.state in (State.CANCELLED, State.FAILED)
        assert show(job.folder).resumable
        change += 1
    assert change > 3
    assert show(job.folder).running
