# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the folder of the jobs, as their workers write it."""

from __future__ import annotations

import json
import os
import sys

import pytest

from blender_addon.standalone import addon_module
from tests.blender_addon.job_folders import make_job, write_picture

pytest.importorskip("bpy", reason="Blender's Python module (bpy) is not installed")
folders = addon_module("jobs.folder")
places = addon_module("jobs.place")
seen = addon_module("jobs.job")
errors = sys.modules["gaussianspeech.engine.core.errors"]


@pytest.fixture
def jobs(tmp_path):
    return folders.JobFolder(tmp_path)


def test_a_folder_that_is_not_there_holds_no_jobs(tmp_path):
    assert folders.JobFolder(tmp_path / "none").read() == []


def test_a_running_job_tells_how_far_it_is(jobs, tmp_path):
    make_job(tmp_path, "anna", message="densifying", data="/captures/anna")
    (job,) = jobs.read()
    assert (job.id, job.kind, job.state) == ("anna", "avatar", "running")
    assert (job.step, job.total, job.loss, job.eta) == (300, 1200, 0.0123, 90.0)
    assert (job.message, job.data, job.fraction) == ("densifying", "/captures/anna", 0.25)


def test_a_joint_training_needs_its_avatar_and_its_speech_model(jobs, tmp_path):
    folder = make_job(tmp_path, "both", "cancelled", kind="joint", data="/captures/anna")
    about = json.loads((folder / "job.json").read_text())
    about["config"] |= {"avatar": "default", "speech_model": "/jobs/anna/speech_model.safetensors"}
    (folder / "job.json").write_text(json.dumps(about))
    (job,) = jobs.read()
    assert job.reads("/captures/anna")
    assert job.reads("/jobs/anna")
    assert not job.reads("/jobs/an")


def test_the_latest_job_comes_first_and_other_folders_are_passed_over(jobs, tmp_path):
    make_job(tmp_path, "older", created=10.0)
    make_job(tmp_path, "newer", created=20.0)
    (tmp_path / "something else").mkdir()
    assert [job.id for job in jobs.read()] == ["newer", "older"]


def test_a_process_that_is_gone_without_a_word_has_failed(jobs, tmp_path):
    make_job(tmp_path, "anna", alive=False)
    (job,) = jobs.read()
    assert job.state == "failed"
    assert "without a word" in job.message
    assert job.eta is None


def test_a_job_that_was_asked_to_stop_is_cancelling_until_it_has(jobs, tmp_path):
    folder = make_job(tmp_path, "anna")
    jobs.cancel("anna")
    assert (folder / "cancel").is_file()
    assert jobs.read()[0].state == "cancelling"
    status = json.loads((folder / "status.json").read_text()) | {"state": "cancelled"}
    (folder / "status.json").write_text(json.dumps(status))
    assert jobs.read()[0].state == "cancelled"


def test_a_finished_job_names_what_it_made(jobs, tmp_path):
    folder = make_job(tmp_path, "anna", "finished")
    (folder / "avatar.safetensors").write_bytes(b"an avatar")
    (job,) = jobs.read()
    assert job.results == {"avatar": str(folder / "avatar.safetensors")}
    assert job.fraction == 1.0


def test_a_running_job_has_nothing_to_use_yet(jobs, tmp_path):
    folder = make_job(tmp_path, "anna")
    (folder / "avatar.safetensors").write_bytes(b"half an avatar")
    assert jobs.read()[0].results == {}


def test_a_capture_can_be_trained_on_when_it_is_whole(jobs, tmp_path):
    for state in ("finished", "cancelled"):
        folder = make_job(tmp_path, state, state, kind="capture")
        (folder / "transforms_train.json").write_text("{}")
    found = {job.id: job.results for job in jobs.read()}
    assert found == {"finished": {"capture": str(tmp_path / "finished")}, "cancelled": {}}


def test_a_new_picture_of_the_old_name_is_another_picture(jobs, tmp_path):
    folder = make_job(tmp_path, "anna", preview="preview.png")
    assert jobs.read()[0].preview is None
    write_picture(folder / "preview.png")
    first = jobs.read()[0]
    assert first.preview == folder / "preview.png"
    write_picture(folder / "preview.png", shade=200)
    os.utime(folder / "preview.png", (2e9, 2e9))
    assert jobs.read()[0] != first


@pytest.mark.parametrize("broken", ['{"half', "[]", '{"format": "another-1"}'])
def test_a_damaged_job_is_listed_with_what_is_wrong(jobs, tmp_path, broken):
    folder = make_job(tmp_path, "anna")
    (folder / "job.json").write_text(broken)
    (job,) = jobs.read()
    assert job.state == "failed"
    assert "cannot be read" in job.message


def test_a_status_of_an_unknown_state_is_a_damaged_job(jobs, tmp_path):
    make_job(tmp_path, "anna", "dreaming", alive=True)
    (job,) = jobs.read()
    assert job.state == "failed"
    assert "dreaming" in job.message


def test_the_end_of_the_log_is_shown(jobs, tmp_path):
    folder = make_job(tmp_path, "anna")
    assert jobs.log_tail("anna", 3) == ()
    (folder / "log.txt").write_text("".join(f"step {i}\n" for i in range(50_000)))
    assert jobs.log_tail("anna", 3) == ("step 49997", "step 49998", "step 49999")


def test_removing_deletes_the_folder_of_a_job_that_has_ended(jobs, tmp_path):
    folder = make_job(tmp_path, "anna", "finished")
    (folder / "checkpoints" / "last.pt").write_bytes(b"weights")
    jobs.remove("anna")
    assert not folder.exists()


def test_a_running_job_is_never_removed(jobs, tmp_path):
    folder = make_job(tmp_path, "anna")
    with pytest.raises(errors.BadInputError, match="is running"):
        jobs.remove("anna")
    assert (folder / "job.json").is_file()


@pytest.mark.parametrize("name", ["..", "../outside", "nobody", "plain", ""])
def test_only_jobs_of_the_folder_are_removed(tmp_path, name):
    make_job(tmp_path, "outside", "finished")
    root = tmp_path / "jobs"
    (root / "plain").mkdir(parents=True)
    with pytest.raises(errors.BadInputError, match="There is no job"):
        folders.JobFolder(root).remove(name)
    assert (tmp_path / "outside" / "job.json").is_file()
    assert (root / "plain").is_dir()


def test_a_new_job_takes_a_name_of_its_own():
    assert places.file_name("Anna 1!", {"Anna-1"}.__contains__) == "Anna-1-2"
    assert places.file_name("../..", lambda _name: False) == "job"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (90, "2 min"),
        (3600, "1 h"),
        (5000, "1 h 23 min"),
        (9e4, "1 d 1 h"),
    ],
)
def test_times_are_told_in_two_units(seconds, text):
    assert seen.duration_text(seconds) == text


def test_the_time_to_go_stands_beside_the_steps():
    job = seen.Job("anna", state=seen.State.RUNNING, step=1200, total=30000, eta=720)
    assert seen.progress_text(job) == "1,200 of 30,000, 12 min left"
