# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Ray cluster of two nodes on this machine: ``nox -s cluster``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

pytest.importorskip("ray")

from ray.cluster_utils import Cluster

from engine.batch import BatchLine, Settings, Task
from engine.batch.ray_cluster import RayCluster
from engine.core.errors import GaussianSpeechError
from engine.motion.performance import Performance
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parents[3]
LINES = 16


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_an_address_at_which_nobody_answers_is_said_at_once(address, tmp_path):
    with pytest.raises(GaussianSpeechError, match="No Ray cluster answers"):
        RayCluster(Settings(tmp_path, ""), address)


def test_a_node_that_does_not_see_the_folder_makes_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with closing(RayCluster(Settings(tmp_path / "out", "a"), "local")) as executor:
        executor.submit(Task(BatchLine(1, "one", tmp_path / "a.wav"), "speak"))
        (failure,) = executor.wait(PATIENCE)
    assert "does not see" in failure.message
    assert not list(tmp_path.iterdir())


@pytest.fixture
def cluster():
    """A head node and another, a processor each."""
    path = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{path}"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield made
    made.shutdown()
    os.environ["PYTHONPATH"] = path


@pytest.fixture
def manifest(tmp_path, short_sound):
    path = tmp_path / "m.jsonl"
    rows = [{"name": f"l{n:02}", "sound": str(short_sound), "seed": n} for n in range(LINES)]
    rows.append({"name": "broken", "sound": __file__})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


class Driver:
    """``gaussianspeech batch`` as a process."""

    def __init__(self, manifest, out, *more, cores=None):
        command = [sys.executable, "-m", "engine", "batch", str(manifest), "--out", str(out)]
        command += ["--recognizer", "phones", "--json", *more]
        self._out = out
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if cores is not None:
            # Before it asks how many there are.
            os.sched_setaffinity(self.process.pid, sorted(os.sched_getaffinity(0))[:cores])

    def wait_for(self, done):
        until(lambda: len(records(self._out)) >= done or self.process.poll() is not None)
        assert self.process.returncode is None

    def result(self):
        said, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, json.loads(said)


def records(out):
    return sorted((out / ".batch").glob("l*.json"))


def outputs(out):
    return {file.name: file.stat().st_mtime_ns for file in out.glob("*.npz")}


def test_nodes_workers_and_drivers_that_die_cost_no_output_and_double_none(
    cluster, manifest, tmp_path
):
    out, second = tmp_path / "out", cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()

    # The driver is killed: the cluster ends its tasks, and what is done stays.
    driver = Driver(manifest, out, "--ray", cluster.address)
    driver.wait_for(2)
    driver.process.send_signal(signal.SIGKILL)
    driver.process.communicate()
    time.sleep(1)
    kept = {name: outputs(out)[name] for name in names(records(out))}
    assert 2 <= len(kept) < LINES

    # It is started again; a worker is killed as the system does where memory is full, then a node.
    driver = Driver(manifest, out, "--ray", cluster.address)
    driver.wait_for(len(kept) + 2)
    kill_a_worker(out)
    driver.wait_for(len(kept) + 4)
    cluster.remove_node(second, allow_graceful=False)
    code, result = driver.result()
    assert (code, result["failed"]) == (2, ["broken"])
    assert result["made"]["performance"] + len(kept) >= LINES
    assert result["retried"] >= 1

    found = outputs(out)
    assert sorted(found) == [f"l{n:02}.performance.npz" for n in range(LINES)]
    assert {name: found[name] for name in kept} == kept
    assert all(Performance.load(out / name).frames for name in found)
    assert not list((out / ".batch").glob("*.running"))

    # All is there: another run makes nothing.
    code, again = Driver(manifest, out, "--ray", cluster.address).result()
    assert (code, again["there"], again["made"]) == (2, LINES, {})
    assert outputs(out) == found


def names(found):
    return [f"{record.stem}.performance.npz" for record in found]


def kill_a_worker(out):
    def killed():
        for claim in (out / ".batch").glob("l*.running"):
            with suppress(OSError, ValueError, psutil.NoSuchProcess):
                psutil.Process(json.loads(claim.read_text("ascii"))["pid"]).kill()
                return True
        return False

    until(killed)


def test_throughput_for_each_core_against_one_process(cluster, tmp_path):
    """Median seconds of a line of six seconds, for the first of each worker also loads the models.

    On a machine that others use too, processor time says what the cluster costs, wall time little.
    """
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    voice, manifest, taken = ROOT / "engine/assets/sample_voice.wav", tmp_path / "m.csv", {}
    rows = "".join(f"l{n},{voice},{n}\n" for n in range(LINES))
    manifest.write_text(f"name,sound,seed\n{rows}", "utf-8")
    runs = {"one process": ("--processes", "1"), "two nodes": ("--ray", cluster.address)}
    for name, more in runs.items():
        out = tmp_path / name.replace(" ", "-")
        _, result = Driver(manifest, out, *more, cores=1 if len(taken) == 0 else None).result()
        assert result["made"] == {"performance": LINES}
        taken[name] = result["typical_seconds"]["speak"], result["processor_seconds"]["speak"]
    wall, used = (
        one / two for one, two in zip(taken["one process"], taken["two nodes"], strict=True)
    )
    print(f"seconds and processor seconds of a line: {taken}")
    print(f"throughput for each core: {wall:.2f} times by wall time, {used:.2f} by processor time")
