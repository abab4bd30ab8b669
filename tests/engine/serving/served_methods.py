# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's end of a server in a thread, with methods that show what can happen to a request."""

from __future__ import annotations

import os
import threading
from types import MappingProxyType

import pytest

from engine.core import protocol
from engine.core.errors import BadInputError
from engine.core.protocol import Message
from engine.serving.request import Reply, Request
from engine.serving.server import Server
from tests.waiting import PATIENCE, returned


class Connection:
    """Blender's end of a server that runs in a thread."""

    def __init__(self, methods, lasting=MappingProxyType({})):
        read_request, write_request = os.pipe()
        read_answer, write_answer = os.pipe()
        self.stdin, self.stdout = os.fdopen(write_request, "wb"), os.fdopen(read_answer, "rb")
        self._ends = os.fdopen(read_request, "rb"), os.fdopen(write_answer, "wb")
        self.exit_code = None
        server = Server(*self._ends, methods, lasting_methods=lasting)
        self.thread = threading.Thread(target=self._run, args=(server,), daemon=True)
        self.thread.start()
        assert self.read().type == "hello"

    def _run(self, server):
        self.exit_code = server.run({"protocol": protocol.VERSION})

    def write(self, *args, **kwargs):
        protocol.write(self.stdin, Message(*args, **kwargs))

    def ask(self, method, request_id=1, **params):
        self.write("request", request_id, {"method": method, "params": params})

    def read(self):
        return returned(lambda: protocol.read(self.stdout))

    def answer(self):
        while (message := self.read()).type == "progress":
            pass
        return message

    def close(self):
        self.stdin.close()
        self.thread.join(PATIENCE)
        for stream in (self.stdout, *self._ends):
            stream.close()


class Work:
    """A method that works until it is let go, telling its progress."""

    def __init__(self):
        self.started = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, request):
        self.started.set()
        while not self.let_go.wait(0.01):
            request.progress(0.5, "working")
        return Reply({"done": True})


class Busy(Work):
    """A library that works until it is let go, and asks nobody meanwhile."""

    def __call__(self, request):
        self.started.set()
        self.let_go.wait()
        return Reply({"done": True})


def echo(request: Request) -> Reply:
    return Reply({"value": request.params.text("value")}, dict(request.arrays))


def refuse(_request: Request) -> Reply:
    raise BadInputError("voice.wav is empty.", "Export it again.")


def crash(_request: Request) -> Reply:
    raise ZeroDivisionError("a bug")


def need(_request: Request) -> Reply:
    raise ModuleNotFoundError("No module named 'spam'", name="spam")


@pytest.fixture
def work():
    work = Work()
    yield work
    work.let_go.set()


@pytest.fixture
def busy():
    busy = Busy()
    yield busy
    busy.let_go.set()


@pytest.fixture
def connection(work, busy):
    methods = {"echo": echo, "refuse": refuse, "crash": crash, "need": need}
    connection = Connection(methods | {"work": work, "busy": busy})
    yield connection
    work.let_go.set()
    busy.let_go.set()
    connection.close()
