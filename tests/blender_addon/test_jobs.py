# SPDX-License-Identifier: GPL-3.0-or-later
"""The Training section: the list, what can be done with a job, and one that really runs.

Background Blender has no timers: what they do is called here.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.blender_addon.conftest import PACKAGE, REPOSITORY
from tests.blender_addon.job_folders import make_job, write_picture

PATIENCE = 240


@pytest.fixture
def watcher(addon):
    return addon("jobs.session").watcher


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


def test_without_a_folder_in_the_preferences_the_panel_lists_what_the_commands_list(
    blender, jobs, addon
):
    preferences = blender.context.preferences.addons[PACKAGE].preferences
    preferences.jobs_folder = ""
    client, asked = addon("jobs.session").current_client(blender.context), []
    client._request = lambda method, params: asked.append((method, params))
    client.list()
    assert asked == [("jobs.list", {})]


@pytest.mark.one_blender
def test_asking_for_the_first_time_starts_the_engine_without_making_blender_wait(
    engine_ready, jobs, addon, watcher
):
    make_job(jobs, "anna")
    session, timer = addon("engine_link.session"), addon("jobs.timer")
    session.stop_engine(wait=True)
    timer.sync(engine_ready.context)
    watcher.drawn()
    slowest = 0.0
    end = time.monotonic() + PATIENCE
    while watcher.job("anna") is None:
        assert time.monotonic() < end, watcher.snapshot.error
        began = time.perf_counter()
        watcher.tick()
        timer.sync(engine_ready.context)
        slowest = max(slowest, time.perf_counter() - began)
        time.sleep(0.05)
    assert slowest < 0.2
    assert watcher.job("anna").state == "running"


def test_what_ends_is_announced(blender, jobs, listed, watcher):
    folder = make_job(jobs, "anna")
    listed()
    (folder / "status.json").write_text(json.dumps({"state": "finished"}))
    listed()
    assert "'anna' has finished" in status(blender).message
    assert not status(blender).is_error


def test_what_fails_is_announced_with_its_reason(blender, jobs, listed, watcher):
    folder = make_job(jobs, "anna")
    listed()
    said = {"state": "failed", "message": "There are no masks. Add them."}
    (folder / "status.json").write_text(json.dumps(said))
    listed()
    assert status(blender).is_error
    assert "There are no masks" in status(blender).message


def test_the_log_is_read_only_when_it_is_shown(blender, jobs, listed, watcher):
    folder = make_job(jobs, "anna")
    (folder / "log.txt").write_text("one\ntwo\n")
    listed()
    assert watcher.snapshot.log == ()
    blender.context.window_manager.gaussianspeech_jobs.show_log = True
    listed()
    listed()
    assert watcher.snapshot.log == ("one", "two")
    blender.context.window_manager.gaussianspeech_jobs.show_log = False


def test_pictures_of_a_job_replace_each_other(jobs, listed, watcher, addon):
    folder = make_job(jobs, "anna", preview="preview.png")
    write_picture(folder / "preview.png")
    listed()
    listed()
    first = watcher.picture(watcher.job("anna"))
    assert first[0].read_bytes() == (folder / "preview.png").read_bytes()
    assert first[0].parent != folder
    pictures = addon("jobs.pictures")
    pictures.icon_of(watcher.job("anna"))
    assert len(pictures._previews) == 1
    write_picture(folder / "preview.png", shade=10)
    os.utime(folder / "preview.png", (2e9, 2e9))
    listed()
    assert watcher.picture(watcher.job("anna")) != first
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
    with pytest.raises(RuntimeError, match="The job anna is running"):
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
def test_what_cannot_be_trained_on_is_refused_before_anything_starts(
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


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, ()),
        ({"new_model": True}, ("--from", "none", "--preset", "starter")),
        (
            {"encoder": "WAV2VEC2", "encoder_source": "some/id"},
            ("--from", "none", "--preset", "personal", "--encoder-source", "some/id"),
        ),
        (
            {"encoder": "WAV2VEC2", "encoder_source": "", "speech_preset": "autoregressive"},
            ("--from", "none", "--preset", "autoregressive"),
        ),
    ],
)
def test_the_encoder_and_the_preset_of_a_speech_model_are_chosen(
    blender, jobs, tmp_path, add_plain_head, addon, monkeypatch, settings, options
):
    add_plain_head()
    (tmp_path / "data" / "SEN-01" / "flame_param").mkdir(parents=True)
    chosen = blender.context.scene.gaussianspeech_training
    for name, value in (
        {"kind": "SPEECH", "recordings": str(tmp_path / "data")} | settings
    ).items():
        setattr(chosen, name, value)
    asked = []

    def refused(_client, _name, spec):
        asked.append(spec)
        future = Future()
        future.set_exception(addon("engine.core.errors").GaussianSpeechError("Not today."))
        return future

    monkeypatch.setattr(addon("jobs.client").JobsClient, "start", refused)
    row = Drawn()
    addon("jobs.new_panel")._draw_speech(row, row, blender.context, chosen)
    with pytest.raises(RuntimeError, match="Not today"):
        blender.ops.gaussianspeech.train_speech(**vars(row.pressed))
    (spec,) = asked
    assert spec.command == "train speech"
    fixed = ("--data", str((tmp_path / "data").resolve()), "--head", "default", "--name", "data")
    assert spec.options == (*fixed, *options)
    assert "encoder" in row.properties
    assert ("encoder_source" in row.properties) == (chosen.encoder == "WAV2VEC2")


class Drawn:
    """A layout that keeps what is drawn into it."""

    def __init__(self):
        self.properties, self.pressed, self.enabled = set(), SimpleNamespace(), True
        self.alert = self.scale_y = self.use_property_split = self.active = None

    def prop(self, _data, name, **_how):
        self.properties.add(name)

    def operator(self, *_name, **_how):
        return self.pressed

    def label(self, **_how):
        pass

    def row(self, **_how):
        return self

    column = split = box = row


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


def test_the_users_of_a_result_are_known_before_it_is_removed(
    blender, jobs, listed, add_plain_head, watcher, addon
):
    folder = make_job(jobs, "anna", "finished", kind="joint")
    (folder / "avatar.safetensors").write_bytes(b"")
    (folder / "speech_model.safetensors").write_bytes(b"")
    bound, speaker, _other = add_plain_head(), add_plain_head(), add_plain_head()
    bound.gaussianspeech_avatar.source = str(folder / "avatar.safetensors")
    speaker.gaussianspeech_speech.model = "FILE"
    speaker.gaussianspeech_speech.model_file = str(folder / "speech_model.safetensors")
    listed()
    users = addon("jobs.ops")._users(watcher.job("anna"))
    assert users == [f"'{bound.name}'", f"'{speaker.name}'"]


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


def test_a_trained_avatar_is_bound_to_the_head_with_one_click(engine_ready, jobs, listed):
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


MAKE_RECORDINGS = """
import sys
from pathlib import Path
import torch
from engine.heads import load_head
from engine.motion.model.checkpoint import save_model
from engine.motion.model.network import SpeechModel
from tests.training.speech.recordings import tiny_config, write_recordings

folder, head = Path(sys.argv[1]), load_head("default")
write_recordings(folder, head)
torch.manual_seed(0)
save_model(folder / "start.safetensors", SpeechModel(tiny_config(head)), head, "start")
"""


@pytest.mark.one_blender
def test_a_real_training_is_started_followed_cancelled_resumed_and_ended(
    engine_ready, jobs, listed, watcher, addon, tmp_path
):
    python, data = os.environ["GAUSSIANSPEECH_PYTHON"], tmp_path / "data"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [python, "-c", MAKE_RECORDINGS, str(data)]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    options = ["--data", str(data), "--from", str(data / "start.safetensors"), "--device", "cpu"]
    options += ["--batch", "2", "--frames", "20", "--steps", "100000", "--validate-every", "20"]
    options += ["--patience", "100000"]
    spec = addon("jobs.client").JobSpec("train speech", tuple(options))
    client = addon("jobs.session").current_client(engine_ready.context)
    name = client.start("anna's voice", spec).result(PATIENCE).body["job"]["id"]
    assert name == "anna-s-voice"

    def state() -> str:
        listed()
        return watcher.job(name).state

    def steps() -> int:
        return watcher.job(name).step if state() == "running" else -1

    until(lambda: steps() > 20)
    assert (watcher.job(name).kind, watcher.job(name).total) == ("speech", 100000)
    engine_ready.ops.gaussianspeech.cancel_job(job=name)
    until(lambda: state() == "cancelled")
    reached = watcher.job(name).step
    engine_ready.ops.gaussianspeech.resume_job(job=name)
    until(lambda: steps() > reached)
    addon("engine_link.session").stop_engine(wait=True)  # The training outlives the engine.
    until(lambda: steps() > reached + 1)
    engine_ready.ops.gaussianspeech.end_job(job=name)
    assert state() == "cancelled"
    engine_ready.ops.gaussianspeech.remove_job(job=name)
    assert listed() == []
    assert not (jobs / name).exists()


def test_what_the_command_refuses_is_the_error_and_no_job_is_left(
    blender, jobs, listed, tmp_path, monkeypatch, addon
):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "transforms_train.json").write_text("{}")
    with pytest.raises(RuntimeError, match="steps"):
        blender.ops.gaussianspeech.train_avatar(
            data=str(tmp_path / "data"), preset="quick", steps=2_000_000_000
        )
    assert list(jobs.iterdir()) == []


def test_a_damaged_job_is_shown_and_hides_no_other(blender, jobs, listed, watcher):
    make_job(jobs, "sound", created=1.0)
    damaged = make_job(jobs, "damaged", alive=False)
    (damaged / "status.json").write_text('{"state": "running", "preview": -1}')
    assert sorted(listed()) == ["damaged", "sound"]
    assert watcher.job("damaged").state == "damaged"
    assert "status.json" in watcher.job("damaged").message
    blender.ops.gaussianspeech.remove_job(job="damaged")
    assert listed() == ["sound"]


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


@pytest.mark.one_blender
@pytest.mark.skipif(os.name == "nt", reason="the stand-in of ssh is a shell script")
def test_jobs_of_another_machine_are_those_of_its_engine(
    engine_ready, other_machine, listed, watcher, addon
):
    assert listed() == []
    make_job(other_machine, "running", created=2.0, message="densifying")
    folder = make_job(other_machine, "anna", "finished", created=1.0, preview="preview.png")
    write_picture(folder / "preview.png")
    (folder / "avatar.safetensors").write_bytes(b"an avatar")
    (folder / "log.txt").write_text("one\ntwo\n")
    assert listed() == ["running", "anna"]
    addon("jobs.properties").choose(engine_ready.context, "anna")
    engine_ready.context.window_manager.gaussianspeech_jobs.show_log = True
    listed()
    listed()
    job = watcher.job("anna")
    assert (job.kind, job.state, job.folder) == ("avatar", "finished", str(folder))
    assert job.results == {"avatar": str(folder / "avatar.safetensors")}
    assert watcher.picture(job)[0].read_bytes() == (folder / "preview.png").read_bytes()
    assert watcher.snapshot.log == ("one", "two")
    engine_ready.context.window_manager.gaussianspeech_jobs.show_log = False
    engine_ready.ops.gaussianspeech.cancel_job(job="running")
    assert watcher.job("running").state == "cancelling"
    engine_ready.ops.gaussianspeech.remove_job(job="anna")
    assert not folder.exists()
    with pytest.raises(RuntimeError, match="is on another machine"):
        engine_ready.ops.gaussianspeech.open_job(job="running", what="LOG")


def test_an_engine_that_cannot_be_started_is_named(blender, jobs, addon, watcher):
    preferences = blender.context.preferences.addons[PACKAGE].preferences
    preferences.engine_command = "/no/such/ssh gpu gaussianspeech serve"
    blender.ops.gaussianspeech.refresh_jobs()
    assert "/no/such/ssh" in watcher.snapshot.error.message
