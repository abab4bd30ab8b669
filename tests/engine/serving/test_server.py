# SPDX-License-Identifier: GPL-3.0-or-later
"""The server of the engine's methods, in a thread of the test's process."""

from __future__ import annotations

import io
import json
import random
import struct
import threading
import time

import numpy as np
import pytest

from engine.core import protocol
from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject
from engine.core.protocol import Message
from engine.serving.request import Request
from engine.serving.server import Server
from tests.engine.serving.served_methods import busy, connection, echo, work
from tests.fuzz.damage import damage_message
from tests.waiting import PATIENCE, until

__all__ = ["busy", "connection", "work"]


def test_a_request_is_answered_with_its_id_and_arrays(connection):
    array = np.arange(3, dtype=np.float32)
    body = {"method": "echo", "params": {"value": "hello"}}
    connection.write("request", 7, body, {"a": array})
    answer = connection.answer()
    assert (answer.type, answer.id, answer.body) == ("result", 7, {"value": "hello"})
    np.testing.assert_array_equal(answer.arrays["a"], array)


def test_a_known_failure_travels_with_kind_message_and_hint(connection):
    connection.ask("refuse")
    answer = connection.answer()
    assert answer.type == "error"
    assert answer.body == {
        "kind": "bad_input",
        "message": "voice.wav is empty.",
        "hint": "Export it again.",
    }


@pytest.mark.parametrize(
    ("method", "kind", "word"),
    [
        ("crash", "error", "a bug"),
        ("need", "missing_dependency", "spam"),
        ("unheard", "error", "unheard"),
    ],
)
def test_other_failures_name_what_happened_and_the_next_request_works(
    connection, method, kind, word
):
    connection.ask(method)
    answer = connection.answer()
    assert answer.type == "error"
    assert answer.body["kind"] == kind
    assert word in answer.body["message"]
    assert answer.body["hint"]
    connection.ask("echo", 2, value="again")
    assert connection.answer().body == {"value": "again"}


def test_a_wrong_parameter_names_method_and_parameter(connection):
    connection.ask("echo", value=5)
    body = connection.answer().body
    assert body["kind"] == "bad_input"
    assert "echo" in body["message"]
    assert "'value'" in body["message"]


def test_ping_is_answered_while_work_runs(connection, work):
    connection.ask("work")
    assert work.started.wait(PATIENCE)
    connection.write("ping", 5)
    while (message := connection.read()).type == "progress":
        pass
    assert (message.type, message.id) == ("pong", 5)


def test_cancel_ends_the_request_and_no_other(connection, work):
    connection.ask("work", 1)
    connection.ask("echo", 2, value="next")
    assert work.started.wait(PATIENCE)
    connection.write("cancel", 1)
    answer = connection.answer()
    assert (answer.id, answer.body["kind"]) == (1, "cancelled")
    answer = connection.answer()
    assert (answer.id, answer.body) == (2, {"value": "next"})


def test_a_request_cancelled_while_it_waits_does_not_begin(connection, work):
    connection.ask("work", 1)
    connection.ask("echo", 2, value="never")
    assert work.started.wait(PATIENCE)
    connection.write("cancel", 2)
    connection.write("ping", 3)
    while connection.read().type != "pong":
        pass
    answer = connection.answer()
    assert (answer.id, answer.body["kind"]) == (2, "cancelled")
    work.let_go.set()
    assert connection.answer().id == 1
    connection.ask("echo", 2, value="the id is free")
    assert connection.answer().body == {"value": "the id is free"}


@pytest.fixture
def timers(monkeypatch):
    """The timers that are started, as often as they are: they never run out by themselves."""
    started = []

    def start(timer):
        started.append(timer)

    monkeypatch.setattr(threading.Timer, "start", start)
    return started


def test_a_cancel_is_answered_within_half_a_second_though_a_library_asks_nobody(
    connection, busy, timers
):
    connection.ask("busy", 1)
    connection.ask("echo", 2, value="next")
    assert busy.started.wait(PATIENCE)
    connection.write("cancel", 1)
    (timer,) = until(lambda: timers)
    assert timer.interval < 0.5
    timer.function(*timer.args)
    answer = connection.answer()
    assert (answer.id, answer.body["kind"]) == (1, "cancelled")
    busy.let_go.set()
    answer = connection.answer()
    assert (answer.id, answer.body) == (2, {"value": "next"})
    connection.ask("echo", 1, value="the id is free")
    assert connection.answer().body == {"value": "the id is free"}


def test_progress_is_sent_with_fraction_and_message(connection, work):
    connection.ask("work")
    assert work.started.wait(PATIENCE)
    seen = [connection.read() for _ in range(3)]
    assert any(m.body == {"fraction": 0.5, "message": "working"} for m in seen)


def test_shutdown_ends_the_server_with_zero(connection):
    connection.write("shutdown")
    connection.thread.join(PATIENCE)
    assert connection.exit_code == 0


def test_the_end_of_stdin_ends_running_work_and_the_server(connection, work):
    connection.ask("work")
    assert work.started.wait(PATIENCE)
    connection.close()
    assert connection.exit_code == 0


def framed(header: bytes) -> bytes:
    return struct.pack("<4sI", protocol.MAGIC, len(header)) + header


REQUEST = {"type": "request", "id": 1, "body": {"method": "echo"}, "arrays": []}


@pytest.mark.parametrize(
    "sent",
    [
        b"no protocol at all",
        framed(b"[" * 200_000),
        framed(
            json.dumps(REQUEST | {"arrays": [{"name": "a", "dtype": [3.0], "shape": [1]}]}).encode()
        ),
        framed(
            json.dumps(
                REQUEST | {"arrays": [{"name": "a", "dtype": "<f4", "shape": [2**62, 0]}]}
            ).encode()
        ),
        framed(json.dumps(REQUEST | {"id": 0}).encode()),
    ],
    ids=["garbage", "depth", "dtype", "shape", "id"],
)
def test_what_is_no_message_ends_the_server_with_one(connection, sent):
    connection.stdin.write(sent)
    connection.stdin.flush()
    connection.thread.join(PATIENCE)
    assert connection.exit_code == 1


def test_an_id_in_use_ends_the_server_with_one(connection, work):
    connection.ask("work", 1)
    assert work.started.wait(PATIENCE)
    connection.ask("echo", 1, value="twice")
    connection.thread.join(PATIENCE)
    assert connection.exit_code == 1


def test_whatever_the_reader_meets_the_server_ends():
    class Exhausted(io.BytesIO):
        def read(self, _size=-1):
            raise MemoryError

    assert Server(Exhausted(), io.BytesIO(), {}).run({}) == 1


def test_a_cancel_that_comes_too_late_does_not_touch_the_next_request_of_that_id(connection):
    connection.ask("echo", 1, value="first")
    assert connection.answer().body == {"value": "first"}
    connection.write("cancel", 1)
    connection.write("cancel", 2)
    for number in (1, 2):
        connection.ask("echo", number, value="again")
        assert connection.answer().body == {"value": "again"}


def test_an_id_is_free_as_soon_as_its_answer_is_out(connection):
    for _ in range(300):
        connection.ask("echo", 1, value="again")
        assert connection.answer().body == {"value": "again"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"method": None},
        {"method": [[[[["deep"]]]]]},
        {"method": "x" * 1_000_000},
        {"method": "echo", "params": [1]},
        {"method": "echo", "params": {"value": ["x" * 1_000_000]}},
        {"method": "echo", "params": {"x" * 1_000_000: 1}},
    ],
    ids=["none", "null", "list", "long", "params", "value", "key"],
)
def test_a_request_that_cannot_be_understood_is_answered_in_a_line(connection, body):
    connection.write("request", 1, body)
    answer = connection.answer()
    assert answer.type == "error"
    assert 0 < len(answer.body["message"]) <= 300
    connection.ask("echo", 2, value="next")
    assert connection.answer().body == {"value": "next"}


class WaitingStream(io.BytesIO):
    """Ends when the server has answered everything."""

    server: Server

    def read(self, size=-1):
        data = super().read(size)
        while not data and self.server._pending:
            time.sleep(0.001)
        return data


@pytest.mark.parametrize("seed", range(60))
def test_damaged_requests_are_answered_or_end_the_server(seed):
    body = {"method": "echo", "params": {"value": "hello", "numbers": [1, 2.5]}}
    stream = io.BytesIO()
    protocol.write(stream, Message("request", 7, body, {"a": np.eye(3, dtype=np.float32)}))
    damaged = damage_message(stream.getvalue(), random.Random(seed))
    protocol.write(stream := io.BytesIO(), Message("request", 8, body))
    stdin, answers = WaitingStream(damaged + stream.getvalue()), io.BytesIO()
    stdin.server = Server(stdin, answers, {"echo": echo})
    exit_code = stdin.server.run({})
    answers.seek(0)
    types = {}
    while (message := protocol.read(answers)) is not None:
        types[message.id] = message.type
    assert exit_code == 1 or types[8] == "result"


@pytest.mark.parametrize(
    ("read", "values"),
    [
        (lambda p: p.text("a"), {}),
        (lambda p: p.text("a"), {"a": 1}),
        (lambda p: p.number("a"), {"a": "1"}),
        (lambda p: p.number("a"), {"a": True}),
        (lambda p: p.number("a"), {"a": float("inf")}),
        (lambda p: p.flag("a", default=False), {"a": 1}),
        (lambda p: p.numbers("a", 3), {"a": [1, 2]}),
        (lambda p: p.numbers("a", 2), {"a": [1, "2"]}),
        (lambda p: p.group("a"), {"a": []}),
        (lambda p: p.groups("a"), {"a": [{}, 1]}),
        (lambda p: p.number("a"), {"a": 10**400}),
        (lambda p: p.number("a", low=0, high=1), {"a": 2}),
        (lambda p: p.whole("a"), {"a": 1.5}),
        (lambda p: p.whole("a"), {"a": 2**60}),
        (lambda p: p.numbers("a", 1), {"a": [10**400]}),
        (lambda p: p.numbers("a", 1), {"a": [1e39]}),
        (lambda p: p.numbers("a", 1), {"a": [True]}),
        (lambda p: p.matrix("a", 2, 2), {"a": [[1, 2], [3]]}),
        (lambda p: p.texts("a"), {"a": ["b", 1]}),
        (lambda p: p.no_others(), {"a": 1}),
    ],
)
def test_parameters_of_the_wrong_type_are_named(read, values):
    with pytest.raises(BadInputError, match=r"m\b.*\ba\b"):
        read(JsonObject(values, "m"))


@pytest.mark.parametrize("array", [None, np.zeros(3), np.zeros((2, 4)), np.full((2, 3), np.nan)])
def test_arrays_of_the_wrong_shape_or_value_are_named(array):
    arrays = {} if array is None else {"vertices": array}
    with pytest.raises(BadInputError, match="vertices"):
        Request("m", JsonObject({}, "m"), arrays).floats("vertices", (None, 3))
