# SPDX-License-Identifier: GPL-3.0-or-later
"""The Training section: the list, and what can be done with a job.

Background Blender has no timers: what they do is called here.
"""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest

from tests.blender_addon.conftest import PACKAGE
from tests.blender_addon.jobs.job_folders import make_job, write_picture
from tests.blender_addon.waits import waits_of_this_thread
from tests.waiting import until


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
    engine_ready, jobs, addon, watcher, engine_aside, monkeypatch
):
    make_job(jobs, "anna")
    timer = addon("jobs.timer")
    timer.sync(engine_ready.context)
    watcher.drawn()
    future = addon("engine_link.future")._EventFuture
    ways = [(future, "wait"), (future, "result"), (subprocess.Popen, "wait")]
    ways.append((addon("engine_link.connection").Connection, "wait_ready"))
    waits = waits_of_this_thread(monkeypatch, *ways)

    def tick():
        watcher.tick()
        timer.sync(engine_ready.context)
        time.sleep(0.05)

    until(lambda: watcher.job("anna"), meanwhile=tick)
    assert waits == []
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
