# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's end of the pipe against engines that hang, starve or babble, and without Blender."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from blender_addon.standalone import addon_module
from tests.waiting import PATIENCE, process_state, returned, until

client = addon_module("engine_link.client")
connection = sys.modules[client.Connection.__module__]
errors = sys.modules["gaussianspeech.engine.core.errors"]

REPOSITORY = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("stand_in_engine.py")
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


@pytest.fixture
def frozen(engine):
    """A request with which the engine's process has stopped."""
    pid = started(engine)
    pending = engine.request("freeze")
    until(lambda: process_state(pid) == "T")
    return pending


@pytest.fixture
def timers(monkeypatch):
    """The timers that are started: none runs out by itself."""
    begun = []

    def begin(timer):
        begun.append(timer)

    monkeypatch.setattr(threading.Timer, "start", begin)
    return begun


def test_a_cancel_ends_the_wait_within_half_a_second_though_the_engine_hangs(frozen, timers):
    frozen.cancel()
    assert not frozen.done
    (timer,) = timers
    assert timer.interval < 0.5
    timer.function(*timer.args)
    with pytest.raises(errors.CancelledError):
        frozen.result(0)


def test_a_cancel_that_the_engine_answers_is_not_waited_for(engine, timers):
    pending = engine.request("slow")
    until(lambda: pending.poll()[1] == "working")
    pending.cancel()
    with pytest.raises(errors.CancelledError):
        pending.result(PATIENCE)


def test_a_hung_engine_is_ended_by_shutdown_and_the_next_request_starts_another(engine, frozen):
    pid = engine.hello["pid"]
    returned(lambda: engine.shutdown(0.2))
    assert not process_state(pid)
    with pytest.raises(errors.GaussianSpeechError):
        frozen.result(PATIENCE)
    assert engine.request("echo", {"value": "again"}).result(PATIENCE).body["value"] == "again"


def test_an_engine_that_answers_no_ping_is_replaced_though_nobody_cancels(
    engine, frozen, monkeypatch
):
    pid = engine.hello["pid"]
    with monkeypatch.context() as impatient:
        impatient.setattr(connection, "_SILENCE", 0.5)
        with pytest.raises(errors.EngineGoneError, match=r"has not answered for 0\.5 s") as caught:
            frozen.result(PATIENCE)
    assert "starts anew" in caught.value.hint
    assert started(engine) != pid


class Pauses(threading.Event):
    """The pauses of who watches a connection: each is as long as the answer to a ping takes.

    The watcher adds up what they are meant to last; that the machine may be slow plays no part.
    """

    def __init__(self, watched):
        super().__init__()
        self.taken, self._watched, self._asked_at = 0, watched, None
        self._send, watched.send = watched.send, self._note
        watched._gone = self

    def _note(self, message):
        self._asked_at = self._watched._passed
        self._send(message)

    def _answered(self):
        return self.is_set() or self._watched._passed != self._asked_at

    def wait(self, timeout=None):
        if self._asked_at is not None:
            until(self._answered)
            self._asked_at = None
        self.taken += 1
        return super().wait(0.001)


def test_one_that_is_slow_and_answers_pings_is_waited_for(engine, monkeypatch):
    pid = started(engine)
    pauses = Pauses(engine._connection)
    monkeypatch.setattr(connection, "_SILENCE", 3 * connection._TICK)
    pending = engine.request("busy")
    until(lambda: pauses.taken > 50 or pending.done)
    assert not pending.done
    assert engine.hello["pid"] == pid
    pending.cancel()
    until(lambda: pending.done)
    taken = pauses.taken
    until(lambda: pauses.taken > taken + 50)  # Of an engine without work no answer is expected.
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
pending = engine.request({method})
while pending.poll()[1] == "waiting for the engine":
    time.sleep(0.01)
print(engine.hello["pid"], flush=True)
time.sleep(600)
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
        assert process_state(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        until(lambda: not process_state(pid))
