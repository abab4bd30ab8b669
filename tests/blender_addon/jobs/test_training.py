# SPDX-License-Identifier: GPL-3.0-or-later
"""Trainings that are started from the Training section, and one that really runs."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import Future

import pytest

from tests.blender_addon.conftest import REPOSITORY
from tests.blender_addon.jobs.drawn_layout import Drawn
from tests.blender_addon.jobs.job_folders import make_job
from tests.waiting import PATIENCE, until


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
            {"encoder": "WAV2VEC2", "encoder_source": "", "speech_preset": "paper"},
            ("--from", "none", "--preset", "paper"),
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


def test_every_preset_of_a_new_model_can_be_chosen(blender):
    presets = pytest.importorskip("training.speech.presets", reason="needs the engine")
    settings = blender.context.scene.gaussianspeech_training
    offered = settings.bl_rna.properties["speech_preset"].enum_items.keys()
    assert set(offered) == set(presets.NEW_MODELS) - {"starter"}


def test_a_finished_capture_is_chosen_for_a_training(blender, jobs, listed):
    folder = make_job(jobs, "capture", "finished", kind="capture")
    (folder / "transforms_train.json").write_text("{}")
    listed()
    blender.ops.gaussianspeech.use_job(job="capture", kind="CAPTURE")
    settings = blender.context.scene.gaussianspeech_training
    assert (settings.kind, settings.data) == ("AVATAR", str(folder))


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
