# SPDX-License-Identifier: GPL-3.0-or-later
"""The session's script on a machine without a GPU, and the code of its parts, small, on a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.splatting import gsplat_backend
from engine.splatting.cpu.backend import CpuBackend
from engine.splatting.gsplat_backend import GsplatBackend
from tests.benchmarks import splatting_gpu
from tests.engine.splatting import comparison, gsplat_operations
from tests.gpu import parts, session, short_training
from tests.waiting import process_state, until

SCRIPT = Path(__file__).with_name("session.sh")


@pytest.fixture
def backend(monkeypatch):
    """The gsplat backend with its operations in plain torch."""
    gsplat_operations.install(monkeypatch, gsplat_operations.Operations())
    monkeypatch.setattr(gsplat_backend, "why_unavailable", lambda: None)
    return GsplatBackend(device="cpu")


def test_without_cuda_every_part_says_so(tmp_path):
    environment = os.environ | {
        "GAUSSIANSPEECH_PYTHON": sys.executable,
        "CUDA_VISIBLE_DEVICES": "",
        "OUT": str(tmp_path / "given"),
    }
    done = subprocess.run(
        [SCRIPT], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    report = json.loads((tmp_path / "given" / "session.json").read_text())
    assert not report["passed"]
    assert {name: part["status"] for name, part in report["parts"].items()} == dict.fromkeys(
        session.LIMITS, "no CUDA device"
    )
    assert "sees none" in report["parts"]["training"]["message"]
    assert "sees none" in (tmp_path / "given" / "session.txt").read_text()
    assert sorted(file.name for file in (tmp_path / "given").iterdir()) == [
        "session.json",
        "session.txt",
    ]


def test_parts_get_what_is_left_of_ten_minutes(tmp_path, monkeypatch):
    assert session.TOTAL < 600
    limits = {"device": 30, "compile": 400, "parity": 70, "graph": 29}
    monkeypatch.setattr(session, "LIMITS", limits)
    monkeypatch.setattr(session, "TOTAL", 450)
    given = []

    def run_part(name, limit, _log):
        given.append((name, limit))
        return session.Result("passed", seconds=limit)

    monkeypatch.setattr(session, "run_part", run_part)
    assert session.main(tmp_path) == 1
    assert given == [("device", 30), ("compile", 400), ("parity", 20)]
    report = json.loads((tmp_path / "session.json").read_text())
    assert report["parts"]["graph"]["status"] == "no time left"


HANGS = 77
"""Seconds that the part is given which hangs, and no other."""

PARTS = """
import json, pathlib, subprocess, sys, time
name, figures = sys.argv[1:]
if name == "compile":
    print("the compiler is missing")
    sys.exit(1)
if name == "parity":
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path("other").write_text(str(other.pid))
    time.sleep(600)
pathlib.Path(figures).write_text(json.dumps({"answer": name}))
"""


def test_a_part_that_fails_or_hangs_does_not_stop_the_others(tmp_path, monkeypatch):
    (tmp_path / "parts.py").write_text(PARTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "COMMAND", [sys.executable, str(tmp_path / "parts.py")])
    monkeypatch.setattr(session, "LIMITS", {**session.LIMITS, "parity": HANGS})
    other, wait = tmp_path / "other", subprocess.Popen.wait

    def no_longer_than_it_takes_to_hang(process, timeout=None):
        if timeout == HANGS:
            until(lambda: other.is_file() and other.read_text())
            raise subprocess.TimeoutExpired(process.args, timeout)
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", no_longer_than_it_takes_to_hang)
    assert session.main(tmp_path) == 1
    report = json.loads((tmp_path / "session.json").read_text())
    assert {name: part["status"] for name, part in report["parts"].items()} == {
        "device": "passed",
        "compile": "failed",
        "parity": "timed out",
        "graph": "passed",
        "benchmark": "passed",
        "training": "passed",
        "convergence": "passed",
    }
    assert report["parts"]["compile"]["message"] == "the compiler is missing"
    assert report["parts"]["training"]["figures"] == {"answer": "training"}
    assert not report["passed"]
    until(lambda: not process_state(int(other.read_text())))


def test_where_all_parts_pass_so_does_the_session(tmp_path, monkeypatch):
    (tmp_path / "parts.py").write_text("")
    monkeypatch.setattr(session, "COMMAND", [sys.executable, str(tmp_path / "parts.py")])
    assert session.main(tmp_path) == 0
    assert json.loads((tmp_path / "session.json").read_text())["passed"]


def test_parity_is_measured_and_held_to_its_limits(backend, monkeypatch):
    monkeypatch.setattr(comparison, "SIZE", (20, 17))
    found = parts.parity(backend, kinds=("plain",), avatar_size=(24, 32))
    assert 0 < found["others"]["rgb"] < 1e-5
    assert 0 < found["others"]["gradients"] < 1e-4
    assert found["decibels of the default avatar"] > 80
    with monkeypatch.context() as patch, pytest.raises(AssertionError, match="rgb"):
        patch.setattr(gsplat_operations, "OPAQUE", 0.5)
        parts.parity(backend, kinds=("opaque",), avatar_size=(24, 32))


@pytest.fixture
def hurried(monkeypatch):
    """Times from one run: what they are does not matter."""
    monkeypatch.setattr(splatting_gpu, "REPEATS", 1)


def test_the_operations_before_the_rasteriser_are_compared_and_timed(hurried):
    found = parts.graph("cpu", frames=1)
    assert sorted(found) == ["Mlp, graph", "Mlp, one by one", "Sh, graph", "Sh, one by one"]
    assert all(row["milliseconds"] > 0 for row in found.values())


def test_the_benchmark_has_a_row_for_each_size(backend, hurried):
    found = parts.benchmark(backend, counts=(200,), sizes=((16, 24), (24, 32)), frames=1)
    rows = found["milliseconds"]
    assert [(row["splats"], row["width"]) for row in rows] == [(200, 16), (200, 24)]
    assert all(row["gsplat"] > 0 and row["backward"] > 0 for row in rows)


def test_a_short_training_learns_and_is_timed():
    found = parts.training(CpuBackend(), size=(44, 64), steps=100, seconds=600)
    assert found["steps"] == 100
    assert found["decibels after"] > found["decibels before"] + 1
    assert found["seconds a step"] > 0


def test_a_long_training_says_when_it_is_near_its_end():
    found = parts.convergence(CpuBackend(), size=(44, 64), steps=60, seconds=600, near=1.0)
    assert found["steps"] == 60
    curve = found["decibels"]
    assert len(curve) == 21
    first = found["steps to within 1.0 dB"] // 3
    assert first == 0 or abs(curve[first - 1] - curve[-1]) > 0.99
    assert max(abs(value - curve[-1]) for value in curve[first:]) <= 1.01


def test_a_training_that_has_not_come_to_its_end_fails():
    with pytest.raises(AssertionError, match="'steps': 1"):
        parts.convergence(CpuBackend(), size=(16, 24), steps=20, seconds=0.0)


def test_the_end_begins_after_the_last_value_that_is_far():
    assert short_training.near_the_end([20.0, 24.9, 24.0, 24.8, 25.0], 0.3) == 3
    assert short_training.near_the_end([25.0, 25.1], 0.3) == 0
