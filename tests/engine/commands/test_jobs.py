# SPDX-License-Identifier: GPL-3.0-or-later
import json
import sys
import time

import pytest

from engine.jobs.folder import show, start_job
from training.cli import main

WORKER = """
import time
from engine.core.errors import CancelledError
from engine.jobs.worker import JobHandle
with JobHandle.current(total=1000) as job:
    for step in range(1000):
        job.update(step, loss=1.0 / (step + 1))
        print("step", step, flush=True)
        if job.cancel_requested:
            raise CancelledError
        time.sleep(0.02)
"""


@pytest.fixture
def job(tmp_path):
    started = start_job(tmp_path, "a training", [sys.executable, "-c", WORKER])
    until(lambda: show(started.folder).status.step > 0)
    yield started
    from engine.jobs.folder import cancel

    if started.folder.exists():
        cancel(started.folder, at_once=True)


def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_jobs_are_listed_with_their_state(job, tmp_path, capsys):
    assert main(["jobs", "list", "--folder", str(tmp_path), "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["job"] == job.id
    assert facts["state"] == "running"


def test_a_job_is_shown_with_its_log(job, tmp_path, capsys):
    assert main(["jobs", "show", job.id, "--folder", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "running" in printed
    assert "\nstep " in printed


def test_a_cancelled_job_can_be_resumed(job, tmp_path, capsys):
    assert main(["jobs", "cancel", job.id, "--folder", str(tmp_path)]) == 0
    until(lambda: not show(job.folder).running)
    assert show(job.folder).status.state == "cancelled"
    assert main(["jobs", "resume", job.id, "--folder", str(tmp_path)]) == 0
    until(lambda: show(job.folder).status.state == "running")


def test_programs_are_told_numbers_times_and_results(job, tmp_path, capsys):
    from engine.jobs.folder import cancel

    main(["jobs", "list", "--folder", str(tmp_path), "--json"])
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["total"] == 1000
    assert facts["steps"] > 0
    assert facts["updated"] >= facts["created"] > 0
    assert facts["results"] == {}
    (job.folder / "avatar.safetensors").write_bytes(b"an avatar")
    cancel(job.folder, at_once=True)
    main(["jobs", "show", job.id, "--folder", str(tmp_path), "--json"])
    made = json.loads(capsys.readouterr().out)["results"]
    assert made == {"avatar": str(job.folder / "avatar.safetensors")}


def test_the_latest_picture_is_written_to_stdout(job, tmp_path, capfdbinary):
    assert main(["jobs", "preview", job.id, "--folder", str(tmp_path)]) == 2
    (job.folder / "preview.png").write_bytes(b"a picture")
    status = json.loads((job.folder / "status.json").read_text())
    from engine.jobs.folder import cancel

    cancel(job.folder, at_once=True)
    status = status | {"state": "cancelled", "preview": "preview.png"}
    (job.folder / "status.json").write_text(json.dumps(status))
    capfdbinary.readouterr()
    assert main(["jobs", "preview", job.id, "--folder", str(tmp_path)]) == 0
    assert capfdbinary.readouterr().out == b"a picture"


def test_only_a_job_that_has_ended_is_removed(job, tmp_path, capsys):
    from engine.jobs.folder import cancel

    assert main(["jobs", "remove", job.id, "--folder", str(tmp_path)]) == 2
    assert "is running" in capsys.readouterr().err
    cancel(job.folder, at_once=True)
    assert main(["jobs", "remove", job.id, "--folder", str(tmp_path)]) == 0
    assert not job.folder.exists()


def test_an_unknown_job_is_named(tmp_path, capsys):
    assert main(["jobs", "show", "nobody", "--folder", str(tmp_path)]) == 2
    assert "nobody" in capsys.readouterr().err


def test_no_jobs_is_no_error(tmp_path, capsys):
    assert main(["jobs", "list", "--folder", str(tmp_path / "none")]) == 0
    assert "no jobs" in capsys.readouterr().out
