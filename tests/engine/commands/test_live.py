"""``gaussianspeech live`` as a program: what comes out, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from engine.cli import main

LIVE = ["live", "--speech-model", "rules"]


@pytest.fixture
def voice():
    with as_file(files("engine.assets") / "sample_voice.wav") as path:
        yield path


def test_a_file_comes_out_as_json_lines(voice, capfd):
    assert main([*LIVE, "--input", str(voice), "--no-paced", "--fps", "30"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    assert max(line["weights"]["jawOpen"] for line in lines) > 0.1


def test_a_reader_that_leaves_is_one_line_and_exit_code_2(voice):
    command = [sys.executable, "-m", "engine", *LIVE, "--input", str(voice), "--no-paced"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 2
    assert "JSON lines cannot be written" in said.splitlines()[-1]
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input", "nowhere.wav"], "no file nowhere.wav"),
        (["--input", "-", "--device", "1"], "--device is for the microphone"),
        (["--input", "-", "--rate", "10"], "sample rate of 10 Hz"),
        (["--input", "-", "--fps", "1000"], "1000"),
        (["--input", "-", "--out", "osc", "--host", "a.invalid"], "no host 'a.invalid'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(options, message, monkeypatch, capfd):
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert main([*LIVE, *options]) == 2
    said = capfd.readouterr().err
    assert message in said.splitlines()[-1]
