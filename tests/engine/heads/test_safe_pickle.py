# SPDX-License-Identifier: GPL-3.0-or-later
import io
import os
import pickle
import pickletools
import re
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.heads.safe_pickle import MAX_OPERATIONS, Global, Instance, PickleError, load
from tests.engine.heads.flame_files import chumpy, refusal_within_bounds, write_pickle

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=5), inner, max_size=5)
        | st.lists(inner, max_size=4).map(tuple)
    ),
    max_leaves=20,
)


def same_data(records, data):
    """Records of protocol 2 keep bytes as calls of ``_codecs.encode``; all else is equal."""
    if isinstance(records, Instance):
        assert records.kind in ("encode", "bytes")
        return not data if records.kind == "bytes" else records.args[0].encode("latin-1") == data
    if isinstance(data, dict):
        return records.keys() == data.keys() and all(same_data(records[k], data[k]) for k in data)
    if isinstance(data, (list, tuple)):
        return (
            type(records) is type(data)
            and len(records) == len(data)
            and all(map(same_data, records, data))
        )
    return type(records) is type(data) and records == data


@pytest.mark.parametrize("protocol", range(6))
@given(content=st.dictionaries(st.text(max_size=5), PLAIN, max_size=5))
def test_plain_data_reads_as_python_reads_it(protocol, content):
    assert same_data(load(pickle.dumps(content, protocol)), content)


@given(data=st.binary(max_size=300))
def test_byte_strings_of_protocol_0_read_as_latin_1(data):
    quoted = repr(data)[1:].encode()
    assert load(b"(dS'x'\nS" + quoted + b"\ns.") == {"x": data.decode("latin-1")}


def test_numbers_and_bytes_as_keys_become_text():
    assert load(pickle.dumps({1: "a", b"v_template": "b"}, 4)) == {"1": "a", "v_template": "b"}


def test_sets_read_as_lists():
    assert load(pickle.dumps({"a": {1}, "b": frozenset([2])}, 4)) == {"a": [1], "b": [2]}


class Calls:
    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("where", ["value", "list", "object_array", "chumpy"])
def test_a_command_in_the_file_is_named_and_not_run(tmp_path, protocol, where):
    evil = Calls(os.system, f"touch {tmp_path}/ran")
    held = {
        "value": evil,
        "list": [1, [evil]],
        "object_array": np.array([evil, None], object),
        "chumpy": chumpy(evil),
    }[where]
    path = tmp_path / "evil.pkl"
    write_pickle(path, {"v_template": held}, protocol=protocol, python2=False)
    with pytest.raises(PickleError, match="system"):
        load(path.read_bytes())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"cbuiltins\neval\n(S'1'\ntR.", "eval"),
        (b"c__builtin__\nexec\n(S'x=1'\ntR.", "exec"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", "system"),
        (b"\x80\x04\x8c\x05numpy\x8c\x08f2py.run\x93.", "f2py"),
        (b"cnumpy\ndtype.__init__\n.", "__init__"),
        (b"\x80\x04]K\x00\x93.", "other than text"),
        (b"(S'true'\nios\nsystem\n.", "INST"),
        (b"(S'true'\no.", "OBJ"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"Pid\n.", "PERSID"),
        (b"\x80\x04}Q.", "BINPERSID"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"cnumpy.core.multiarray\n_reconstruct\n.}b.", "a global, not"),
        (b"cnumpy\nndarray\nS'x'\nR.", "calls something"),
        (b"ccopyreg\n_reconstructor\n)R.", "calls something"),
        (b"cnumpy\nndarray\n}b.", "Global stands where a Instance"),
        (b"}0.", "more values"),
        (b"(\x85.", "more values"),
        (b"e.", "more values"),
        (b"2.", "more values"),
        (b"p0\n.", "more values"),
        (b"}(K\x01u.", "without a value"),
        (b"g5\n.", "does not have"),
        (b"]K\x01s.", "more values|stands where"),
        (b"]K\x01K\x01s.", "a list stands where a dict"),
        (b"I1x\n.", "damaged"),
        (b"S1\n.", "no quotes"),
        (b"\xff.", "not a pickle"),
        (b"].", "a list, not a dictionary"),
        (b"", "ends in the middle"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_operations_that_no_array_needs_are_refused(data, reason):
    with pytest.raises(PickleError, match=reason):
        load(data)


def colliding(count):
    """Integers that all have one hash."""
    return [number * ((1 << 61) - 1) for number in range(1, count)]


def long(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<i", len(data)) + data


def binary(code, form, data):
    return code + struct.pack(form, len(data)) + data


CRAFTED = {
    "bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 45) + b"x.", "damaged"),
    "bytearray": (b"\x80\x05\x96" + struct.pack("<Q", 1 << 45) + b"x.", "damaged"),
    "bytes past the address space": (b"\x80\x04\x8e" + b"\xff" * 8 + b"x.", "damaged"),
    "string": (b"\x80\x02T\xff\xff\xff\x7fx.", "damaged"),
    "negative string": (b"\x80\x02T\xff\xff\xff\xffx.", "damaged"),
    "frame": (b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.", "not a dictionary"),
    "memo": (b"Nr\xff\xff\xff\xff.", "numbers more values"),
    "memo text": (b"Np4294967295000\n.", "numbers more values"),
    "negative memo": (b"Np-1\n.", "numbers more values"),
    "operations": (b"]" * (MAX_OPERATIONS + 1), "operations"),
    "marks": (b"(" * (MAX_OPERATIONS - 1) + b".", "more values"),
    "nested lists": (b"]" * 100_000 + b"a" * 99_999 + b".", "a list, not"),
    "nested tuples": (b")" + b"\x85" * 250_000 + b".", "is a tuple, not"),
    "nested calls": (b"N" + b"\x85q\x000cnumpy\ndtype\nh\x00R" * 40_000 + b".", "instance, not"),
    "doubling tuples as a key": (b"}N" + b"2\x86" * 200 + b"Ns.", "tuple as a key"),
    "one hash for all keys": (
        b"}(" + b"".join(long(key) + b"N" for key in colliding(20_000)) + b"u.",
        "64 bits",
    ),
    "one hash for all memo indices": (
        b"".join(b"Np%d\n0" % key for key in colliding(20_000)) + b"}.",
        "numbers more values",
    ),
    "long key": (b"}" + binary(b"X", "<I", b"x" * 500_000) + b"Ns.", "as a key"),
    "integer of 4,301 digits": (b"}I1" + b"0" * 4300 + b"\nNs.", "damaged"),
    "long of a million digits": (b"}L1" + b"0" * 1_000_000 + b"L\nNs.", "damaged"),
    "float of a million digits": (b"}F" + b"\0" * 1_000_000 + b"\nNs.", "damaged"),
    "binary integer of 2,000 bytes": (b"}" + long(1 << 16_000) + b"Ns.", "64 bits"),
    "long name": (b"c" + b"x" * 1_000_000 + b"\n" + b"y" * 1_000_000 + b"\n.", "damaged|names"),
    "long stack global": (2 * binary(b"X", "<I", b"x" * 1_000_000) + b"\x93.", "names"),
    "long quoted line": (b"S'" + b"\\" * 1_000_000 + b"'\n.", "damaged|not a dictionary"),
    "one wide character": (
        b"}" + binary(b"X", "<I", "🙂".encode() + b"x" * 4_000_000) + b"Ns.",
        "a long text",
    ),
    "one wide character in a line": (b"V\\U0001f642" + b"x" * 4_000_000 + b"\n.", "a long text"),
    "empty dictionaries": (b"(" + b"}" * (MAX_OPERATIONS - 3) + b"t.", "is a tuple, not"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_time_memory_and_message_are_bounded_by_the_file(name):
    data, reason = CRAFTED[name]
    assert re.search(reason, refusal_within_bounds(load, data, PickleError))


def test_every_truncation_is_a_clear_error():
    data = pickle.dumps({"a": np.arange(4.0), "b": "text"}, 2)
    for length in range(len(data)):
        with pytest.raises(PickleError):
            load(data[:length])


def is_data_or_refused(data):
    try:
        return isinstance(load(data), dict)
    except PickleError as error:
        return str(error).isprintable() and len(str(error)) < 130


@given(data=st.binary(max_size=200))
def test_any_bytes_end_in_data_or_a_clear_error(data):
    assert is_data_or_refused(data)


CODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
OPERANDS = [
    b"\0",
    b"\1",
    b"\4\0\0\0",
    b"0\n",
    b"'x'\n",
    b"x\n",
    b"\x01x",
    b"\1\0\0\0x",
    b"\xff" * 8,
]


@given(
    operations=st.lists(st.tuples(st.sampled_from(CODES), st.sampled_from(OPERANDS)), max_size=30)
)
def test_any_operations_end_in_data_or_a_clear_error(operations):
    stream = io.BytesIO()
    stream.write(b"}")
    for code, operand in operations:
        opcode = pickletools.code2op[code.decode("latin-1")]
        stream.write(code + (operand if opcode.arg else b""))
    stream.write(b".")
    assert is_data_or_refused(stream.getvalue())


def test_records_name_what_was_not_called():
    content = load(b"}S'a'\ncnumpy\ndtype\nS'f8'\n\x85Rs.")
    assert (content["a"].kind, content["a"].args) == ("dtype", ("f8",))
    assert load(b"}S'a'\ncnumpy\ndtype\ns.") == {"a": Global("dtype")}
