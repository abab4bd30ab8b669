# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as the process that Blender starts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from engine.core import protocol
from engine.core.protocol import Message
from engine.serving.request import Reply
from tests.engine.serving.served_methods import Connection
from tests.waiting import PATIENCE

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_real_process_speaks_only_the_protocol_and_serves_a_head(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONSAFEPATH": "1"}
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "engine", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=tmp_path,
            env=environment,
        ) as process,
    ):
        hello = protocol.read(process.stdout)
        assert hello.body["protocol"] == protocol.VERSION
        assert hello.body["torch"]
        assert "cpu" in hello.body["devices"]
        assert any(backend["available"] for backend in hello.body["backends"])
        body = {"method": "head.load", "params": {"head": "default"}}
        protocol.write(process.stdin, Message("request", 1, body))
        while (answer := protocol.read(process.stdout)).type == "progress":
            pass
        assert answer.type == "result", answer.body
        assert answer.body["id"] == "default"
        names = answer.body["expression_names"]
        vertices = len(answer.arrays["template"])
        assert answer.arrays["expression_basis"].shape == (len(names), vertices, 3)
        assert answer.arrays["faces"].max() < vertices
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
        assert process.stdout.read() == b""


def test_a_lasting_method_sends_frames_while_others_are_answered():
    sent = threading.Semaphore(0)

    def last(request):
        request.send({"names": ["jawOpen"]}, {})
        for frame in range(10**6):
            request.send({"frame": frame}, {"weights": np.full(1, frame, np.float32)})
            sent.release()
            time.sleep(0.001)

    def echo(_request):
        while sent.acquire(blocking=False):
            pass
        # Of the next two frames the second is sent from beginning to end while this works.
        assert all(sent.acquire(timeout=PATIENCE) for _ in range(2))
        return Reply({"done": True})

    connection = Connection({"echo": echo}, {"live": last})
    connection.ask("live", 1)
    while (message := connection.read()).type != "frames":
        pass
    assert (message.id, message.body) == (1, {"names": ["jawOpen"]})
    connection.ask("echo", 2)
    kinds = []
    while (message := connection.read()).type != "result":
        kinds.append((message.id, message.type))
    assert message.id == 2
    assert (1, "frames") in kinds
    connection.write("cancel", 1)
    while (message := connection.read()).type != "error":
        assert message.type in ("frames", "progress")
    assert (message.id, message.body["kind"]) == (1, "cancelled")
