# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire format: what goes in comes out, and nothing else is believed."""

from __future__ import annotations

import contextlib
import io
import json
import random
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.core import protocol
from engine.core.protocol import Message, ProtocolError
from tests.fuzz.damage import damage_message

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
arrays = st.sampled_from(sorted(protocol.DTYPES)).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
)
messages = st.builds(
    Message,
    st.text(),
    st.integers(0, 2**53),
    st.dictionaries(st.text(), json_values, max_size=4),
    st.dictionaries(st.text(), arrays, max_size=3),
)


def written(message: Message) -> bytes:
    stream = io.BytesIO()
    protocol.write(stream, message)
    return stream.getvalue()


def framed(header: object, payload: bytes = b"") -> io.BytesIO:
    data = json.dumps(header).encode()
    return io.BytesIO(struct.pack("<4sI", b"GSP1", len(data)) + data + payload)


def header_with(entry: object) -> dict:
    return {"type": "result", "id": 1, "body": {}, "arrays": [entry]}


@given(messages)
def test_every_message_comes_out_as_it_went_in(message):
    found = protocol.read(io.BytesIO(written(message)))
    assert (found.type, found.id, found.body) == (message.type, message.id, message.body)
    assert found.arrays.keys() == message.arrays.keys()
    for name, array in message.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


@given(messages, messages)
def test_messages_follow_each_other(first, second):
    stream = io.BytesIO(written(first) + written(second))
    assert protocol.read(stream).type == first.type
    assert protocol.read(stream).type == second.type
    assert protocol.read(stream) is None


@given(messages, st.data())
def test_a_stream_that_breaks_off_is_an_error(message, data):
    whole = written(message)
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(ProtocolError):
        protocol.read(io.BytesIO(whole[:cut]))


@given(st.binary(min_size=8, max_size=200))
def test_foreign_bytes_are_an_error(data):
    with pytest.raises(ProtocolError):
        protocol.read(io.BytesIO(b"x" + data))


def test_fortran_order_and_big_endian_arrays_arrive_as_values():
    array = np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))
    found = protocol.read(io.BytesIO(written(Message("result", arrays={"a": array}))))
    assert found.arrays["a"].dtype == np.dtype("<f4")
    np.testing.assert_array_equal(found.arrays["a"], array)


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "a", "dtype": "|O", "shape": [1]},
        {"name": "a", "dtype": "<f4", "shape": [-1]},
        {"name": "a", "dtype": "<f4", "shape": [True]},
        {"name": "a", "dtype": "<f4", "shape": [1.5]},
        {"name": "a", "dtype": "<f4", "shape": "3"},
        {"name": "a", "dtype": "<f4", "shape": [1] * 9},
        {"name": "a", "dtype": "<f4", "shape": [1 << 40, 1 << 20]},
        {"name": "a", "dtype": "<f4", "shape": [(1 << 62) + 1, 0]},
        {"name": "a", "dtype": "<f4", "shape": [1 << 70, 0]},
        {"name": "a", "dtype": [3.0], "shape": [1]},
        {"name": "a", "dtype": {"<f4": 1}, "shape": [1]},
        {"name": "a", "dtype": None, "shape": [1]},
        {"name": "a" * (protocol.MAX_NAME + 1), "dtype": "<f4", "shape": [1]},
        {"name": 5, "dtype": "<f4", "shape": [1]},
        {"name": ["a"], "dtype": "<f4", "shape": [1]},
        {"dtype": "<f4", "shape": [1]},
        "a",
    ],
)
def test_a_description_that_cannot_be_is_refused_before_memory_is_taken(entry):
    with pytest.raises(ProtocolError):
        protocol.read(framed(header_with(entry)))


def test_two_arrays_of_one_name_are_refused():
    entry = {"name": "a", "dtype": "|u1", "shape": [1]}
    with pytest.raises(ProtocolError, match="twice"):
        protocol.read(framed(header_with(entry) | {"arrays": [entry, entry]}, b"12"))


def test_a_truth_value_of_other_than_zero_and_one_is_refused():
    entry = {"name": "a", "dtype": "|b1", "shape": [2]}
    assert protocol.read(framed(header_with(entry), b"\0\1")).arrays["a"].tolist() == [False, True]
    with pytest.raises(ProtocolError, match="truth"):
        protocol.read(framed(header_with(entry), b"\0\2"))


def test_a_size_that_lies_takes_no_memory_for_what_does_not_arrive():
    entry = {"name": "a", "dtype": "|u1", "shape": [protocol.MAX_PAYLOAD]}
    with pytest.raises(ProtocolError, match="ended"):
        protocol.read(framed(header_with(entry), b"1234"))


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"type": "result", "id": 1, "body": {}},
        {"type": 1, "id": 1, "body": {}, "arrays": []},
        {"type": "result", "id": "1", "body": {}, "arrays": []},
        {"type": "result", "id": 1, "body": [], "arrays": []},
        {"type": "result", "id": True, "body": {}, "arrays": []},
        {"type": "result", "id": 1.0, "body": {}, "arrays": []},
        {"type": "result", "id": -1, "body": {}, "arrays": []},
        {"type": "result", "id": 2**64, "body": {}, "arrays": []},
        {"type": "r" * (protocol.MAX_NAME + 1), "id": 1, "body": {}, "arrays": []},
    ],
)
def test_a_header_without_its_fields_is_refused(header):
    with pytest.raises(ProtocolError):
        protocol.read(framed(header))


def test_a_header_over_the_bound_is_refused_unread():
    with pytest.raises(ProtocolError, match="bound"):
        protocol.read(io.BytesIO(struct.pack("<4sI", b"GSP1", protocol.MAX_HEADER + 1)))


@pytest.mark.parametrize(
    "header",
    [
        b"{,}",
        b"\xff\xfe{",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"type":"request","id":1,"body":{"x":NaN},"arrays":[]}',
        b'{"type":"request","id":' + b"9" * 5_000 + b',"body":{},"arrays":[]}',
    ],
    ids=["syntax", "encoding", "lists", "objects", "nan", "digits"],
)
def test_a_header_that_is_not_json_is_refused(header):
    with pytest.raises(ProtocolError, match="JSON"):
        protocol.read(io.BytesIO(struct.pack("<4sI", b"GSP1", len(header)) + header))


@pytest.mark.parametrize("seed", range(300))
def test_a_message_with_damage_is_a_message_or_a_protocol_error(seed):
    whole = written(
        Message(
            "request",
            3,
            {"method": "avatar.render", "params": {"camera": {"K": [1, 0.5], "width": 8}}},
            {"vertices/0": np.eye(3, dtype=np.float32), "mask": np.array([True, False])},
        )
    )
    damaged = damage_message(whole, random.Random(seed))
    with contextlib.suppress(ProtocolError):
        protocol.read(io.BytesIO(damaged))


def test_objects_cannot_be_written_and_leave_the_stream_untouched():
    stream = io.BytesIO()
    with pytest.raises(ProtocolError):
        protocol.write(stream, Message("result", arrays={"a": np.array([object()])}))
    assert not stream.getvalue()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes"])
def test_a_body_that_is_not_json_cannot_be_written_and_leaves_the_stream_untouched(value):
    stream = io.BytesIO()
    with pytest.raises(ProtocolError, match="JSON"):
        protocol.write(stream, Message("result", body={"x": value}))
    assert not stream.getvalue()
