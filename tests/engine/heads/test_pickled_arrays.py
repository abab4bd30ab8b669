# SPDX-License-Identifier: GPL-3.0-or-later
import itertools
import pickle
import pickletools
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from engine.heads.pickled_arrays import PickledArrays
from engine.heads.safe_pickle import PickleError
from tests.engine.heads.flame_files import chumpy, refusal_within_bounds, reordered, write_pickle


def arrays_of(content, protocol=2):
    return PickledArrays(pickle.dumps(content, protocol))


def read_all(data):
    arrays = PickledArrays(data)
    return [arrays.get(name) for name in arrays.names]


def python_2(tmp_path, content, protocol=2):
    write_pickle(tmp_path / "old.pkl", content, protocol=protocol)
    return PickledArrays((tmp_path / "old.pkl").read_bytes())


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i8", "|u1", "|b1", "<U3", "|S4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_arrays_read_as_numpy_reads_them(protocol, dtype, order):
    values = np.asarray(np.arange(24).reshape(2, 3, 4).astype(dtype), order=order)
    arrays = arrays_of({"a": values, "s": values[0, 0, 1], "e": values[:, :0]}, protocol)
    np.testing.assert_array_equal(arrays.get("a"), values)
    assert arrays.get("a").dtype == values.dtype
    assert arrays.get("e").shape == (2, 0, 4)
    if dtype[1] not in "US":
        assert arrays.get("s") == values[0, 0, 1]


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_python_2_pickles_read_with_chumpy_and_sparse_arrays(tmp_path, protocol):
    values = np.random.default_rng(0).standard_normal((40, 3))
    sparse = scipy.sparse.random(5, 40, density=0.2, format="csc", rng=0)
    arrays = python_2(tmp_path, {"v": chumpy(values), "J": sparse, "n": [1, 2.5]}, protocol)
    np.testing.assert_array_equal(arrays.get("v"), values)
    np.testing.assert_array_equal(arrays.get("J"), sparse.toarray())
    np.testing.assert_array_equal(arrays.get("n"), [1, 2.5])
    assert arrays.names == ("v", "J", "n")
    assert arrays.get("f") is None


def test_chumpy_reorderings_read_as_chumpy_applies_them(tmp_path):
    values = np.arange(24.0).reshape(2, 3, 4)
    views = {
        "select": reordered("Select", a=chumpy(values), idxs=np.array([3, 1, 23])),
        "shaped": reordered(
            "Select", a=values, idxs=[5, 4, 3, 2], preferred_shape=(2, np.int64(2))
        ),
        "reshape": reordered("Reshape", a=chumpy(values), newshape=(-1, 8)),
        "transpose": reordered("transpose", a=values, axes=[2, 0, 1]),
        "reverse": reordered("transpose", a=values, axes=None),
    }
    arrays = python_2(tmp_path, views)
    np.testing.assert_array_equal(arrays.get("select"), [3.0, 1.0, 23.0])
    np.testing.assert_array_equal(arrays.get("shaped"), [[5.0, 4.0], [3.0, 2.0]])
    np.testing.assert_array_equal(arrays.get("reshape"), values.reshape(-1, 8))
    np.testing.assert_array_equal(arrays.get("transpose"), values.transpose(2, 0, 1))
    np.testing.assert_array_equal(arrays.get("reverse"), values.T)


@pytest.mark.parametrize("form", ["csc_matrix", "csr_matrix", "csc_array", "csr_array"])
@given(data=st.data())
def test_sparse_matrices_read_as_scipy_reads_them(form, data):
    rows, columns = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    count = data.draw(st.integers(0, 12))
    at = [
        data.draw(st.lists(st.integers(0, n - 1), min_size=count, max_size=count))
        for n in (rows, columns)
    ]
    lines = columns if form.startswith("csc") else rows
    line, index = (at[1], at[0]) if form.startswith("csc") else (at[0], at[1])
    order = np.argsort(line, kind="stable")
    indptr = np.searchsorted(np.sort(line), np.arange(lines + 1))
    values = np.array(data.draw(st.lists(st.floats(-9, 9), min_size=count, max_size=count)))
    # Indices neither sorted nor unique: scipy adds up entries of one place.
    matrix = getattr(scipy.sparse, form)(
        (values, np.array(index, np.int32)[order.astype(int)], indptr.astype(np.int32)),
        (rows, columns),
    )
    np.testing.assert_array_equal(arrays_of({"J": matrix}).get("J"), matrix.toarray())


def sparse(**change):
    """The pickle of a matrix in compressed columns with something changed behind scipy's back."""
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    for name, value in change.items():
        setattr(matrix, name, value)
    return pickle.dumps({"J": matrix}, 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"indices": np.array([0, 1, 9])}, "inconsistent"),
        ({"indices": np.array([0, -1, 2])}, "inconsistent"),
        ({"indices": np.array([0, 1 << 27, 2])}, "inconsistent"),
        ({"indices": np.array([0, 1, 2**64 - 1], np.uint64)}, "inconsistent"),
        ({"indices": np.array([0, 1, 2, 0])}, "inconsistent"),
        ({"indptr": np.array([0, 5, 2, 3])}, "inconsistent"),
        ({"indptr": np.array([1, 1, 2, 3])}, "inconsistent"),
        ({"indptr": np.array([0, 1, 2, 2])}, "inconsistent"),
        ({"indptr": np.array([0, 1, 2, -1])}, "inconsistent"),
        ({"indptr": np.array([0, 1, 2**32 + 2, 3])}, "inconsistent"),
        ({"indptr": np.array([0, 2**64 - 1, 2, 3], np.uint64)}, "inconsistent"),
        ({"indptr": np.array([0, 1, 2, 3, 3])}, "inconsistent"),
        ({"indptr": np.array([], int)}, "inconsistent"),
        ({"indptr": np.array([[0, 1, 2, 3]])}, "no whole number"),
        ({"indices": np.array([0.5, 1.0, 2.0])}, "no whole number"),
        ({"data": np.array([b"a", b"b", b"c"])}, "misshapen"),
        ({"data": np.ones((3, 1))}, "misshapen"),
        ({"data": np.ones(2)}, "inconsistent"),
        ({"_shape": (1 << 30, 1 << 30)}, "larger than the file"),
        ({"_shape": (134_217_727, 1)}, "larger than the file"),
        ({"_shape": (1, 134_217_727)}, "larger than the file"),
        ({"_shape": (1 << 62, 0)}, "valid shape"),
        ({"_shape": (-3, -3)}, "valid shape"),
        ({"_shape": (3, 3, 1)}, "valid shape"),
        ({"_shape": (3, 3.0)}, "no whole number"),
        ({"_shape": ("3", 3)}, "str stands"),
        ({"_shape": None}, "NoneType stands"),
        ({"data": None}, "NoneType stands"),
    ],
    ids=repr,
)
def test_sparse_matrices_that_point_outside_are_refused_before_they_are_filled(change, reason):
    with pytest.raises(PickleError, match=reason):
        PickledArrays(sparse(**change)).get("J")


def test_an_array_larger_than_its_bytes_reserves_no_memory():
    good = pickle.dumps({"a": np.arange(3.0)}, 2)
    state = b"K\x01K\x03\x85"
    assert state in good
    data = good.replace(state, b"K\x01\x8a\x04\xff\xff\xff\x7f\x85")
    tracemalloc.start()
    try:
        with pytest.raises(PickleError, match="has 24 bytes"):
            PickledArrays(data).get("a")
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.array([{}, None], object), "more than numbers"),
        (np.array(["2020-01-01"], "M8[D]"), "more than numbers"),
        (np.array([(1, 2.0)], "i4,f4"), "more than numbers"),
        (np.dtype("f8"), "dtype without content"),
        (np.ndarray, "Global stands"),
        ("text", "str stands"),
        (None, "NoneType stands"),
        ([1, "2"], "other than numbers"),
        ([[1, 2], [3]], "ragged"),
        ([[[1]]], "other than numbers"),
        ([1, [2]], "other than numbers"),
        ({"a": 1}, "dict stands"),
    ],
    ids=repr,
)
def test_other_than_arrays_of_numbers_or_text_is_refused(value, reason):
    with pytest.raises(PickleError, match=reason):
        arrays_of({"a": value}).get("a")


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("Select", {"a": np.ones(3), "idxs": np.array([3])}),
        ("Select", {"a": np.ones(3), "idxs": np.array([0.5])}),
        ("Select", {"a": np.ones(3), "idxs": np.array(["a"])}),
        ("Select", {"a": np.ones(3), "idxs": np.arange(3), "preferred_shape": (2, 2)}),
        ("Select", {"a": np.ones(3)}),
        ("Select", {"idxs": np.arange(3)}),
        ("Reshape", {"a": np.ones(3), "newshape": (1 << 62, 1 << 62)}),
        ("Reshape", {"a": np.ones(3), "newshape": [1.5]}),
        ("Reshape", {"a": np.ones(3), "newshape": [1] * 20}),
        ("transpose", {"a": np.ones((3, 2)), "axes": (0, 0)}),
        ("transpose", {"a": np.ones((3, 2)), "axes": (0, 7)}),
        ("transpose", {"a": np.ones((3, 2)), "axes": "ab"}),
    ],
    ids=repr,
)
def test_chumpy_reorderings_that_do_not_fit_are_refused(tmp_path, name, state):
    with pytest.raises(PickleError):
        python_2(tmp_path, {"v": reordered(name, **state)}).get("v")


def shared_rows():
    """80 kB of a list that has one row of 20,000 numbers 20,000 times."""
    return b"}S'a'\n(" + b"(" + b"K\x01" * 20_000 + b"lq\x00" + b"h\x00" * 19_999 + b"ls."


def shared_numbers():
    """1,000 names, each of a list of its own that has the same 1,000 numbers 100 times."""
    row = b"(" + b"K\x01" * 1000 + b"lq\x000"
    each = b"".join(b"S'%d'\n(" % name + b"h\x00" * 100 + b"l" for name in range(1000))
    return row + b"}(" + each + b"u."


class FromBuffer:
    """An array of its own that shares its bytes with others."""

    def __init__(self, data):
        function, (_, dtype, _, order) = np.zeros(1, np.uint8).__reduce_ex__(5)
        self.reduced = function, (data, dtype, (len(data),), order)

    def __reduce__(self):
        return self.reduced


def shared_bytes():
    """10,000 names, each of an array of its own that shares a megabyte."""
    data = bytes(1 << 20)
    return pickle.dumps({str(name): FromBuffer(data) for name in range(10_000)}, 4)


def shared_selections(levels=15):
    """Each level selects from and by the one below: 2¹⁵ ways to the lowest; the last cannot be."""
    data = b"(K\x00lq\x000"
    for shape in (*[b""] * (levels - 1), b"S'preferred_shape'\nh\x00"):
        data += (
            b"cchumpy.reordering\nSelect\n)\x81}(S'a'\nh\x00S'idxs'\nh\x00" + shape + b"ubq\x000"
        )
    return data + b"}S'a'\nh\x00s."


CYCLE = b"cchumpy.ch\nCh\n)\x81q\x00}S'x'\nh\x00sb0}S'a'\nh\x00s."
NESTED_BYTES = (
    b"K\x00q\x000"
    + b"c__builtin__\nbytearray\nh\x00\x85Rq\x000" * 20_000
    + b"}S'a'\ncnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nS'f8'\n\x85Rh\x00\x86Rs."
)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (shared_rows(), "larger than the file"),
        (shared_numbers(), "larger than the file"),
        (shared_bytes(), "larger than the file"),
        (shared_selections(), "inconsistent"),
        (CYCLE, "too deeply"),
        (NESTED_BYTES, "other than bytes"),
        (b"}S'a'\n" + b"(" * 100_000 + b"l" * 100_000 + b"s.", "other than numbers"),
    ],
    ids=[
        "shared rows",
        "shared numbers",
        "shared bytes",
        "shared selections",
        "cycle",
        "nested bytes",
        "nested lists",
    ],
)
def test_records_that_stand_for_more_than_the_file_holds_are_refused(data, reason):
    assert reason in refusal_within_bounds(read_all, data, PickleError)


def test_an_array_of_several_names_is_decoded_once():
    values = np.zeros(100_000)
    arrays = arrays_of({str(name): values for name in range(1000)})
    assert all(arrays.get(name) is arrays.get("0") for name in arrays.names)


def operations(data):
    """The bytes of each operation."""
    starts = [position for _, _, position in pickletools.genops(data)]
    return [data[a:b] for a, b in itertools.pairwise([*starts, len(data)])]


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    """Pickles of every protocol with each kind of array that is read."""
    folder, values = tmp_path_factory.mktemp("whole"), np.arange(12.0).reshape(4, 3)
    content = {
        "a": values,
        "c": chumpy(values),
        "d": reordered("Select", a=chumpy(values), idxs=np.arange(6), preferred_shape=(2, 3)),
        "e": reordered("transpose", a=values, axes=None),
        "J": scipy.sparse.csc_matrix(np.eye(3)),
        "K": scipy.sparse.csr_matrix(np.eye(3)),
        "n": [[1, 2], [3, 4.5]],
    }
    for protocol in range(6):
        for python2 in (True, False)[protocol > 2 :]:
            path = folder / f"{protocol}{python2}.pkl"
            write_pickle(path, content, protocol=protocol, python2=python2)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def assert_arrays_or_refusal(data):
    try:
        read_all(data)
    except PickleError as error:
        refusal = str(error)
    else:
        refusal = "none"
    assert refusal.isprintable()
    assert len(refusal) < 130


@pytest.mark.filterwarnings("ignore:invalid")
@given(data=st.data())
def test_damaged_bytes_end_in_arrays_or_a_clear_error(whole_files, data):
    damaged = bytearray(data.draw(st.sampled_from(whole_files)))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position : position + 1] = data.draw(st.binary(max_size=4))
    assert_arrays_or_refusal(bytes(damaged))


@given(data=st.data())
def test_exchanged_operations_end_in_arrays_or_a_clear_error(whole_files, data):
    whole = [file for file in whole_files if file[0] == 0x80]
    spliced, other = (operations(data.draw(st.sampled_from(whole))) for _ in range(2))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(spliced) - 1))
        start = data.draw(st.integers(0, len(other) - 1))
        spliced[position : position + data.draw(st.integers(0, 2))] = other[start : start + 4]
    assert_arrays_or_refusal(b"".join(spliced))
