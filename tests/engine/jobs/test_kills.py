# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever works on a job is killed between any two changes of files; the job can be used on."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.core.errors import BadInputError, CancelledError
from engine.jobs import process as processes
from engine.jobs.folder import adopt_job, cancel, list_jobs, remove, show, start_job
from engine.jobs.record import read_job, write_job
from engine.jobs.status import State
from engine.jobs.worker import JobHandle
from tests.engine.jobs.file_changes import COMMAND, MOST, is_change
from tests.engine.small_jobs import ended, until_step

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and kills itself")


def killed_at(change, work):
    """Whether a child that does the work is killed just before its n-th change of files."""
    child = os.fork()
    if child == 0:
        left = change

        def count(event, args):
            nonlocal left
            if is_change(event, args):
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            work()
        except (BadInputError, CancelledError):
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the child must not continue as a second test run.
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def each_kill(root, work):
    """A folder for each change at which the work was killed, and one where it came to its end."""
    for change in range(1, MOST):
        folder = root / f"job-{change}"
        killed = killed_at(change, lambda folder=folder: work(folder))
        yield folder, killed
        if not killed:
            return
    raise AssertionError("the work never comes to its end")


def train(folder):
    adopt_job(folder, COMMAND, config={"steps": 2})
    with JobHandle(folder, total=2) as job:
        for step in (1, 2):
            picture = folder / f"{step}.png"
            picture.write_bytes(b"picture")
            job.update(step, loss=1 / step, preview=picture)


def test_a_training_that_is_killed_anywhere_is_listed_and_begun_again(tmp_path):
    for folder, killed in each_kill(tmp_path, train):
        listed = [job for job in list_jobs(tmp_path) if job.folder == folder]
        assert all(job.status.state is not State.DAMAGED for job in listed)
        assert all(not job.running for job in listed)
        if killed and (not listed or listed[0].status.state is not State.FINISHED):
            train(folder)
        assert show(folder).status.state is State.FINISHED


def test_a_cancel_that_is_killed_anywhere_can_be_repeated(worker):
    job = worker(total=100_000, pause=0.01)
    until_step(job, 2)
    for change in range(1, MOST):
        if not killed_at(change, lambda: cancel(job.folder)):
            break
        assert show(job.folder).status.state in (State.RUNNING, State.CANCELLING, State.CANCELLED)
    assert cancel(job.folder).status.state in (State.CANCELLING, State.CANCELLED)
    assert ended(job).status.state is State.CANCELLED


def test_a_removal_that_is_killed_anywhere_leaves_no_half_job(tmp_path):
    for change in range(1, MOST):
        folder = tmp_path / f"job-{change}"
        train(folder)
        killed = killed_at(change, lambda folder=folder: remove(folder))
        assert [job.status.state for job in list_jobs(tmp_path)] in ([], [State.FINISHED])
        if (folder / "job.json").exists():
            remove(folder)
        if not killed:
            assert not folder.exists()
            return
    raise AssertionError("the removal never comes to its end")


def test_a_start_that_is_killed_anywhere_does_not_stay_starting(tmp_path, program):
    program("import time\ntime.sleep(0.2)\n")
    for folder, killed in each_kill(tmp_path, lambda folder: start_job(folder, COMMAND)):
        for job in [job for job in list_jobs(tmp_path) if job.folder == folder]:
            assert job.status.state is not State.DAMAGED
            if job.process is None:
                assert killed
                assert job.status.state is State.FAILED


def test_a_clock_that_is_set_does_not_end_a_job(tmp_path):
    job = adopt_job(tmp_path / "a", COMMAND, config={})
    assert job.process.since_boot
    for hours in (-1000, -1, 1, 1000):
        moved = job.process._replace(started=job.process.started + 3600 * hours)
        write_job(replace(read_job(job.folder), process=moved))
        assert show(job.folder).alive


def test_the_same_id_after_another_start_of_the_machine_is_another_process():
    this = processes.identified(os.getpid())
    assert processes.is_running(this)
    boot, ticks = this.since_boot.split()
    assert not processes.is_running(this._replace(since_boot=f"{boot} {int(ticks) + 1}"))
    assert not processes.is_running(this._replace(since_boot=f"{boot[::-1]} {ticks}"))


def test_of_two_who_begin_in_one_folder_one_gets_it(tmp_path):
    text = (
        "import sys\nfrom engine.core.errors import BadInputError\n"
        "from engine.jobs.command import JobCommand\nfrom engine.jobs.folder import start_job\n"
        "sys.stdin.readline()\n"
        "try:\n    start_job(sys.argv[1], JobCommand('train speech', ('--help',)))\n"
        "except BadInputError as error:\n    print('refused', error)\n"
        "else:\n    print('started')\n"
    )
    repository = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", text, str(tmp_path / "a")]
    both = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=repository,
            env=os.environ | {"PYTHONPATH": str(repository)},
        )
        for _ in range(2)
    ]
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate()[0].split()[0] for process in both)
    assert said == ["refused", "started"]
