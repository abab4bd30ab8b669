# SPDX-License-Identifier: GPL-3.0-or-later
import json

import pytest

from engine.jobs.command import JobCommand
from engine.jobs.folder import adopt_job, cancel, show, start_job
from engine.jobs.worker import JobHandle
from tests.waiting import until
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
def job(tmp_path, program):
    program(WORKER)
    started = start_job(tmp_path / "jobs" / "a-training", JobCommand("train avatar"))
    until(lambda: show(started.folder).status.step > 0)
    yield started
    if started.folder.exists():
        cancel(started.folder, at_once=True)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "jobs"


def test_jobs_are_listed_with_their_state(job, root, capsys):
    assert main(["jobs", "list", "--folder", str(root), "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["job"] == job.id
    assert facts["state"] == "running"


def test_a_job_is_shown_with_its_log(job, root, capsys):
    assert main(["jobs", "show", job.id, "--folder", str(root)]) == 0
    printed = capsys.readouterr().out
    assert "running" in printed
    assert "\nstep " in printed


@pytest.mark.parametrize("words", [["list"], ["show", "a-training"]])
def test_people_read_short_figures_and_nothing_of_what_is_unknown(root, capsys, words):
    adopt_job(root / "a-training", None)
    with JobHandle(root / "a-training", total=9) as job:
        job.update(3, loss=1 / 3)
    assert main(["jobs", *words, "--folder", str(root)]) == 0
    printed = capsys.readouterr().out
    assert "0.3333" in printed
    assert "0.33333" not in printed
    assert "None" not in printed


def test_a_cancelled_job_can_be_resumed(job, root, capsys):
    assert main(["jobs", "cancel", job.id, "--folder", str(root)]) == 0
    until(lambda: not show(job.folder).running)
    assert show(job.folder).status.state == "cancelled"
    assert main(["jobs", "resume", job.id, "--folder", str(root)]) == 0
    until(lambda: show(job.folder).status.state == "running")


def test_programs_get_numbers_times_and_results(job, root, capsys):
    main(["jobs", "list", "--folder", str(root), "--json"])
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["total"] == 1000
    assert facts["steps"] > 0
    assert facts["updated"] >= facts["created"] > 0
    assert facts["results"] == {}
    (job.folder / "avatar.safetensors").write_bytes(b"an avatar")
    cancel(job.folder, at_once=True)
    main(["jobs", "show", job.id, "--folder", str(root), "--json"])
    made = json.loads(capsys.readouterr().out)["results"]
    assert made == {"avatar": str(job.folder / "avatar.safetensors")}


def test_the_latest_picture_is_written_to_stdout(job, root, capfdbinary):
    assert main(["jobs", "preview", job.id, "--folder", str(root)]) == 2
    (job.folder / "preview.png").write_bytes(b"a picture")
    status = json.loads((job.folder / "status.json").read_text())
    cancel(job.folder, at_once=True)
    status = status | {"state": "cancelled", "preview": "preview.png"}
    (job.folder / "status.json").write_text(json.dumps(status))
    capfdbinary.readouterr()
    assert main(["jobs", "preview", job.id, "--folder", str(root)]) == 0
    assert capfdbinary.readouterr().out == b"a picture"


def test_only_a_job_that_has_ended_is_removed(job, root, capsys):
    assert main(["jobs", "remove", job.id, "--folder", str(root)]) == 2
    assert "is running" in capsys.readouterr().err
    cancel(job.folder, at_once=True)
    assert main(["jobs", "remove", job.id, "--folder", str(root)]) == 0
    assert not job.folder.exists()


def test_an_unknown_job_is_named(root, capsys):
    assert main(["jobs", "show", "nobody", "--folder", str(root)]) == 2
    assert "nobody" in capsys.readouterr().err


def test_no_jobs_is_no_error(root, capsys):
    assert main(["jobs", "list", "--folder", str(root / "none")]) == 0
    assert "no jobs" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["list", "show", "cancel", "resume", "remove", "preview"])
def test_a_file_in_place_of_the_jobs_folder_is_bad_input(root, capsys, command):
    root.write_text("")
    given = [] if command == "list" else ["anna"]
    assert main(["jobs", command, *given, "--folder", str(root)]) == 2
    assert str(root) in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "cancel", "resume", "remove", "preview"])
def test_only_jobs_of_the_folder_are_reached(root, capsys, command):
    adopt_job(root.parent / "outside", JobCommand("train avatar"))
    root.mkdir()
    assert main(["jobs", command, "../outside", "--folder", str(root)]) == 2
    assert "There is no job '../outside'" in capsys.readouterr().err
    assert (root.parent / "outside" / "job.json").is_file()


def test_a_foreign_program_in_a_job_is_not_run(root, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    adopt_job(root / "evil", JobCommand("train avatar"))
    path = root / "evil" / "job.json"
    content = json.loads(path.read_text())
    content |= {"format": "gaussianspeech-job-1", "command": ["/bin/sh", "-c", "touch RAN"]}
    content["process"] = [1, "boot 1"]
    path.write_text(json.dumps(content))
    assert main(["jobs", "resume", "evil", "--folder", str(root)]) == 2
    assert "no command of this project" in capsys.readouterr().err
    assert not (tmp_path / "RAN").exists()


def test_what_a_job_says_is_not_markup(root, capsys):
    for name in ("anna", "[bold]"):
        adopt_job(root / name, JobCommand("train avatar"))
    path = root / "anna" / "status.json"
    path.write_text(json.dumps({"state": "failed", "message": "[/b] [red]x"}))
    assert main(["jobs", "list", "--folder", str(root)]) == 0
    printed = capsys.readouterr().out
    assert "[/b]" in printed
    assert "[bold]" in printed
