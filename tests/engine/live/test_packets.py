"""Live Link Face and VMC packets, read back by decoders written from their specifications."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
from fractions import Fraction

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.live import live_link, osc
from engine.live.senders import JsonLines, LiveLinkSender, OscSender
from engine.motion.arkit import ARKIT_NAMES, COLUMN
from tests.waiting import PATIENCE

WEIGHTS = np.linspace(0, 1, 52, dtype=np.float32)


class Reader:
    """Big-endian values, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.stream = io.BytesIO(data)

    def take(self, kind: str):
        return struct.unpack(f">{kind}", self.stream.read(struct.calcsize(f">{kind}")))[0]

    def text(self) -> str:
        return self.stream.read(self.take("i")).decode()


def read_live_link(data: bytes):
    """As Unreal's Apple ARKit source reads it: fields one by one, then nothing more."""
    reader = Reader(data)
    found = {"version": reader.take("B"), "device": reader.text(), "subject": reader.text()}
    found |= {"frame": reader.take("i"), "subframe": reader.take("f")}
    found["rate"] = Fraction(reader.take("i"), reader.take("i"))
    found["values"] = [reader.take("f") for _ in range(reader.take("B"))]
    assert reader.stream.read() == b""
    return found


def read_osc(data: bytes) -> list[tuple]:
    """The messages of a bundle, by the OSC 1.0 specification."""
    assert data[:8] == b"#bundle\0"
    messages, at = [], 16
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        message, at = data[at + 4 : at + 4 + size], at + 4 + size
        assert size % 4 == 0
        address, rest = _osc_text(message)
        tags, rest = _osc_text(rest)
        values = []
        for tag in tags[1:]:
            if tag == "s":
                value, rest = _osc_text(rest)
            else:
                (value,), rest = struct.unpack(f">{tag}", rest[:4]), rest[4:]
            values.append(value)
        assert rest == b""
        messages.append((address, *values))
    return messages


def _osc_text(data: bytes) -> tuple[str, bytes]:
    end = data.index(0)
    return data[:end].decode(), data[end + 4 - end % 4 :]


@pytest.fixture
def receiver():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        found.settimeout(PATIENCE)
        yield found


def test_a_live_link_packet_holds_names_time_and_61_values():
    rate = Fraction(24000, 1001)
    found = read_live_link(live_link.packet("DEVICE", "Anna-Ä", 1234, rate, WEIGHTS.tolist()))
    assert found["version"] == 6
    assert (found["device"], found["subject"]) == ("DEVICE", "Anna-Ä")
    assert (found["frame"], found["subframe"], found["rate"]) == (1234, 0.0, rate)
    assert len(found["values"]) == 61
    np.testing.assert_array_equal(np.float32(found["values"][:52]), WEIGHTS)
    assert found["values"][52:] == [0.0] * 9


def test_expressions_stand_in_apples_order():
    assert ARKIT_NAMES[0] == "eyeBlinkLeft"
    assert (COLUMN["jawOpen"], COLUMN["mouthClose"], COLUMN["tongueOut"]) == (17, 18, 51)


def test_a_vmc_frame_names_every_expression_and_is_applied_at_its_end():
    made = osc.packets(1.5, WEIGHTS.tolist())
    assert max(map(len, made)) <= 1400
    messages = [message for data in made for message in read_osc(data)]
    assert messages[:2] == [("/VMC/Ext/OK", 1), ("/VMC/Ext/T", 1.5)]
    assert messages[-1] == ("/VMC/Ext/Blend/Apply",)
    values = {name: value for address, name, value in messages[2:-1]}
    assert len(values) == 52
    assert values["JawOpen"] == WEIGHTS[COLUMN["jawOpen"]]


def test_senders_send_by_udp(receiver):
    port = receiver.getsockname()[1]
    for sender in (LiveLinkSender("127.0.0.1", port, "Me", 60.0), OscSender("127.0.0.1", port)):
        sender.send(3, 0.05, WEIGHTS)
        sender.close()
    found = read_live_link(receiver.recv(4096))
    assert (found["subject"], found["rate"]) == ("Me", 60)
    assert ("/VMC/Ext/Blend/Val", "EyeBlinkLeft", 0.0) in read_osc(receiver.recv(4096))


def test_json_lines_are_one_object_a_frame():
    reader, writer = os.pipe()
    JsonLines(writer).send(3, 0.05, WEIGHTS)
    os.close(writer)
    with os.fdopen(reader) as stream:
        found = json.loads(stream.read())
    assert (found["frame"], found["time"]) == (3, 0.05)
    assert found["weights"]["jawOpen"] == pytest.approx(WEIGHTS[17], abs=1e-4)


def test_a_closed_pipe_is_an_error_in_one_line():
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BadInputError, match="JSON lines cannot be written"):
        JsonLines(writer).send(0, 0.0, WEIGHTS)
    os.close(writer)


@pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 1), ("127.0.0.1", 0)])
def test_a_host_or_port_that_cannot_be_is_named(host, port):
    with pytest.raises(BadInputError, match=r"There is no (host|port)"):
        OscSender(host, port)
