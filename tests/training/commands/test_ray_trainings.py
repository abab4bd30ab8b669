# SPDX-License-Identifier: GPL-3.0-or-later
"""Several trainings on a real Ray cluster of two nodes on this machine: ``nox -s cluster``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytest.importorskip("ray")

from ray.cluster_utils import Cluster

from engine.jobs import folder as jobs
from engine.jobs.status import State
from tests.conftest import REPOSITORY
from tests.training.held import stop_after
from tests.waiting import PATIENCE, until

OPTIONS = "default --coarse 0 0 --latent 8 --hidden 16 --rounds 0 --face 0 --patch 0 --wrinkle 0"
OPTIONS += " --threads 1 --checkpoint-every 5 --evaluate-every 1000 --preview-every 1000"


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """A file that is there once the training to be killed has stopped at its first checkpoint."""
    checkpoint = Path("killed") / "checkpoints" / "last.pt"
    return stop_after(checkpoint, tmp_path / "start", monkeypatch)


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


def test_trainings_are_done_on_a_cluster_and_one_that_is_killed_continues(
    stopped, cluster, small_capture, tmp_path
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
    until(stopped.exists)
    psutil.Process(jobs.show(tmp_path / "killed").process.pid).kill()
    said, _ = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 2
    lines = said.splitlines()
    assert sum(line.startswith("done: train avatar") for line in lines) == 2
    assert [line for line in lines if line.startswith("FAILED")] == [f"FAILED: {commands[2]}"]
    states = {name: jobs.show(tmp_path / name) for name in ("killed", "whole")}
    assert [job.status.state for job in states.values()] == [State.FINISHED] * 2
    assert (states["killed"].runs, states["whole"].runs) == (2, 1)
    assert (states["killed"].status.step, states["whole"].status.step) == (60, 2)
    assert not (tmp_path / "wrong").exists()
