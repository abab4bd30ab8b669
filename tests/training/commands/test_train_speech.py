# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech train speech`` as people run it: here, detached, killed, resumed, refused."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.jobs import folder as jobs
from engine.jobs.status import State
from engine.motion.model.checkpoint import load_model, save_model
from engine.motion.model.network import SpeechModel
from engine.motion.performance import Performance
from tests.training.held import stop_after
from tests.training.speech.recordings import tiny_config, write_recordings
from tests.waiting import until
from training.cli import main
from training.cli import main as gaussianspeech
from training.speech.personal import RECORD

STEPS = 60
"""A job is killed on the way, after its first checkpoint."""


@pytest.fixture(scope="module")
def words(head, tmp_path_factory):
    """A command that trains a small model for a few steps."""
    folder = tmp_path_factory.mktemp("speech")
    write_recordings(folder / "data", head)
    torch.manual_seed(0)
    save_model(folder / "start.safetensors", SpeechModel(tiny_config(head)), head, "start")
    options = {
        "batch": 2,
        "frames": 20,
        "steps": STEPS,
        "validate-every": 10,
        "patience": 99,
        "device": "cpu",
    }
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    start = ["--from", str(folder / "start.safetensors")]
    return ["train", "speech", "--data", str(folder / "data"), *start, *given]


@pytest.fixture(scope="module")
def whole(words, tmp_path_factory):
    """The folder of an unbroken run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "whole"
    code = main([*words, "--out", str(out), "--name", "mine"])
    torch.set_num_threads(before)
    assert code == 0
    return out


def test_a_run_leaves_model_settings_curves_and_a_finished_job(head, whole):
    job = jobs.show(whole)
    assert job.status.state is State.FINISHED
    assert (job.status.step, job.status.total, job.status.preview) == (STEPS, STEPS, "losses.png")
    assert job.status.loss > 0
    assert job.config["kind"] == "speech"
    assert job.config["training"]["seed"] == 0
    assert load_model(whole / "speech_model.safetensors", head).name == "mine"
    assert (whole / "losses.png").is_file()
    assert (whole / "losses.csv").is_file()
    assert list((whole / "tensorboard").iterdir())
    assert json.loads((whole / RECORD).read_text())["plan"]["name"] == "mine"


def test_the_trained_model_animates(whole, words, tmp_path):
    data = words[words.index("--data") + 1]
    model = str(whole / "speech_model.safetensors")
    code = gaussianspeech(
        ["animate", f"{data}/c0.wav", "--out", str(tmp_path), "--speech-model", model]
    )
    assert code == 0
    assert Performance.load(tmp_path / "c0.performance.npz").model == "mine"


def test_a_killed_job_resumes_to_the_model_of_an_unbroken_one(whole, words, tmp_path, monkeypatch):
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "training", *words, "--out", str(out), "--name", "mine"]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    stopped = stop_after(Path("checkpoints") / "last.pt", tmp_path / "start", monkeypatch)
    done = subprocess.run([*command, "--background", "--json"], capture_output=True, check=True)
    assert json.loads(done.stdout)["job"] == "killed"
    until(stopped.exists)
    jobs.cancel(out, at_once=True)
    assert 0 < jobs.show(out).status.step < STEPS
    record = json.loads((out / RECORD).read_text())
    settings = record["plan"]["training"]
    settings["hearing"] = settings.pop("variant_probs")  # As version 0.1.0 named it.
    (out / RECORD).write_text(json.dumps(record))
    jobs.resume(out)
    until(lambda: not jobs.show(out).running)
    assert jobs.show(out).status.state is State.FINISHED, jobs.log_tail(out)
    # Another process sums in another order: the same to rounding.
    np.testing.assert_allclose(_losses(out), _losses(whole), rtol=1e-4)


def _losses(folder):
    with (folder / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [float(row[name]) for row in rows for name in row if row[name] and name != "seconds"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--data": "nowhere"}, "There is no folder"),
        ({"--from": "gone.safetensors"}, "There is no speech model"),
        ({"--steps": "0"}, "steps = 0"),
        ({"--head": "gone.pkl"}, "There is no head file"),
        ({"--preset": "personal"}, "--preset say what a new model is like"),
        ({"--encoder-source": "some/weights"}, "--encoder-source say what a new model"),
        ({"--from": "starter", "--preset": "starter"}, "--from starter brings its own"),
        ({"--from": "none", "--preset": "huge"}, "no preset 'huge'"),
        ({"--from": "none", "--encoder-source": "no/weights"}, "not on this machine"),
        (
            {"--from": "none", "--preset": "imitator", "--no-alignment-mask": None},
            "--no-alignment-mask would change nothing: imitator",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_bad_input_is_one_line_and_leaves_no_job(words, tmp_path, capsys, changes, message):
    given = [*words, "--out", str(tmp_path / "run")]
    for name, value in changes.items():
        if name in given:
            given[given.index(name) + 1] = value
        else:
            given += [name] if value is None else [name, value]
    assert main(given) != 0
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("gaussianspeech: ")
    assert message in error
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_head_is_refused(head, words, tmp_path, capsys):
    other = replace(
        head,
        id="other",
        expression_names=head.expression_names[:6],
        expression_basis=head.expression_basis[:6],
    )
    path = tmp_path / "other.safetensors"
    save_model(path, SpeechModel(tiny_config(other)), other, "other")
    given = [*words, "--out", str(tmp_path / "run")]
    given[given.index("--from") + 1] = str(path)
    assert main(given) == 2
    assert "is for the head 'other' with 6 expressions" in capsys.readouterr().err
