# SPDX-License-Identifier: GPL-3.0-or-later
import json
import sys

import pytest

from engine.jobs import folder as jobs
from engine.jobs import process as processes
from engine.jobs.status import ENDED, State
from tests.waiting import until
from training.cli import main
from training.commands import train_avatar


@pytest.fixture
def seen(monkeypatch):
    """What the command would do, without doing it."""
    calls = {}

    def as_job(out, config, work, **options):
        calls.update(out=out, config=config, **options)
        return 0

    monkeypatch.setattr(train_avatar, "run_as_job", as_job)
    monkeypatch.setattr(train_avatar, "check_capture", lambda _folder: None)
    return calls


def test_presets_are_named_and_changed_in_one_line(seen):
    words = ["train", "avatar", "--data", "c", "--out", "j", "baseline", "--steps", "70"]
    assert main(words) == 0
    assert (seen["config"]["color"], seen["config"]["steps"]) == ("sh", 70)
    assert seen["config"]["density"]["budget"] == 0
    assert not seen["config"]["subdivide_teeth"]


def test_without_a_preset_it_is_the_papers(seen):
    assert main(["train", "avatar", "--data", "c", "--out", "j", "--patch", "0"]) == 0
    assert seen["config"]["color"] == "mlp"
    assert seen["config"]["density"]["budget"] == 25_000
    assert seen["config"]["losses"]["patch"] == 0
    assert not seen["background"]


@pytest.mark.parametrize(
    ("words", "where", "value"),
    [
        (["--no-subdivide-teeth"], ("subdivide_teeth",), False),
        (["--color", "sh"], ("color",), "sh"),
        (["--wrinkle", "0"], ("losses", "wrinkle"), 0),
        (["--face", "0"], ("losses", "face"), 0),
        (["--budget", "0"], ("density", "budget"), 0),
    ],
)
def test_each_ablation_is_a_switch(seen, words, where, value):
    assert main(["train", "avatar", "--data", "c", "--out", "j", "default", *words]) == 0
    found = seen["config"]
    for key in where:
        found = found[key]
    assert found == value


def test_a_wrong_folder_is_one_line_and_exit_code_2(tmp_path, capsys):
    words = ["train", "avatar", "--data", str(tmp_path / "no"), "--out", str(tmp_path / "job")]
    assert main(words) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert str(tmp_path / "no") in error


def test_in_the_background_it_trains_to_the_end(small_capture, tmp_path, monkeypatch, capsys):
    out = tmp_path / "job"
    words = ["train", "avatar", "--data", str(small_capture), "--out", str(out), "--json"]
    words += ["quick", "--steps", "2", "--latent", "4", "--hidden", "8", "--scale", "1"]
    words += ["--wrinkle", "0", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["gaussianspeech", *words, "--background"])
    assert main([*words, "--background"]) == 0
    assert json.loads(capsys.readouterr().out)["job"] == "job"
    until(lambda: jobs.show(out).status.state in ENDED)
    job = jobs.show(out)
    if job.process is not None:
        processes.kill(job.process)
    assert job.status.state is State.FINISHED, jobs.log_tail(out)
    assert (out / "avatar.safetensors").is_file()
