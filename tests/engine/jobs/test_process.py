# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process is which, and ending one with all that it started."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from engine.jobs import process as processes
from engine.jobs.process import Process
from tests.waiting import until

SLEEP = "import time; time.sleep(600)"

PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def run():
    """Start a Python program; killed at the end of the test."""
    started = []

    def start(code, **options):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, **options)
        started.append(process)
        return process, Process(process.pid, processes.start_time(process.pid))

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_start_time_tells_processes_apart(run):
    own = processes.start_time(os.getpid())
    assert processes.is_running(Process(os.getpid(), own))
    assert not processes.is_running(Process(os.getpid(), own - 60))


@pytest.mark.parametrize("pid", [2**22 + 1, -1, 0, 2**80])
def test_a_process_that_cannot_be_does_not_run(pid):
    assert not processes.is_running(Process(pid, -1e9))
    assert not processes.kill(Process(pid, -1e9))


def test_a_process_is_known_by_the_end_of_its_command_line(run):
    process, known = run(SLEEP)
    # For an instant after its start a process has no command line yet.
    until(lambda: processes.runs_words(process.pid, ["-c", SLEEP]) == known.started)
    assert processes.runs_words(process.pid, ["-c", "other"]) is None
    assert processes.runs_words(process.pid, []) is None
    assert processes.runs_words(2**22 + 1, ["-c"]) is None


def test_killing_ends_the_process_and_its_descendants(run):
    process, known = run(PARENT)
    child = int(process.stdout.readline())
    assert processes.kill(known)
    assert processes.start_time(process.pid) is None
    assert processes.start_time(child) is None


def test_killing_spares_the_other_processes_of_the_group(run):
    # As in a terminal, where a training shares its group with the shell's script around it.
    _, sibling = run(SLEEP)
    _, known = run(SLEEP)
    assert processes.kill(known)
    assert processes.is_running(sibling)


def test_another_process_with_the_id_is_not_killed(run):
    process, known = run(SLEEP)
    assert not processes.kill(known._replace(started=known.started - 60))
    assert process.poll() is None


@pytest.mark.skipif(sys.platform == "win32", reason="zombies are POSIX's")
def test_a_zombie_is_not_running(run):
    process, known = run(SLEEP)
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert not processes.is_running(known)
