# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of jobs: used with one click, and known before they are removed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.blender_addon.conftest import REPOSITORY
from tests.blender_addon.jobs.drawn_layout import Drawn
from tests.blender_addon.jobs.job_folders import make_job


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


def test_what_can_be_done_stands_above_what_is_to_be_known(
    blender, jobs, listed, watcher, addon, monkeypatch
):
    """Notes may be long: buttons below them would be out of sight."""
    folder = make_job(jobs, "ada", "cancelled", kind="person")
    (folder / "person.json").write_text("{}")
    status = folder / "status.json"
    status.write_text(json.dumps(json.loads(status.read_text()) | {"notes": ["One camera."]}))
    listed()
    # In the background no region says how wide a line may be.
    panel = addon("jobs.panel")
    monkeypatch.setattr(panel, "draw_wrapped", lambda box, _context, text, **_: box.label(text))
    box = Drawn()
    panel._draw_job(box, blender.context, watcher.job("ada"))
    order = [text for text in box.shown if text in {"Add Person", "Resume", "One camera."}]
    assert order == ["Add Person", "Resume", "One camera."]
