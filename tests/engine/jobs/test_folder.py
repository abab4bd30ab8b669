# SPDX-License-Identifier: GPL-3.0-or-later
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.core.errors import BadInputError, CancelledError
from engine.jobs import folder as jobs
from engine.jobs import process as detached
from engine.jobs.folder import cancel, list_jobs, log_tail, resume, show, start_job
from engine.jobs.status import JobStatus, State, read_status, write_status
from engine.jobs.worker import JobHandle

WORKER = """
import sys, time
from engine.core.errors import CancelledError
from engine.jobs.worker import JobHandle

total, pause, fail_at = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
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


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Start a small job; whatever still runs at the end of the test is ended."""
    repository = Path(jobs.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", str(repository))
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    root = tmp_path / "jobs"

    def start(total=3, pause=0.0, fail_at=-1, **options):
        command = [sys.executable, str(script), str(total), str(pause), str(fail_at)]
        return start_job(root, "small", command, **options)

    yield start
    for job in list_jobs(root):
        if job.process is not None:
            detached.kill(job.process)


def until(condition, patience=30.0):
    """Wait for something another process does."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def ended(job):
    until(lambda: not show(job.folder).running)
    until(lambda: not detached.is_running(job.process))
    return show(job.folder)


def until_step(job, step):
    until(lambda: show(job.folder).status.step >= step)


def test_a_job_runs_to_its_end_and_tells_so(worker):
    job = ended(worker(total=5, config={"rate": 0.1, "preset": "tiny"}))
    assert job.status.state is State.FINISHED
    assert (job.status.step, job.status.total) == (5, 5)
    assert job.status.loss == pytest.approx(0.2)
    assert job.config == {"rate": 0.1, "preset": "tiny"}
    assert log_tail(job.folder) == ["from 0 resumed False", "after the work"]


def test_a_running_job_tells_step_loss_and_time_to_go(worker):
    job = worker(total=2000, pause=0.01)
    until_step(job, 20)
    job = show(job.folder)
    assert job.running
    assert job.status.state is State.RUNNING
    assert 0 < job.status.loss < 1
    assert 1 < job.status.eta < 2000
    cancel(job.folder)
    ended(job)


def test_cancel_lets_the_worker_save_and_stop(worker):
    job = worker(total=10_000, pause=0.01)
    until_step(job, 3)
    assert cancel(job.folder).cancelling
    job = ended(job)
    assert job.status.state is State.CANCELLED
    assert not job.cancelling
    saved = int((job.checkpoints / "step.txt").read_text())
    assert saved == job.status.step >= 3
    assert job.status.eta is None


def test_resume_goes_on_from_the_checkpoint(worker):
    job = worker(total=120, pause=0.01)
    until_step(job, 3)
    cancel(job.folder)
    stopped = ended(job).status.step
    again = resume(job.folder)
    assert again.runs == 2
    assert again.id == job.id
    job = ended(again)
    assert job.status.state is State.FINISHED
    assert job.status.step == 120
    assert f"from {stopped} resumed True" in log_tail(job.folder)


def test_a_failed_job_names_the_error_and_keeps_the_traceback_in_the_log(worker):
    job = ended(worker(total=5, fail_at=2))
    assert job.status.state is State.FAILED
    assert job.status.message == "the loss exploded"
    assert "RuntimeError: the loss exploded" in log_tail(job.folder)


def test_a_failed_job_can_be_resumed(worker):
    job = ended(worker(total=5, fail_at=2))
    job = ended(resume(job.folder))
    assert job.status.state is State.FINISHED
    assert "from 2 resumed True" in log_tail(job.folder)


def test_a_killed_job_is_failed_not_running(worker):
    job = worker(total=10_000, pause=0.01)
    until_step(job, 2)
    detached.kill(job.process)
    job = ended(job)
    assert read_status(job.folder).state is State.RUNNING
    assert job.status.state is State.FAILED
    assert "log.txt" in job.status.message
    assert resume(job.folder).running


def test_another_process_with_the_same_id_is_not_the_job(worker):
    job = ended(worker())
    content = json.loads((job.folder / "job.json").read_text())
    content["process"] = [os.getpid(), "another start"]
    (job.folder / "job.json").write_text(json.dumps(content))
    write_status(job.folder, JobStatus(State.RUNNING, step=1))
    assert show(job.folder).status.state is State.FAILED
    assert not detached.kill(show(job.folder).process)


def test_cancel_at_once_ends_a_worker_that_does_not_listen(tmp_path):
    job = start_job(tmp_path, "deaf", [sys.executable, "-c", "import time; time.sleep(600)"])
    assert show(job.folder).running
    job = cancel(job.folder, at_once=True)
    assert job.status.state is State.CANCELLED
    assert not detached.is_running(job.process)


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX's")
def test_cancel_at_once_ends_the_workers_children_too(tmp_path):
    script = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(tmp_path / 'child')!r}).write_text(str(child.pid))\n"
        "time.sleep(600)"
    )
    job = start_job(tmp_path / "jobs", "parent", [sys.executable, "-c", script])
    until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    child = int((tmp_path / "child").read_text())
    cancel(job.folder, at_once=True)
    until(lambda: detached.start_time(child) is None)


def test_a_job_survives_the_end_of_its_starter(tmp_path, worker):
    done = worker()  # Only for the worker's script and the environment.
    ended(done)
    starter = (
        "import sys\n"
        "from engine.jobs.folder import start_job\n"
        "command = [sys.executable, sys.argv[2], '60', '0.01', '-1']\n"
        "job = start_job(sys.argv[1], 'orphan', command)\n"
        "print(job.folder)\n"
    )
    folders = [str(tmp_path / "jobs"), str(tmp_path / "worker.py")]
    command = [sys.executable, "-c", starter, *folders]
    folder = Path(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    )
    assert show(folder).running
    job = ended(show(folder))
    assert job.status.state is State.FINISHED
    assert job.status.step == 60


@pytest.mark.skipif(sys.platform == "win32", reason="sessions are POSIX's")
def test_a_job_has_a_session_of_its_own(worker):
    job = worker(total=10_000, pause=0.01)
    assert os.getsid(job.process.pid) == job.process.pid != os.getsid(0)


def test_jobs_are_listed_latest_first_and_other_folders_passed_over(tmp_path, worker):
    first, second = worker(), worker()
    (tmp_path / "jobs" / "notes").mkdir()
    assert [job.id for job in list_jobs(tmp_path / "jobs")] == [second.id, first.id]
    assert first.id != second.id
    assert list_jobs(tmp_path / "nothing here") == []
    for job in (first, second):
        ended(job)


def test_a_damaged_job_is_listed_as_failed(tmp_path, worker):
    job = ended(worker())
    (job.folder / "job.json").write_text("{")
    (listed,) = list_jobs(tmp_path / "jobs")
    assert listed.status.state is State.FAILED
    assert "job.json" in listed.status.message


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "gaussianspeech-job-1"}', "\x00"])
def test_a_damaged_job_file_is_a_clear_error(tmp_path, content):
    (tmp_path / "job.json").write_text(content)
    with pytest.raises(BadInputError):
        show(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"state": "dancing"}'])
def test_a_damaged_status_is_a_clear_error(tmp_path, content):
    (tmp_path / "status.json").write_text(content)
    with pytest.raises(BadInputError, match=r"status\.json"):
        read_status(tmp_path)


def test_a_folder_without_a_job_is_a_clear_error(tmp_path):
    for action in (show, cancel, resume):
        with pytest.raises(BadInputError, match="no job"):
            action(tmp_path / "nothing")


def test_a_program_that_does_not_exist_leaves_no_job(tmp_path):
    with pytest.raises(BadInputError, match="no-such-program"):
        start_job(tmp_path, "x", ["/no-such-program"])
    assert list(tmp_path.iterdir()) == []


def test_a_config_that_json_cannot_hold_leaves_no_job(tmp_path):
    with pytest.raises(BadInputError):
        start_job(tmp_path, "x", [sys.executable], config={"path": object()})
    assert list(tmp_path.iterdir()) == []


def test_a_running_or_finished_job_is_not_started_again(worker):
    job = worker(total=10_000, pause=0.01)
    with pytest.raises(BadInputError, match="is running"):
        resume(job.folder)
    cancel(job.folder)
    ended(job)
    done = ended(worker())
    with pytest.raises(BadInputError, match="has finished"):
        resume(done.folder)
    assert show(done.folder).runs == 1


def test_of_two_resumes_at_once_one_starts(worker):
    job = worker(total=10_000, pause=0.01)
    until_step(job, 1)
    cancel(job.folder)
    ended(job)
    outcomes = []

    def again():
        try:
            outcomes.append(resume(job.folder).runs)
        except BadInputError:
            outcomes.append("refused")

    threads = [threading.Thread(target=again) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == ["2", "refused", "refused", "refused"]


def test_cancelling_an_ended_job_changes_nothing(worker):
    job = ended(worker())
    assert cancel(job.folder) == job
    assert not (job.folder / "cancel").exists()


def test_names_become_folder_names(tmp_path):
    command = [sys.executable, "-c", "pass"]
    for name in ("../../evil", "Ünï cøde/1", "", "..."):
        job = start_job(tmp_path, name, command)
        assert job.folder.parent == tmp_path


def test_a_reader_never_sees_half_a_status(tmp_path):
    stop = threading.Event()

    def write():
        step = 0
        while not stop.is_set():
            step += 1
            write_status(tmp_path, JobStatus(State.RUNNING, step, message="x" * 5000))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        steps = [read_status(tmp_path).step for _ in range(300)]
    finally:
        stop.set()
        thread.join()
    assert steps == sorted(steps)
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_loss_that_is_no_number_is_left_out(tmp_path):
    write_status(tmp_path, JobStatus(State.RUNNING, loss=math.nan, eta=math.inf))
    status = read_status(tmp_path)
    assert status.loss is None
    assert status.eta is None


@pytest.fixture
def handle(worker):
    """A handle in this process on a job whose own worker has ended."""
    return JobHandle(ended(worker()).folder, total=10)


def test_a_preview_is_told_at_once_relative_to_the_job(handle):
    with handle:
        handle.update(1, preview=handle.folder / "previews" / "0001.png")
        assert read_status(handle.folder).preview == "previews/0001.png"
        handle.update(2, preview="previews/0002.png")
        assert read_status(handle.folder).preview == "previews/0002.png"


def test_a_preview_outside_the_job_is_refused(handle, tmp_path):
    with pytest.raises(BadInputError, match="not in the job's folder"):
        handle.update(1, preview=tmp_path.parent / "picture.png")


def test_updates_are_written_at_most_twice_a_second_and_at_the_end(handle, monkeypatch):
    written = []
    monkeypatch.setattr(
        "engine.jobs.worker.write_status", lambda _f, status: written.append(status)
    )
    with handle:
        for step in range(10_000):
            handle.update(step)
    assert written[-1].step == 9999
    assert len(written) < 100


def test_a_status_that_cannot_be_written_does_not_end_the_work(handle, monkeypatch):
    def full(_folder, _status):
        raise OSError("no space left")

    with handle:
        with monkeypatch.context() as broken:
            broken.setattr("engine.jobs.worker.write_status", full)
            handle.update(1, preview="one.png")
        handle.update(2, preview="two.png")
    assert read_status(handle.folder).preview == "two.png"


def test_progress_raises_when_the_user_has_cancelled(handle):
    with handle:
        handle.progress(0.5, "halfway")
        assert handle.status.step == 5
        (handle.folder / "cancel").touch()
        with pytest.raises(CancelledError):
            handle.progress(0.6, "further")


def test_a_process_that_is_no_job_says_so(monkeypatch):
    monkeypatch.delenv(jobs.ENVIRONMENT, raising=False)
    with pytest.raises(BadInputError, match="not started as a job"):
        JobHandle.current()


def test_the_start_time_tells_processes_apart():
    own = detached.start_time(os.getpid())
    assert own == detached.start_time(os.getpid())
    assert detached.is_running(detached.Process(os.getpid(), own))
    assert not detached.is_running(detached.Process(os.getpid(), own + "0"))
    assert detached.start_time(2**22 + 1) is None


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps")
def test_the_start_time_by_ps_tells_processes_apart():
    own = detached._start_time_ps(os.getpid())
    assert own == detached._start_time_ps(os.getpid())
    assert own != detached._start_time_ps(1)
    assert detached._start_time_ps(2**22 + 1) is None


@pytest.mark.skipif(sys.platform == "win32", reason="zombies are POSIX's")
def test_a_zombie_is_not_running():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    started = detached.start_time(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not detached.is_running(detached.Process(process.pid, started)))
    process.wait()


def test_steps_wanted_may_become_known_later(tmp_path):
    from engine.jobs.worker import JobHandle

    job = jobs.start_job(tmp_path, "late", [sys.executable, "-c", "pass"])
    until(lambda: not detached.is_running(jobs.show(job.folder).process))
    with JobHandle(job.folder) as handle:
        handle.update(1, total=4)
        handle.update(2)
    assert (jobs.show(job.folder).status.step, jobs.show(job.folder).status.total) == (2, 4)


def test_preparation_says_nothing_of_the_pace_of_a_resumed_run(handle, monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("engine.jobs.worker.time.monotonic", lambda: float(next(clock)))
    resumed = JobHandle(handle.folder)
    resumed.update(0, message="reading the data")
    resumed.update(1000, total=2000)
    assert resumed.status.eta is None
    resumed.update(1010)
    # Ten steps in ten seconds, or twenty with a look at the clock for a write; 990 to go.
    assert 990 <= resumed.status.eta <= 1980


def test_a_job_given_again_tells_of_its_new_settings(tmp_path):
    folder = tmp_path / "job"
    jobs.adopt_job(folder, ["true"], config={"avatar": "old"})
    with pytest.raises(BadInputError), JobHandle(folder):
        raise BadInputError("There is no such avatar.")
    again = jobs.adopt_job(folder, ["true"], config={"avatar": "new"})
    assert again.config == {"avatar": "new"}
    assert again.runs == 2
