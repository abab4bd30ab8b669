# SPDX-License-Identifier: GPL-3.0-or-later
"""Several trainings on a real Ray cluster of two nodes on this machine: ``nox -s cluster``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

pytest.importorskip("ray")

from ray.cluster_utils import Cluster

from engine.core.errors import BadInputError
from engine.jobs import folder as jobs
from engine.jobs.status import State
from tests.conftest import REPOSITORY

OPTIONS = "default --coarse 0 0 --latent 8 --hidden 16 --rounds 0 --face 0 --patch 0 --wrinkle 0"
OPTIONS += " --threads 1 --checkpoint-every 5 --evaluate-every 1000 --preview-every 1000"


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes with a processor each."""
    path = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY}{os.pathsep}{path}")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made
    made.shutdown()


def kill_once_it_has_a_checkpoint(folder):
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        with suppress(BadInputError):
            job = jobs.show(folder)
            if job.process is not None and any(job.checkpoints.glob("*.pt")):
                psutil.Process(job.process.pid).kill()
                return
        time.sleep(0.01)
    raise AssertionError


def test_trainings_are_done_on_a_cluster_and_one_that_is_killed_continues(
    cluster, small_capture, tmp_path
):
    commands = [
        f"train avatar --data {small_capture} --out killed {OPTIONS} --steps 60",
        f"train avatar --data {small_capture} --out whole {OPTIONS} --steps 2",
        f"train avatar --data {tmp_path} --out wrong {OPTIONS} --steps 2",
    ]
    (tmp_path / "trainings.txt").write_text("# three\n\n" + "\n".join(commands), "utf-8")
    script = REPOSITORY / "docs" / "scale" / "trainings.py"
    words = [sys.executable, str(script), "trainings.txt", "--ray", cluster.address]
    driver = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    kill_once_it_has_a_checkpoint(tmp_path / "killed")
    said, _ = driver.communicate(timeout=500)
    assert driver.returncode == 2
    lines = said.splitlines()
    assert sum(line.startswith("done: train avatar") for line in lines) == 2
    assert [line for line in lines if line.startswith("FAILED")] == [f"FAILED: {commands[2]}"]
    states = {name: jobs.show(tmp_path / name) for name in ("killed", "whole")}
    assert [job.status.state for job in states.values()] == [State.FINISHED] * 2
    assert (states["killed"].runs, states["whole"].runs) == (2, 1)
    assert (states["killed"].status.step, states["whole"].status.step) == (60, 2)
    assert not (tmp_path / "wrong").exists()
