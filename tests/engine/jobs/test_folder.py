# SPDX-License-Identifier: GPL-3.0-or-later
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from engine.core.errors import BadInputError
from engine.jobs import process as processes
from engine.jobs.command import JobCommand
from engine.jobs.folder import (
    adopt_job,
    cancel,
    free_name,
    list_jobs,
    log_tail,
    remove,
    resume,
    show,
    start_job,
)
from engine.jobs.record import write_job
from engine.jobs.status import JobStatus, State, read_status, write_status
from engine.jobs.worker import JobHandle
from tests.engine.small_jobs import ended, until_step
from tests.waiting import PATIENCE, until

AVATAR = JobCommand("train avatar")
REPOSITORY = Path(__file__).parents[3]


def test_a_job_runs_to_its_end(worker):
    job = ended(worker(total=5, config={"rate": 0.1, "preset": "tiny"}))
    assert job.status.state is State.FINISHED
    assert (job.status.step, job.status.total) == (5, 5)
    assert job.status.loss == pytest.approx(0.2)
    assert job.config == {"rate": 0.1, "preset": "tiny"}
    assert log_tail(job.folder) == ["from 0 resumed False", "after the work"]


def test_a_running_job_has_step_loss_and_remaining_time(worker):
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
    assert cancel(job.folder).status.state in (State.CANCELLING, State.CANCELLED)
    job = ended(job)
    assert job.status.state is State.CANCELLED
    assert not (job.folder / "cancel").exists()
    saved = int((job.checkpoints / "step.txt").read_text())
    assert saved == job.status.step >= 3
    assert job.status.eta is None


def test_resume_continues_from_the_checkpoint(worker):
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
    processes.kill(job.process)
    job = ended(job)
    assert read_status(job.folder).state is State.RUNNING
    assert job.status.state is State.FAILED
    assert "resume the job" in job.status.message
    assert resume(job.folder).running


def test_another_process_with_the_same_id_is_not_the_job(worker):
    job = ended(worker())
    write_job(replace(job, process=processes.Process(os.getpid(), 1.0)))
    write_status(job.folder, JobStatus(State.RUNNING, step=1))
    assert show(job.folder).status.state is State.FAILED


def test_cancel_at_once_ends_a_worker_that_does_not_react(tmp_path, program):
    program("import time; time.sleep(600)")
    job = start_job(tmp_path / "busy", AVATAR)
    assert show(job.folder).running
    job = cancel(job.folder, at_once=True)
    assert job.status.state is State.CANCELLED
    assert not processes.is_running(job.process)


FOREGROUND = """
import subprocess, sys, time
from engine.jobs.folder import adopt_job
from engine.jobs.worker import JobHandle

adopt_job(sys.argv[1], None)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with JobHandle(sys.argv[1]) as job:
    job.update(1, preview=str(child.pid))
    time.sleep(600)
"""


def never_before(first, wait):
    """A way to wait that fails the test before something has happened."""

    def waited(*arguments, **options):
        assert first, "It was waited for."
        return wait(*arguments, **options)

    return waited


_SLOW_START = """
import sys, time
from engine.jobs.worker import JobHandle

{before}
with JobHandle.current(total=3) as job:
    open(job.folder / "began", "w").close()
    job.update(0, message="reading")
    time.sleep(600)
"""


@pytest.mark.parametrize("before", ["", "time.sleep(600)"])
def test_a_job_that_has_done_no_step_is_ended_and_not_waited_for(
    tmp_path, program, before, monkeypatch
):
    program(_SLOW_START.format(before=before))
    job = start_job(tmp_path / "a", JobCommand("train speech", ("0",)))
    if not before:
        until((job.folder / "began").exists)
    killed, kill = [], psutil.Process.kill
    monkeypatch.setattr(psutil.Process, "kill", lambda one: (killed.append(one), kill(one)))
    for owner, name in ((time, "sleep"), (psutil.Process, "wait"), (psutil, "wait_procs")):
        monkeypatch.setattr(owner, name, never_before(killed, getattr(owner, name)))
    assert cancel(job.folder).status.state is State.CANCELLED
    assert not processes.is_running(job.process)
    assert not (job.folder / "cancel").exists()
    assert show(job.folder).resumable


def test_a_stage_that_has_done_no_step_is_preparation_again(tmp_path):
    job = adopt_job(tmp_path / "a", JobCommand("train person"), config={})
    with JobHandle(job.folder, total=200) as handle:
        assert show(job.folder).status.preparing
        part = handle.part(0, 100, "Avatar")
        part.update(1, total=10_000)
        assert not handle.status.preparing
        assert not show(job.folder).status.step
        part = handle.part(100, 100, "Speech")
        assert show(job.folder).status.preparing
        part.update(50, total=100)
        assert not handle.status.preparing
    assert not show(job.folder).status.preparing


def test_cancel_at_once_ends_a_foreground_training_and_nothing_else(tmp_path):
    # It leads no process group of its own: it shares the one of this test.
    command = [sys.executable, "-c", FOREGROUND, str(tmp_path / "here")]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)})
    until((tmp_path / "here" / "job.json").exists)
    until(lambda: show(tmp_path / "here").status.step == 1)
    child = int(show(tmp_path / "here").status.preview)
    assert cancel(tmp_path / "here", at_once=True).status.state is State.CANCELLED
    process.wait(PATIENCE)
    assert processes.start_time(child) is None


def test_a_process_of_another_user_is_named_and_stays(worker, monkeypatch):
    job = worker(total=10_000, pause=0.01)

    def deny(process):
        raise psutil.AccessDenied(process.pid)

    with monkeypatch.context() as denied:
        denied.setattr(psutil.Process, "suspend", deny)
        with pytest.raises(BadInputError, match=f"{job.process.pid} of the job {job.id} may not"):
            cancel(job.folder, at_once=True)
    assert processes.is_running(job.process)


def test_a_job_survives_the_end_of_its_starter(tmp_path, worker):
    starter = (
        "import sys\n"
        "from engine.jobs.folder import start_job\n"
        "from engine.jobs import command\n"
        "command.PACKAGE = 'stand_in'\n"
        "given = command.JobCommand('train avatar', ('60', '0.01', '-1'))\n"
        "print(start_job(sys.argv[1], given).folder)\n"
    )
    command = [sys.executable, "-c", starter, str(tmp_path / "jobs" / "orphan")]
    python_path = os.pathsep.join([os.environ["PYTHONPATH"], str(REPOSITORY)])
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": python_path},
    )
    folder = Path(done.stdout.strip())
    assert show(folder).running
    job = ended(show(folder))
    assert job.status.state is State.FINISHED
    assert job.status.step == 60


@pytest.mark.skipif(sys.platform == "win32", reason="sessions are POSIX's")
def test_a_job_has_a_session_of_its_own(worker):
    job = worker(total=10_000, pause=0.01)
    assert os.getsid(job.process.pid) == job.process.pid != os.getsid(0)


def test_jobs_are_listed_latest_first_and_other_folders_skipped(tmp_path, worker):
    first, second = worker(), worker()
    (tmp_path / "jobs" / "notes").mkdir()
    assert [job.id for job in list_jobs(tmp_path / "jobs")] == [second.id, first.id]
    assert first.id != second.id
    assert list_jobs(tmp_path / "nothing here") == []
    for job in (first, second):
        ended(job)


def test_a_folder_without_a_job_is_a_clear_error(tmp_path):
    for action in (show, cancel, resume):
        with pytest.raises(BadInputError, match="no job"):
            action(tmp_path / "nothing")


def test_a_job_that_cannot_be_started_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no-such-python")
    with pytest.raises(BadInputError, match="cannot be started"):
        start_job(tmp_path / "x", AVATAR)
    assert list(tmp_path.iterdir()) == []


def test_a_config_that_json_cannot_hold_leaves_no_job(tmp_path):
    with pytest.raises(BadInputError):
        start_job(tmp_path / "x", AVATAR, config={"path": object()})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_in_use_is_refused_and_kept(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "notes.txt").write_text("mine")
    for start in (start_job, adopt_job):
        with pytest.raises(BadInputError, match="not empty"):
            start(tmp_path / "x", AVATAR)
    assert (tmp_path / "x" / "notes.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_made_or_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match=r"file.job cannot be made"):
        start_job(tmp_path / "file" / "job", AVATAR)

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.jobs.folder.write_status", full)
    for start in (start_job, adopt_job):
        with pytest.raises(BadInputError, match="cannot be written: No space left"):
            start(tmp_path / start.__name__, AVATAR)


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
    names = [free_name(tmp_path, name) for name in ("../../evil", "Ünï cøde/1", "", "...")]
    assert names == ["evil", "Ünï-cøde-1", "job", "job"]
    assert all(Path(name).name == name for name in names)
    (tmp_path / "job").mkdir()
    assert free_name(tmp_path, "job") == "job-2"
    assert len(free_name(tmp_path, "x" * 1000)) == 100


def test_a_job_given_again_has_its_new_command_and_configuration(tmp_path):
    folder = tmp_path / "job"
    adopt_job(folder, AVATAR, config={"avatar": "old"})
    with pytest.raises(BadInputError), JobHandle(folder):
        raise BadInputError("There is no such avatar.")
    other = JobCommand("train avatar", ("--steps", "3"))
    again = adopt_job(folder, other, config={"avatar": "new"})
    assert (again.command, again.config, again.runs) == (other, {"avatar": "new"}, 2)


def test_a_resumed_job_may_be_given_another_command(worker):
    job = ended(worker(total=5, fail_at=2))
    options = ("7", "0.0", "-1")
    job = ended(resume(job.folder, JobCommand("train avatar", options), config={"steps": 7}))
    assert (job.status.step, job.config, job.command.options) == (7, {"steps": 7}, options)


def test_removing_deletes_the_folder_of_a_job_that_has_ended(worker):
    job = ended(worker())
    (job.checkpoints / "last.pt").write_bytes(b"weights")
    remove(job.folder)
    assert not job.folder.exists()


def test_a_running_job_is_never_removed(worker):
    job = worker(total=10_000, pause=0.01)
    with pytest.raises(BadInputError, match="is running"):
        remove(job.folder)
    (job.folder / "status.json").write_text("{damaged")
    with pytest.raises(BadInputError, match="is running"):
        remove(job.folder)
    assert (job.folder / "job.json").is_file()


def test_the_end_of_a_long_log_is_read(tmp_path):
    adopt_job(tmp_path / "job", AVATAR)
    assert log_tail(tmp_path / "job", 3) == []
    (tmp_path / "job" / "log.txt").write_text("".join(f"step {i}\n" for i in range(50_000)))
    assert log_tail(tmp_path / "job", 3) == ["step 49997", "step 49998", "step 49999"]
