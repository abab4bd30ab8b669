# SPDX-License-Identifier: GPL-3.0-or-later
"""The Training section: the list, what can be done with a job, and one that really runs.

Background Blender has no timers: what they do is called here.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.blender_addon.conftest import PACKAGE, REPOSITORY
from tests.blender_addon.job_folders import make_job, write_picture

PATIENCE = 60

WORKER = """
import time
from engine.core.errors import CancelledError
from engine.jobs.worker import JobHandle
with JobHandle.current(total=2000) as job:
    first = int((job.checkpoints / "step").read_text()) if job.resumed else 0
    print("from", first, flush=True)
    for step in range(first, 2000):
        job.update(step, loss=1.0 / (step + 1))
        if job.cancel_requested:
            (job.checkpoints / "step").write_text(str(step))
            raise CancelledError
        time.sleep(0.02)
"""


@pytest.fixture
def watcher(addon):
    return addon("jobs.watch").watcher


def until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def status(bpy):
    return bpy.context.window_manager.gaussianspeech_status


def test_the_jobs_of_the_folder_are_listed_and_the_latest_is_chosen(blender, jobs, listed):
    make_job(jobs, "older", "finished", created=1.0)
    make_job(jobs, "newer", created=2.0)
    assert listed() == ["newer", "older"]
    assert blender.context.window_manager.gaussianspeech_jobs.chosen == "newer"


def test_the_chosen_job_stays_chosen_when_another_comes(blender, jobs, listed):
    make_job(jobs, "older", "finished", created=1.0)
    listed()
    make_job(jobs, "newer", created=2.0)
    listed()
    shown = blender.context.window_manager.gaussianspeech_jobs
    assert (shown.chosen, shown.index) == ("older", 1)


def test_the_jobs_are_found_again_in_another_file(blender, jobs, listed, tmp_path):
    make_job(jobs, "anna")
    listed()
    path = str(tmp_path / "file.blend")
    blender.ops.wm.save_as_mainfile(filepath=path)
    blender.ops.wm.read_homefile(use_factory_startup=True)
    assert listed() == ["anna"]
    blender.ops.wm.open_mainfile(filepath=path)
    assert listed() == ["anna"]


def test_without_a_folder_in_the_preferences_the_panel_reads_what_the_commands_read(
    blender, jobs, addon, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    blender.context.preferences.addons[PACKAGE].preferences.jobs_folder = ""
    place = addon("jobs.session").current_place(blender.context)
    assert place.root == addon("settings").default_jobs_folder()
    assert place.root.name == "jobs"


def test_reading_happens_in_a_thread_and_the_tick_takes_it(jobs, listed, watcher):
    listed()
    make_job(jobs, "anna")
    watcher.read_soon()
    began = time.monotonic()
    watcher.tick()
    assert time.monotonic() - began < 0.2
    until(lambda: watcher.tick() or watcher.job("anna") is not None)
    assert watcher.job("anna").state == "running"


def test_a_slow_disk_does_not_hold_the_tick(jobs, listed, watcher, monkeypatch):
    listed()

    def slow(*_args, **_options):
        time.sleep(1.0)
        return watcher.reading

    monkeypatch.setattr(watcher.place, "read", slow)
    watcher.read_soon()
    for _ in range(3):
        began = time.monotonic()
        watcher.tick()
        assert time.monotonic() - began < 0.2


def test_what_ends_is_told(blender, jobs, listed, watcher):
    folder = make_job(jobs, "anna")
    listed()
    (folder / "status.json").write_text(json.dumps({"state": "finished"}))
    watcher.read_now()
    assert "'anna' has finished" in status(blender).message
    assert not status(blender).is_error


def test_what_fails_is_told_with_its_reason(blender, jobs, listed, watcher):
    folder = make_job(jobs, "anna")
    listed()
    said = {"state": "failed", "message": "There are no masks. Add them."}
    (folder / "status.json").write_text(json.dumps(said))
    watcher.read_now()
    assert status(blender).is_error
    assert "There are no masks" in status(blender).message


def test_the_log_is_read_only_when_it_is_shown(blender, jobs, listed, watcher):
    folder = make_job(jobs, "anna")
    (folder / "log.txt").write_text("one\ntwo\n")
    listed()
    assert watcher.reading.log == ()
    blender.context.window_manager.gaussianspeech_jobs.show_log = True
    watcher.read_now()
    assert watcher.reading.log == ("one", "two")
    blender.context.window_manager.gaussianspeech_jobs.show_log = False


def test_pictures_of_a_job_replace_each_other(jobs, listed, watcher, addon):
    folder = make_job(jobs, "anna", preview="preview.png")
    write_picture(folder / "preview.png")
    listed()
    pictures = addon("jobs.pictures")
    pictures.icon_of(watcher.job("anna"))
    assert len(pictures._previews) == 1
    write_picture(folder / "preview.png", shade=10)
    os.utime(folder / "preview.png", (2e9, 2e9))
    watcher.read_now()
    pictures.icon_of(watcher.job("anna"))
    assert len(pictures._previews) == 1


def test_cancelling_asks_the_job_to_stop(blender, jobs, listed):
    folder = make_job(jobs, "anna")
    listed()
    blender.ops.gaussianspeech.cancel_job(job="anna")
    assert (folder / "cancel").is_file()


def test_removing_deletes_a_job_that_has_ended(blender, jobs, listed):
    folder = make_job(jobs, "anna", "cancelled")
    listed()
    blender.ops.gaussianspeech.remove_job(job="anna")
    assert not folder.exists()
    assert listed() == []


@pytest.mark.parametrize("operator", ["remove_job", "resume_job"])
def test_a_running_job_is_neither_removed_nor_resumed(blender, jobs, listed, operator):
    folder = make_job(jobs, "anna")
    listed()
    with pytest.raises(RuntimeError, match="'anna' is running"):
        getattr(blender.ops.gaussianspeech, operator)(job="anna")
    assert (folder / "job.json").is_file()


def test_a_job_that_is_gone_is_named(blender, jobs, listed):
    listed()
    with pytest.raises(RuntimeError, match="There is no job 'anna'"):
        blender.ops.gaussianspeech.cancel_job(job="anna")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda _folder: "", "No capture is chosen"),
        (lambda folder: str(folder / "none"), "There is no folder"),
        (str, "no multi-view capture: it has no transforms_train.json"),
    ],
)
def test_what_cannot_be_trained_on_is_told_before_anything_starts(
    blender, jobs, tmp_path, prepare, message
):
    with pytest.raises(RuntimeError, match=message):
        blender.ops.gaussianspeech.train_avatar(data=prepare(tmp_path))
    assert list(jobs.iterdir()) == []


def test_speech_is_trained_on_recordings_with_their_motion(blender, jobs, tmp_path, add_plain_head):
    add_plain_head()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.wav").write_bytes(b"")
    with pytest.raises(RuntimeError, match="holds no recording with motion"):
        blender.ops.gaussianspeech.train_speech(data=str(tmp_path / "data"))


def test_a_trained_speech_model_is_used_with_one_click(
    blender, jobs, listed, add_plain_head, addon
):
    head = add_plain_head()
    folder = make_job(jobs, "anna-speech", "finished", kind="speech")
    (folder / "speech_model.safetensors").write_bytes(b"")
    listed()
    blender.ops.gaussianspeech.use_job(job="anna-speech", kind="SPEECH")
    name = addon("speech.properties").model_name(head.gaussianspeech_speech)
    assert Path(name) == folder / "speech_model.safetensors"


def test_a_finished_joint_training_offers_avatar_and_speech_model(
    blender, jobs, listed, add_plain_head, watcher
):
    head = add_plain_head()
    folder = make_job(jobs, "anna", "finished", kind="joint")
    (folder / "avatar.safetensors").write_bytes(b"")
    (folder / "speech_model.safetensors").write_bytes(b"")
    listed()
    assert list(watcher.job("anna").results) == ["avatar", "speech"]
    blender.ops.gaussianspeech.use_job(job="anna", kind="SPEECH")
    model = head.gaussianspeech_speech.model_file
    assert Path(model) == folder / "speech_model.safetensors"


def test_who_uses_what_a_training_made_is_known_before_it_is_removed(
    blender, jobs, listed, add_plain_head, watcher, addon
):
    folder = make_job(jobs, "anna", "finished", kind="joint")
    (folder / "avatar.safetensors").write_bytes(b"")
    (folder / "speech_model.safetensors").write_bytes(b"")
    wearer, speaker, _other = add_plain_head(), add_plain_head(), add_plain_head()
    wearer.gaussianspeech_avatar.source = str(folder / "avatar.safetensors")
    speaker.gaussianspeech_speech.model = "FILE"
    speaker.gaussianspeech_speech.model_file = str(folder / "speech_model.safetensors")
    listed()
    users = addon("jobs.ops")._users(watcher.job("anna"))
    assert users == [f"'{wearer.name}'", f"'{speaker.name}'"]


def test_a_training_that_still_reads_another_is_known_before_that_is_removed(
    jobs, listed, watcher, addon
):
    folder = make_job(jobs, "capture", "finished", kind="capture")
    make_job(jobs, "running", data=str(folder))
    make_job(jobs, "cancelled", "cancelled", data=str(folder))
    make_job(jobs, "finished", "finished", data=str(folder))
    make_job(jobs, "another", data=str(folder) + "-2")
    listed()
    users = addon("jobs.ops")._users(watcher.job("capture"))
    assert sorted(users) == ["the training 'cancelled'", "the training 'running'"]


def test_a_finished_capture_is_chosen_for_a_training(blender, jobs, listed):
    folder = make_job(jobs, "capture", "finished", kind="capture")
    (folder / "transforms_train.json").write_text("{}")
    listed()
    blender.ops.gaussianspeech.use_job(job="capture", kind="CAPTURE")
    settings = blender.context.scene.gaussianspeech_training
    assert (settings.kind, settings.data) == ("AVATAR", str(folder))


def finished_avatar(jobs) -> Path:
    """A finished job whose avatar is the shipped one."""
    folder = make_job(jobs, "anna", "finished")
    shipped = REPOSITORY / "engine" / "assets" / "default_avatar.safetensors"
    (folder / "avatar.safetensors").write_bytes(shipped.read_bytes())
    return folder / "avatar.safetensors"


def test_a_trained_avatar_is_worn_by_the_head_with_one_click(engine_ready, jobs, listed):
    engine_ready.ops.gaussianspeech.add_head(with_avatar=False)
    head = engine_ready.context.object
    path = finished_avatar(jobs)
    listed()
    engine_ready.ops.gaussianspeech.use_job(job="anna", kind="AVATAR")
    assert Path(head.gaussianspeech_avatar.source) == path
    assert head.gaussianspeech_avatar.gaussians > 1000


def test_without_a_head_a_trained_avatar_brings_one(engine_ready, jobs, listed):
    path = finished_avatar(jobs)
    listed()
    engine_ready.ops.gaussianspeech.use_job(job="anna", kind="AVATAR")
    head = engine_ready.context.object
    assert head.gaussianspeech_head.id == "default"
    assert Path(head.gaussianspeech_avatar.source) == path


def test_a_real_job_is_followed_cancelled_resumed_and_ended(engine_ready, jobs, listed, watcher):
    python = os.environ["GAUSSIANSPEECH_PYTHON"]
    code = (
        "import sys; from engine.jobs.folder import start_job;"
        f"print(start_job({str(jobs)!r}, 'real', [sys.executable, '-c', {WORKER!r}]).id)"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    started = subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    name = started.stdout.strip()

    def state() -> str:
        listed()
        return watcher.job(name).state

    until(lambda: state() == "running" and watcher.job(name).step > 2)
    assert watcher.job(name).total == 2000
    engine_ready.ops.gaussianspeech.cancel_job(job=name)
    until(lambda: state() == "cancelled")
    reached = watcher.job(name).step
    engine_ready.ops.gaussianspeech.resume_job(job=name)
    until(lambda: state() == "running" and watcher.job(name).step > reached)
    engine_ready.ops.gaussianspeech.end_job(job=name)
    assert state() == "cancelled"
    assert f"from {reached}" in (jobs / name / "log.txt").read_text()


@pytest.fixture
def other_machine(engine_ready, jobs, tmp_path, monkeypatch):
    """An engine command that goes through a stand-in of ssh; the jobs lie elsewhere then."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nshift\nexec sh -c "$*"\n')
    ssh.chmod(0o755)
    python = os.environ["GAUSSIANSPEECH_PYTHON"]
    preferences = engine_ready.context.preferences.addons[PACKAGE].preferences
    preferences.engine_command = f"{ssh} gpu {python} -m engine serve"
    return tmp_path / "there" / "gaussianspeech" / "jobs"


@pytest.mark.skipif(os.name == "nt", reason="the stand-in of ssh is a shell script")
def test_jobs_of_another_machine_are_followed_through_its_commands(
    engine_ready, other_machine, listed, watcher, addon
):
    assert listed() == []
    make_job(other_machine, "running here", created=2.0, message="densifying")
    folder = make_job(other_machine, "anna", "finished", created=1.0, preview="preview.png")
    write_picture(folder / "preview.png")
    (folder / "avatar.safetensors").write_bytes(b"an avatar")
    (folder / "log.txt").write_text("one\ntwo\n")
    assert listed() == ["running here", "anna"]
    addon("jobs.properties").choose(engine_ready.context, "anna")
    engine_ready.context.window_manager.gaussianspeech_jobs.show_log = True
    listed()
    listed()
    job = watcher.job("anna")
    assert (job.kind, job.state, job.folder) == ("avatar", "finished", str(folder))
    assert job.results == {"avatar": str(folder / "avatar.safetensors")}
    assert job.preview.read_bytes() == (folder / "preview.png").read_bytes()
    assert job.preview.parent != folder
    assert watcher.reading.log == ("one", "two")
    engine_ready.context.window_manager.gaussianspeech_jobs.show_log = False
    engine_ready.ops.gaussianspeech.cancel_job(job="running here")
    assert watcher.job("running here").state == "cancelling"
    engine_ready.ops.gaussianspeech.remove_job(job="anna")
    assert not folder.exists()
    with pytest.raises(RuntimeError, match="is on another machine"):
        engine_ready.ops.gaussianspeech.open_job(job="running here", what="LOG")


def test_a_machine_that_cannot_be_reached_is_told(blender, jobs, listed, watcher):
    preferences = blender.context.preferences.addons[PACKAGE].preferences
    preferences.engine_command = "/no/such/ssh gpu gaussianspeech serve"
    listed()
    assert "/no/such/ssh" in watcher.reading.error.message


def test_another_machine_is_left_in_peace_while_nobody_looks(addon):
    watcher = addon("jobs.watch").Watcher()
    questions = []

    class Place:
        name, remote = "gpu", True

        def read(self, *_args, **_options):
            questions.append(1)
            return addon("jobs.place").Reading()

    watcher.look_at(Place())
    watcher.tick()
    assert watcher._thread is None
    watcher.drawn()
    watcher.tick()
    until(lambda: questions)
