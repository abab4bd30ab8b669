# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's end of the pipe against engines that behave well and badly; without Blender."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from blender_addon.standalone import addon_module
from tests.blender_addon.waits import waits_of_this_thread
from tests.waiting import PATIENCE, process_state, returned, until

client = addon_module("engine_link.client")
errors = sys.modules["gaussianspeech.engine.core.errors"]

REPOSITORY = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("stand_in_engine.py")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def start(tmp_path):
    """Start an engine that behaves as asked."""
    started = []

    def start(behaviour="works", command=None, **options):
        engine = client.EngineClient(
            command or [sys.executable, str(STAND_IN), behaviour],
            ENVIRONMENT,
            tmp_path / "log" / "engine.log",
            install_hint="Run: pip install everything",
            **options,
        )
        started.append(engine)
        return engine

    yield start
    for engine in started:
        engine.shutdown(0.1)


@pytest.fixture
def engine(start):
    return start()


def test_a_request_starts_the_engine_and_brings_its_reply(engine):
    assert engine.state is client.State.STOPPED
    array = np.arange(5, dtype=np.float32)
    reply = engine.request("echo", {"value": "hello"}, {"a": array}).result(PATIENCE)
    assert reply.body == {"value": "hello"}
    np.testing.assert_array_equal(reply.arrays["a"], array)
    assert engine.state is client.State.READY
    assert engine.hello["torch"] == "2.0"


def test_start_and_request_return_before_the_engine_is_ready(start, tmp_path):
    told = tmp_path / "told"
    engine = start(command=[sys.executable, str(STAND_IN), "greets when told", str(told)])
    returned(engine.start)
    # 64 MB do not fit into a pipe: only a thread of its own can be writing them.
    arrays = {"a": np.zeros(1 << 24, np.float32)}
    pending = returned(lambda: engine.request("echo", arrays=arrays))
    assert engine.state is client.State.STARTING
    assert not pending.done
    told.touch()
    assert pending.result(PATIENCE).arrays["a"].shape == (1 << 24,)


def test_an_error_comes_back_as_its_own_class(engine):
    with pytest.raises(errors.BadInputError, match="empty") as caught:
        engine.request("refuse").result(PATIENCE)
    assert caught.value.hint == "Export it again."


def test_progress_and_cancel(engine):
    pending = engine.request("slow")
    until(lambda: pending.poll()[1] == "working")
    assert not pending.done
    pending.cancel()
    with pytest.raises(errors.CancelledError):
        pending.result(PATIENCE)
    assert engine.request("echo", {"value": "next"}).result(PATIENCE).body["value"] == "next"


def test_libraries_that_print_do_not_break_the_stream(engine):
    assert engine.request("chatter").result(PATIENCE).body["value"] == "still understood"
    assert "a library that prints" in engine.log_path.read_text()


def test_requests_from_many_threads_get_their_own_replies(engine):
    replies = {}

    def ask(number):
        body = engine.request("echo", {"value": str(number)}).result(PATIENCE).body
        replies[number] = body["value"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == {number: str(number) for number in range(20)}


def test_a_result_that_takes_too_long_is_a_timeout_and_can_still_come(engine):
    pending = engine.request("slow")
    with pytest.raises(TimeoutError):
        pending.result(0.01)
    pending.cancel()
    with pytest.raises(errors.CancelledError):
        pending.result(PATIENCE)


def test_what_cannot_be_sent_fails_alone(engine):
    bad = engine.request("echo", arrays={"a": np.array([object()])})
    good = engine.request("echo", {"value": "fine"})
    with pytest.raises(errors.GaussianSpeechError, match="Cannot be sent"):
        bad.result(PATIENCE)
    assert good.result(PATIENCE).body["value"] == "fine"


def test_after_an_engine_was_killed_in_mid_request_the_next_request_starts_another(engine):
    pending = engine.request("slow")
    pid = engine.wait_ready(PATIENCE)["pid"]
    os.kill(pid, signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
    with pytest.raises(errors.EngineGoneError, match="while it worked") as caught:
        pending.result(PATIENCE)
    assert str(engine.log_path) in caught.value.hint
    assert engine.state is client.State.GONE
    assert engine.request("echo", {"value": "again"}).result(PATIENCE).body["value"] == "again"
    assert engine.hello["pid"] != pid


def test_the_error_of_an_engine_that_died_ends_with_its_log(engine):
    with pytest.raises(errors.EngineGoneError, match="exit code 3") as caught:
        engine.request("die").result(PATIENCE)
    assert "something terrible" in caught.value.hint


def test_every_waiting_request_fails_with_the_engine(engine):
    waiting = [engine.request("die"), engine.request("echo"), engine.request("slow")]
    for pending in waiting:
        with pytest.raises(errors.EngineGoneError):
            pending.result(PATIENCE)


def test_a_missing_program_names_it_and_the_remedy(start):
    engine = start(command=["/no/such/python", "-m", "engine"])
    with pytest.raises(errors.MissingDependencyError, match="/no/such/python") as caught:
        engine.request("echo")
    assert "Engine Python" in caught.value.hint


@pytest.mark.parametrize(
    ("behaviour", "error", "word", "remedy"),
    [
        ("exits at once", "EngineGoneError", "exit code 5", "no licence found"),
        ("lacks a library", "MissingDependencyError", "a_library_that_nobody_has", "pip install"),
        ("has no torch", "MissingDependencyError", "/opt/bare/python has no torch", "pip install"),
        ("is of another version", "MissingDependencyError", "protocol 999", "version"),
        ("speaks in tongues", "EngineGoneError", "Expected a message", "log"),
    ],
)
def test_an_engine_that_cannot_start_says_why_and_what_to_do(start, behaviour, error, word, remedy):
    engine = start(behaviour)
    pending = engine.request("echo")
    with pytest.raises(getattr(errors, error), match=word) as caught:
        pending.result(PATIENCE)
    assert remedy in caught.value.hint
    assert engine.error is caught.value
    with pytest.raises(getattr(errors, error)):
        engine.wait_ready(PATIENCE)


def test_an_engine_that_never_says_hello_is_given_up(start):
    engine = start("says nothing", hello_timeout=0.5)
    with pytest.raises(errors.EngineGoneError, match=r"0\.5 s"):
        engine.request("echo").result(PATIENCE)


def test_shutdown_ends_the_process_and_its_requests(engine):
    pending = engine.request("slow")
    pid = engine.wait_ready(PATIENCE)["pid"]
    engine.shutdown()
    with pytest.raises(errors.GaussianSpeechError):
        pending.result(PATIENCE)
    assert engine.state is client.State.STOPPED
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_shutdown_does_not_wait_for_an_engine_that_ignores_it(start):
    engine = start("ignores shutdown")
    pid = engine.greeting().result(PATIENCE)["pid"]
    returned(lambda: engine.shutdown(0.2))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.one_blender
def test_nobody_has_to_wait_for_an_engine_that_ignores_shutdown(start, monkeypatch):
    engine = start("ignores shutdown")
    pid = engine.greeting().result(PATIENCE)["pid"]
    pending = engine.request("echo")
    waits = waits_of_this_thread(monkeypatch, (subprocess.Popen, "wait"))
    engine.shutdown(0.2, wait=False)
    assert waits == []
    with pytest.raises(errors.EngineGoneError, match="was stopped"):
        pending.result(0)
    until(lambda: not process_state(pid))


def test_after_a_shutdown_the_next_request_starts_another_process(engine):
    first = engine.greeting().result(PATIENCE)["pid"]
    engine.shutdown(wait=False)
    assert engine.request("echo", {"value": "again"}).result(PATIENCE).body["value"] == "again"
    assert engine.hello["pid"] != first


def test_a_request_can_be_prepared_in_a_thread(engine):
    threads = []

    def prepare():
        threads.append(threading.current_thread())
        return {"value": "prepared"}, {"a": np.zeros(3, np.float32)}

    reply = client.PreparedFuture(engine, "echo", prepare, "Reading the sound").result(PATIENCE)
    assert (reply.body["value"], reply.arrays["a"].shape) == ("prepared", (3,))
    assert threads != [threading.main_thread()]


def test_cancelling_a_prepared_request_cancels_the_engines_work(engine):
    future = client.PreparedFuture(engine, "slow", lambda: ({}, {}), "Reading the sound")
    until(lambda: future.poll()[1] == "working")
    future.cancel()
    with pytest.raises(errors.CancelledError):
        future.result(PATIENCE)


def test_what_cannot_be_prepared_is_not_sent(engine):
    def prepare():
        raise errors.BadInputError("voice.wav cannot be read.", "Check the file.")

    with pytest.raises(errors.BadInputError, match=r"voice\.wav"):
        client.PreparedFuture(engine, "echo", prepare, "Reading the sound").result(PATIENCE)
    assert engine.state is client.State.STOPPED


def test_the_greeting_can_be_waited_for_like_a_request(engine):
    greeting = engine.greeting()
    assert greeting.wait(PATIENCE)
    assert greeting.done
    assert greeting.result()["torch"] == "2.0"


def test_the_log_is_begun_anew_at_each_start(engine):
    with pytest.raises(errors.EngineGoneError):
        engine.request("die").result(PATIENCE)
    engine.request("echo").result(PATIENCE)
    assert "something terrible" not in engine.log_path.read_text()
