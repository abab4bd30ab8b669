# SPDX-License-Identifier: GPL-3.0-or-later
import contextlib
import pickle
import struct
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from engine.heads import safe_pickle
from engine.heads.pickled_arrays import array
from engine.heads.safe_pickle import PickleError, read_pickle
from tests.engine.heads.flame_files import chumpy, write_pickle

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
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


def written(tmp_path, data):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    return path


def same_data(records, data):
    """Records of protocol 2 keep bytes as calls of ``_codecs.encode``; all else is equal."""
    if isinstance(records, safe_pickle.Made):
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
def test_plain_data_reads_as_python_reads_it(protocol, content, tmp_path_factory):
    path = tmp_path_factory.mktemp("pickle") / "content.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    assert same_data(read_pickle(path), content)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i8", "|u1", "|b1", "<U3", "|S4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_arrays_read_as_numpy_reads_them(tmp_path, protocol, dtype, order):
    values = np.asarray(np.arange(24).reshape(2, 3, 4).astype(dtype), order=order)
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps({"a": values, "s": values[0, 0, 1]}, protocol))
    content = read_pickle(path)
    np.testing.assert_array_equal(array(content["a"]), values)
    assert array(content["a"]).dtype == values.dtype
    if dtype[1] not in "US":
        assert array(content["s"]) == values[0, 0, 1]


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_python_2_pickles_read_with_chumpy_and_sparse_arrays(tmp_path, protocol):
    values = np.random.default_rng(0).standard_normal((40, 3))
    sparse = scipy.sparse.random(5, 40, density=0.2, format="csc", rng=0)
    path = tmp_path / "old.pkl"
    write_pickle(path, {"v": chumpy(values), "J": sparse, "n": "x"}, protocol=protocol)
    content = read_pickle(path)
    np.testing.assert_array_equal(array(content["v"]), values)
    np.testing.assert_array_equal(array(content["J"]), sparse.toarray())
    assert content["n"] == "x"


@pytest.mark.parametrize("form", ["csc_matrix", "csr_matrix", "csc_array", "csr_array"])
def test_sparse_matrices_of_this_scipy_read(tmp_path, form):
    sparse = getattr(scipy.sparse, form)(scipy.sparse.random(7, 9, density=0.3, rng=1))
    path = tmp_path / "sparse.pkl"
    path.write_bytes(pickle.dumps({"J": sparse}))
    np.testing.assert_array_equal(array(read_pickle(path)["J"]), sparse.toarray())


class Calls:
    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("where", ["value", "list", "object_array", "chumpy"])
def test_a_command_in_the_file_is_named_and_not_run(tmp_path, protocol, where):
    import os

    evil = Calls(os.system, f"touch {tmp_path}/ran")
    held = {
        "value": evil,
        "list": [1, [evil]],
        "object_array": np.array([evil, None], object),
        "chumpy": chumpy(evil),
    }[where]
    path = tmp_path / "evil.pkl"
    write_pickle(path, {"v_template": held}, protocol=protocol, python2=False)
    with pytest.raises(BadInputError, match=r"evil\.pkl.*system"):
        read_pickle(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c__builtin__\nexec\n(S'x=1'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"\x80\x04\x8c\x05numpy\x8c\x08f2py.run\x93.",
        b"(S'true'\nios\nsystem\n.",
        b"cnumpy\ndtype.__init__\n.",
        b"cnumpy.core.multiarray\n_reconstruct\n.}b.",
        b"cnumpy\nndarray\nS'x'\nR.",
        b"cnumpy\nndarray\n}b.",
        b"\x80\x02\x82\x01.",
        b"Pid\n.",
        b"\x80\x04}Q.",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_hostile_operations_are_refused(tmp_path, data):
    with pytest.raises(BadInputError, match=r"model\.pkl"):
        read_pickle(written(tmp_path, data))


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 45) + b"x.",
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 45) + b"x.",
        b"\x80\x02T\xff\xff\xff\x7fx.",
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.",
        b"Nr\xff\xff\xff\xff.",
        b"Np4294967295000\n.",
        b"(" * 1000 + b".",
        b"\x80\x02" + b"]" * (safe_pickle.MAX_OPERATIONS + 1),
    ],
    ids=["bytes", "bytearray", "string", "frame", "memo", "memo text", "marks", "operations"],
)
def test_sizes_that_lie_reserve_no_memory(tmp_path, data):
    path = written(tmp_path, data)
    tracemalloc.start()
    try:
        with pytest.raises(BadInputError):
            read_pickle(path)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


def test_an_array_larger_than_its_bytes_reserves_no_memory(tmp_path):
    good = pickle.dumps({"a": np.arange(3.0)}, 2)
    state = b"K\x01K\x03\x85"
    assert state in good
    path = written(tmp_path, good.replace(state, b"K\x01\x8a\x04\xff\xff\xff\x7f\x85"))
    tracemalloc.start()
    try:
        with pytest.raises(PickleError, match="has 24 bytes"):
            array(read_pickle(path)["a"])
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_keys_that_take_for_ever_to_hash_are_refused(tmp_path):
    doubling = b"N" + b"2\x86" * 200
    with pytest.raises(BadInputError, match="tuple as a key"):
        read_pickle(written(tmp_path, b"\x80\x02}" + doubling + b"Ns."))


def test_object_arrays_are_refused(tmp_path):
    path = tmp_path / "object.pkl"
    path.write_bytes(pickle.dumps({"f": np.array([{}, None], object)}, 2))
    with pytest.raises(PickleError, match="more than numbers"):
        array(read_pickle(path)["f"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"indices": np.array([0, 9], np.int32)}, "inconsistent"),
        ({"indptr": np.array([0, 5, 2, 2], np.int32)}, "inconsistent"),
        ({"_shape": (1 << 30, 1 << 30)}, "too large"),
        ({"indices": np.array([0.5, 1.0])}, "misshapen"),
    ],
)
def test_inconsistent_sparse_matrices_are_refused(change, reason):
    state = {
        "_shape": (3, 3),
        "data": np.ones(2),
        "indices": np.array([0, 1], np.int32),
        "indptr": np.array([0, 1, 2, 2], np.int32),
    } | change
    records = {
        name: _record(value) if isinstance(value, np.ndarray) else value
        for name, value in state.items()
    }
    with pytest.raises(PickleError, match=reason):
        array(safe_pickle.Made("csc", (), records))


def _record(value):
    dtype = safe_pickle.Made("dtype", (value.dtype.str[1:],), (3, "<", None, None, None, -1, -1, 0))
    return safe_pickle.Made("reconstruct", (), (1, value.shape, dtype, False, value.tobytes()))


@given(data=st.binary(max_size=200))
def test_any_bytes_end_in_data_or_a_clear_error(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("bytes") / "any.pkl"
    path.write_bytes(data)
    with contextlib.suppress(BadInputError):
        assert isinstance(read_pickle(path), dict)


@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_damaged_pickle_ends_in_data_or_a_clear_error(position, value, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "model.pkl"
    write_pickle(path, {"v": chumpy(np.arange(6.0)), "J": scipy.sparse.eye(3, format="csc")})
    data = bytearray(path.read_bytes())
    data[position % len(data)] = value
    path.write_bytes(data)
    with contextlib.suppress(BadInputError, PickleError):
        for record in read_pickle(path).values():
            array(record)


def test_every_truncation_is_a_clear_error(tmp_path):
    data = pickle.dumps({"a": np.arange(4.0), "b": "text"}, 2)
    for length in range(len(data)):
        with pytest.raises(BadInputError, match="cannot be read"):
            read_pickle(written(tmp_path, data[:length]))


def test_files_beyond_the_bound_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_pickle, "MAX_BYTES", 10)
    with pytest.raises(BadInputError, match="more than"):
        read_pickle(written(tmp_path, pickle.dumps({"a": "x" * 100})))


def test_a_pickle_of_something_else_names_what_it_holds(tmp_path):
    with pytest.raises(BadInputError, match="a list, not a dictionary"):
        read_pickle(written(tmp_path, pickle.dumps([1, 2])))
