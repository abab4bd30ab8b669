# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's end of the pipe against engines that hang, starve or babble, and without Blender."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from blender_addon.standalone import addon_module

client = addon_module("engine_link.client")
errors = sys.modules["gaussianspeech.engine.core.errors"]

REPOSITORY = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("stand_in_engine.py")
PATIENCE = 30
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")


@pytest.fixture
def engine(tmp_path):
    command = [sys.executable, str(STAND_IN), "works"]
    engine = client.EngineClient(command, ENVIRONMENT, tmp_path / "engine.log", install_hint="")
    yield engine
    engine.shutdown(0.1)


def started(engine):
    """The process of an engine that answers."""
    engine.request("echo").result(PATIENCE)
    return engine.hello["pid"]


def is_alive(pid):
    """Whether a process runs that is no zombie."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize("method", ["freeze", "slow"])
def test_a_cancel_ends_the_wait_within_half_a_second_whatever_the_engine_does(engine, method):
    started(engine)
    pending = engine.request(method)
    time.sleep(0.2)
    began = time.monotonic()
    pending.cancel()
    with pytest.raises(errors.CancelledError):
        pending.result(PATIENCE)
    assert time.monotonic() - began < 0.6  # A tenth of it for a busy machine.


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_hung_engine_is_ended_by_shutdown_and_the_next_request_starts_another(engine):
    pid = started(engine)
    pending = engine.request("freeze")
    time.sleep(0.2)
    engine.shutdown(0.2)
    assert not is_alive(pid)
    with pytest.raises(errors.GaussianSpeechError):
        pending.result(PATIENCE)
    assert engine.request("echo", {"value": "again"}).result(PATIENCE).body["value"] == "again"


@pytest.fixture
def impatient(monkeypatch):
    connection = sys.modules[client.Connection.__module__]
    monkeypatch.setattr(connection, "_SILENCE", 0.5)
    monkeypatch.setattr(connection, "_TICK", 0.1)


def test_an_engine_that_answers_no_ping_is_replaced_though_nobody_cancels(engine, impatient):
    pid = started(engine)
    with pytest.raises(errors.EngineGoneError, match=r"has not answered for 0\.5 s") as caught:
        engine.request("freeze").result(PATIENCE)
    assert "starts anew" in caught.value.hint
    assert started(engine) != pid


def test_one_that_is_slow_and_answers_pings_is_waited_for(engine, impatient):
    pid = started(engine)
    pending = engine.request("busy")
    assert not pending.wait(2)
    assert engine.hello["pid"] == pid
    pending.cancel()
    time.sleep(1)  # Of an engine without work no answer is expected.
    assert engine.state is client.State.READY


def test_a_request_without_memory_fails_alone(engine):
    with pytest.raises(errors.GaussianSpeechError, match="starve failed: MemoryError"):
        engine.request("starve").result(PATIENCE)
    assert engine.request("echo", {"value": "again"}).result(PATIENCE).body["value"] == "again"


def test_an_engine_whose_stdout_is_polluted_is_replaced(engine):
    pid = started(engine)
    with pytest.raises(errors.EngineGoneError, match="sent something unexpected"):
        engine.request("babble").result(PATIENCE)
    assert engine.request("echo", {"value": "again"}).result(PATIENCE).body["value"] == "again"
    assert engine.hello["pid"] != pid


_PARENT = """
import sys, time
sys.path[:0] = {paths}
from pathlib import Path
from blender_addon.standalone import addon_module
client = addon_module("engine_link.client")
import os
engine = client.EngineClient({command}, dict(os.environ), Path({log}), install_hint="")
engine.request("echo").result(60)
print(engine.hello["pid"], flush=True)
engine.request({method})
time.sleep(60)
"""


@pytest.mark.one_blender
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("method", ["slow", "busy"])
def test_no_engine_outlives_a_killed_blender(tmp_path, method):
    text = _PARENT.format(
        paths=[str(REPOSITORY)],
        command=[sys.executable, str(STAND_IN), "works"],
        log=repr(str(tmp_path / "engine.log")),
        method=repr(method),
    )
    with subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, env=ENVIRONMENT
    ) as parent:
        pid = int(parent.stdout.readline())
        time.sleep(0.5)
        assert is_alive(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        end = time.monotonic() + 10  # Work that asks nobody gets five seconds.
        while is_alive(pid) and time.monotonic() < end:
            time.sleep(0.05)
        assert not is_alive(pid)
