# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of version 0.1.0, damaged ones, and ones made to do harm."""

import json
import os
import sys

import pytest

from engine.core.errors import BadInputError
from engine.jobs.command import JobCommand
from engine.jobs.folder import (
    adopt_job,
    inside,
    job_folder,
    list_jobs,
    log_tail,
    remove,
    resume,
    show,
)
from engine.jobs.process import is_running
from engine.jobs.results import read_preview, summarize
from engine.jobs.status import State
from tests.engine.small_jobs import WORKER, ended
from training.cli import main

STATUS = {"state": "cancelled", "step": 3, "total": 10, "loss": 0.5, "eta": None, "preview": ""}
ARGV = ["/elsewhere/bin/python3.11", "-m", "training", "train", "avatar"]


@pytest.fixture
def old_job(tmp_path):
    """Write a folder as version 0.1.0 did."""

    def write(argv, name="old", process=(2**22 + 1, "boot 12345"), **status):
        folder = tmp_path / "jobs" / name
        (folder / "checkpoints").mkdir(parents=True)
        content = {
            "format": "gaussianspeech-job-1",
            "command": argv,
            "config": {"kind": "avatar", "data": "captures/anna"},
            "cwd": str(tmp_path),
            "created": 1.5,
            "process": process,
            "runs": 1,
        }
        (folder / "job.json").write_text(json.dumps(content))
        (folder / "status.json").write_text(json.dumps(STATUS | status))
        return folder

    return write


def test_a_job_of_version_0_1_is_listed(old_job, tmp_path):
    words = ["--data", "captures/anna", "--out", "somewhere/else", "--background", "quick"]
    folder = old_job([*ARGV, *words, "--steps=9", "--json"])
    (job,) = list_jobs(tmp_path / "jobs")
    assert (job.id, job.status.state, job.status.step, job.created) == ("old", "cancelled", 3, 1.5)
    options = ("--data", "captures/anna", "quick", "--steps=9")
    assert job.command == JobCommand("train avatar", options)
    assert summarize(job).needs == (str(tmp_path / "captures/anna"),)
    assert show(folder) == job


def test_a_job_of_version_0_1_is_resumed_by_this_interpreter(old_job, program):
    program("import sys; print(sys.executable, *sys.argv[1:])\n" + WORKER)
    folder = old_job([*ARGV, "--out", "elsewhere", "5", "0.0", "-1"])
    job = ended(resume(folder))
    assert job.status.state is State.FINISHED
    first = log_tail(folder)[0]
    assert first == f"{sys.executable} train avatar --out {folder} 5 0.0 -1"
    assert json.loads((folder / "job.json").read_text())["format"] == "gaussianspeech-job-2"


def test_a_process_of_version_0_1_is_known_by_its_command_line(old_job, monkeypatch):
    words = list(sys.orig_argv[3:]) if len(sys.orig_argv) > 3 else list(sys.orig_argv[1:])
    argv = ["python", "-m", "training", *words]
    folder = old_job(argv, process=(os.getpid(), "boot 12345"), state="running")
    assert is_running(show(folder).process)
    other = old_job([*ARGV, "--other"], "other", (os.getpid(), "boot 1"), state="running")
    assert show(other).status.state is State.FAILED


@pytest.mark.parametrize(
    "argv",
    [
        ["/bin/sh", "-c", "touch RAN"],
        ["python", "-c", "open('RAN', 'w')"],
        ["python", "-m", "http.server"],
        ["python", "-m", "training", "evaluate", "speech"],
        ["python", "-m", "training", "train"],
        ["python", "-X", "-m", "training", "train", "avatar"],
        [],
    ],
    ids=" ".join,
)
def test_a_command_that_is_not_this_projects_is_listed_and_never_run(
    old_job, tmp_path, monkeypatch, argv
):
    monkeypatch.chdir(tmp_path)
    folder = old_job(argv)
    (job,) = list_jobs(tmp_path / "jobs")
    assert job.status.state is State.CANCELLED
    assert not summarize(job).resumable
    with pytest.raises(BadInputError, match="no command of this project"):
        resume(folder)
    assert not (tmp_path / "RAN").exists()
    assert show(folder) == job


@pytest.mark.parametrize(
    "command",
    [
        {"name": "serve", "options": []},
        {"name": "train avatar; id", "options": []},
        {"name": "train avatar", "options": ["--out", "/elsewhere"]},
        {"name": "train avatar", "options": ["--out=/elsewhere"]},
        {"name": "train avatar", "options": ["--background"]},
        {"name": "train avatar", "options": ["a\0b"]},
        {"name": "train avatar", "options": "--data"},
        {"name": ["train"], "options": []},
        ["/bin/sh"],
    ],
    ids=str,
)
def test_a_stored_command_that_cannot_be_is_damage(tmp_path, command):
    adopt_job(tmp_path / "jobs" / "job", JobCommand("train avatar"))
    path = tmp_path / "jobs" / "job" / "job.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"command": command}))
    (job,) = list_jobs(tmp_path / "jobs")
    assert job.status.state is State.DAMAGED
    with pytest.raises(BadInputError):
        resume(path.parent)


def test_modules_in_the_working_folder_are_not_imported(old_job, program, tmp_path):
    program("import json; print(json.__file__)\n" + WORKER)
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the working folder')")
    folder = old_job([*ARGV, "5", "0.0", "-1"])
    assert ended(resume(folder)).status.state is State.FINISHED, log_tail(folder)


@pytest.mark.parametrize("name", ["job.json", "status.json"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\x00\xff",
        b'{"state": "running',
        b'{"state": "running", "step": 3, "loss": 0, "eta": 3.2, "preview": -1, "message": "x"}',
        b'{"format": "gaussianspeech-job-1"}',
        b'{"format": ["gaussianspeech-job-1"]}',
        b"[" * 100_000,
        b'{"state": ' + b"9" * 5000 + b"}",
        b" " * (2 << 20),
    ],
    ids=lambda value: str(value[:40]),
)
def test_one_damaged_folder_is_shown_as_damaged_and_hides_no_other(
    old_job, tmp_path, name, content
):
    damaged = old_job(ARGV, "damaged")
    old_job(ARGV, "sound")
    (damaged / name).write_bytes(content)
    found = {job.id: job for job in list_jobs(tmp_path / "jobs")}
    assert found["sound"].status.state is State.CANCELLED
    assert found["damaged"].status.state is State.DAMAGED
    assert name in found["damaged"].status.message
    assert [summarize(job).state for job in found.values()]
    with pytest.raises(BadInputError):
        resume(damaged)
    remove(damaged)
    assert not damaged.exists()


@pytest.mark.parametrize("process", [[1], 5, ["1", "boot"], [1.5, "x"], {"pid": 1}], ids=str)
def test_a_process_that_cannot_be_is_damage(old_job, tmp_path, process):
    old_job(ARGV, process=process)
    (job,) = list_jobs(tmp_path / "jobs")
    assert job.status.state is State.DAMAGED


def test_a_picture_outside_the_folder_is_not_shown(old_job, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    outside = ("../../secret.png", str(tmp_path / "secret.png"), "link.png", "up/secret.png", "..")
    for number, preview in enumerate(outside):
        folder = old_job(ARGV, f"job-{number}", preview=preview)
        (folder / "link.png").symlink_to(tmp_path / "secret.png")
        (folder / "up").symlink_to(tmp_path, target_is_directory=True)
        assert summarize(show(folder)).preview == 0
        with pytest.raises(BadInputError, match="no picture"):
            read_preview(show(folder))
    folder = old_job(ARGV, "sound", preview="previews/1.png")
    (folder / "previews").mkdir()
    (folder / "previews" / "1.png").write_bytes(b"a picture")
    assert read_preview(show(folder)) == b"a picture"
    assert summarize(show(folder)).preview > 0


def test_a_log_outside_the_folder_is_neither_read_nor_written(old_job, tmp_path, program):
    program(WORKER)
    (tmp_path / "secret.txt").write_text("secret\n")
    folder = old_job([*ARGV, "5", "0.0", "-1"])
    (folder / "log.txt").symlink_to(tmp_path / "secret.txt")
    assert log_tail(folder) == []
    with pytest.raises(BadInputError, match="is a link"):
        resume(folder)
    assert (tmp_path / "secret.txt").read_text() == "secret\n"


@pytest.mark.parametrize("name", ["\0", "x" * 5000, "loop"], ids=lambda name: name[:8])
def test_a_path_that_cannot_be_is_no_file_of_the_job(tmp_path, name):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert inside(tmp_path, name) is None


@pytest.mark.parametrize(
    "job_id", ["..", ".", "", "../outside", "a/../../outside", "nobody", "plain", "a\0", "\\x"]
)
def test_only_jobs_directly_in_the_folder_have_an_id(old_job, tmp_path, job_id):
    old_job(ARGV, "../outside")
    old_job(ARGV, "a")
    (tmp_path / "jobs" / "plain").mkdir()
    with pytest.raises(BadInputError, match="There is no job"):
        job_folder(tmp_path / "jobs", job_id)
    assert job_folder(tmp_path / "jobs", "a") == tmp_path / "jobs" / "a"


def test_a_link_to_a_job_elsewhere_is_not_followed_by_remove(old_job, tmp_path):
    folder = old_job(ARGV)
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    for other in (tmp_path / "link", tmp_path):
        with pytest.raises(BadInputError, match="no folder of a job"):
            remove(other)
    assert (folder / "job.json").is_file()


def test_a_file_in_place_of_the_jobs_folder_is_an_error_and_none_is_empty(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="not a folder"):
        list_jobs(tmp_path / "file")
    assert list_jobs(tmp_path / "none") == []


def test_texts_that_cannot_be_shown_are_mended(old_job, tmp_path, capsys):
    folder = old_job(ARGV, message="half a \ud83d face " + "x" * 100_000)
    path = folder / "job.json"
    about = json.loads(path.read_text())
    about["config"] |= {"kind": {"a": 1}, "data": "d" * 100_000, "avatar": ["\udcff"]}
    path.write_text(json.dumps(about))
    record = summarize(show(folder))
    assert record.message.startswith("half a ? face xxx")
    assert len(json.dumps(record.to_json())) < 10_000
    assert main(["jobs", "list", "--folder", str(tmp_path / "jobs")]) == 0
    capsys.readouterr().out.encode("utf-8")


def test_a_log_that_cannot_be_read_says_so(old_job, monkeypatch):
    folder = old_job(ARGV)
    (folder / "log.txt").write_text("one")

    def deny(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", deny)
    assert "log.txt cannot be read: Permission denied" in log_tail(folder)[0]
