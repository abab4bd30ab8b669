# SPDX-License-Identifier: GPL-3.0-or-later
import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from engine.core.npz import npz_names, open_npy, read_npz

LIMIT = 1 << 20
GOOD = {
    "a": np.arange(24.0).reshape(2, 3, 4),
    "b": np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
    "c": np.array(["text", "ä"]),
    "d": np.float32(1.5),
    "f": np.array(["big", "🙂"], ">U3"),
    "e": np.zeros((0, 3), bool),
}


def read(path, **options):
    return read_npz(path, **{"limit": LIMIT, "hint": "Get it again.", **options})


def member(header, data=b"", version=b"\1\0"):
    """A member of an npz as numpy lays it out, with any header."""
    text = header if isinstance(header, bytes) else repr(header).encode()
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(text))
    return b"\x93NUMPY" + version + size + text + data


def written(path, *members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def header(**change):
    return {"descr": "<f8", "fortran_order": False, "shape": (2,)} | change


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_arrays_read_as_numpy_reads_them(tmp_path, write):
    write(tmp_path / "good.npz", **GOOD)
    arrays = read(tmp_path / "good.npz")
    assert arrays.keys() == GOOD.keys()
    for name, array in GOOD.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
        assert arrays[name].flags.writeable


def test_headers_of_python_2_and_later_versions_read(tmp_path):
    old = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 1L), }   \n"
    new = header(shape=(2, 1))
    path = written(
        tmp_path / "old.npz",
        ("old.npy", member(old, bytes(16))),
        *((f"new{v}.npy", member(new, bytes(16), bytes([v, 0]))) for v in (2, 3)),
    )
    assert [array.shape for array in read(path).values()] == [(2, 1)] * 3


def test_the_names_are_those_of_the_arrays(tmp_path):
    np.savez(tmp_path / "good.npz", **GOOD)
    assert npz_names(tmp_path / "good.npz", hint="") == tuple(GOOD)


def test_only_the_named_arrays_are_looked_at(tmp_path):
    np.savez(tmp_path / "some.npz", a=np.ones(2), bad=np.array([{}], object), big=np.zeros(LIMIT))
    assert read(tmp_path / "some.npz", names=("a", "absent")).keys() == {"a"}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("a.npy", member(header(shape=(10**23,))))], "no valid shape"),
        ([("a.npy", member(header(shape=(10**11, 10**11))))], "has 0 bytes"),
        ([("a.npy", member(header(shape=(-1,))))], "no valid shape"),
        ([("a.npy", member(header(shape=(2.0,))))], "no valid shape"),
        ([("a.npy", member(header(shape=2)))], "no valid shape"),
        ([("a.npy", member(header(), bytes(15)))], "has 15 bytes"),
        ([("a.npy", member(header(), bytes(17)))], "has 17 bytes"),
        ([("a.npy", member(header(descr="|O"), bytes(16)))], "other than numbers or text"),
        ([("a.npy", member(header(descr=[("x", "<f8")]), bytes(16)))], "other than numbers"),
        ([("a.npy", member(header(descr="<f3"), bytes(6)))], "unknown type"),
        ([("a.npy", member(header(descr="|S0")))], "has 0 bytes"),
        ([("a.npy", member(header(descr="<U1"), b"a\0\0\0\0\0\x11\0"))], "no text"),
        ([("a.npy", member(header(descr=">U1"), b"\0\0\0a\0\0\xd8\0"))], "no text"),
        ([("a.npy", member(b"(" * 4000))], "damaged header"),
        ([("a.npy", member(b"-" * 4000 + b"1"))], "damaged header"),
        ([("a.npy", member(b"{'descr': '''"))], "damaged header"),
        ([("a.npy", member(b"[]"))], "damaged header"),
        ([("a.npy", member({"descr": "<f8"}))], "damaged header"),
        ([("a.npy", member(b"\xff\0"))], "."),
        ([("a.npy", member(b" " * 5000))], "thousands of letters"),
        ([("a.npy", member(header(), bytes(16), b"\4\0"))], "no array"),
        ([("a.npy", b"")], "no array"),
        ([("a.npy", b"\x93NUMPY\1\0\5")], "."),
        ([("a.npy", member(header(), bytes(16))), ("a", b"")], "two arrays of one name"),
        ([("a.npy", bytes(LIMIT + 1))], "unpacks to more"),
        ([("a.npy", bytes(LIMIT // 2)), ("b.npy", bytes(LIMIT))], "."),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_members_that_are_no_array_of_their_size_are_refused(tmp_path, members, reason):
    path = written(tmp_path / "bad.npz", *members)
    tracemalloc.start()
    try:
        with pytest.raises(BadInputError, match=rf"bad\.npz cannot be read: .*{reason}"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_numpy_does_not_write_are_refused(tmp_path, compression):
    data = member(header(), bytes(16))
    path = written(tmp_path / "odd.npz", ("a.npy", data), compression=compression)
    with pytest.raises(BadInputError, match="as no npz is"):
        read(path)


def test_a_member_that_claims_less_than_it_unpacks_to_is_cut_off_there(tmp_path):
    honest = written(tmp_path / "bomb.npz", ("a.npy", member(header(), bytes(16 << 20))))
    claim = struct.pack("<I", len(member(header(), bytes(16))))
    real = struct.pack("<I", len(member(header(), bytes(16 << 20))))
    honest.write_bytes(honest.read_bytes().replace(real, claim))
    tracemalloc.start()
    try:
        with pytest.raises(BadInputError, match=r"bomb\.npz cannot be read"):
            read(honest)
        assert tracemalloc.get_traced_memory()[1] < 4 * LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", [b"", b"text\n" * 20, bytes(64), b"PK\5\6" + bytes(18)[:-1]])
def test_files_of_something_else_are_named(tmp_path, content):
    (tmp_path / "other.npz").write_bytes(content)
    for reader in (read, lambda path: npz_names(path, hint="")):
        with pytest.raises(BadInputError, match=r"other\.npz"):
            reader(tmp_path / "other.npz")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "missing.npz", tmp_path):
        with pytest.raises(BadInputError, match="There is no file"):
            read(path)


def packed(compress):
    stream = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(stream, **GOOD)
    return stream.getvalue()


PACKED = [packed(False), packed(True)]


@given(
    which=st.sampled_from(PACKED),
    changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4),
    length=st.integers(0, 5000),
)
def test_a_damaged_file_ends_in_arrays_or_a_clear_error(which, changes, length, tmp_path_factory):
    data = bytearray(which)
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path_factory.mktemp("damaged") / "any.npz"
    path.write_bytes(data[: length if length < 500 else None])
    try:
        read(path)
    except BadInputError as error:
        refusal = error.message
    else:
        refusal = "any.npz"
    assert "any.npz" in refusal
    assert len(refusal) < 300


def test_an_npy_that_claims_more_than_it_holds_is_refused_unread(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, np.zeros((2, 3), np.float32))
    honest = path.read_bytes()
    path.write_bytes(honest.replace(b"(2, 3), }       ", b"(2, 3000000000)}"))
    assert path.read_bytes() != honest
    with pytest.raises(BadInputError, match=r"rows\.npy cannot be read"):
        open_npy(path, "rows")
    path.write_bytes(honest[:-1])
    with pytest.raises(BadInputError, match=r"rows\.npy cannot be read"):
        open_npy(path, "rows")


def test_an_npy_gives_its_array_under_a_name(tmp_path):
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "rows.npy", rows)
    found = open_npy(tmp_path / "rows.npy", "rows")
    np.testing.assert_array_equal(found.numbers("rows", (2, None)), rows)
    with pytest.raises(BadInputError, match=r"'rows' is float32 of shape"):
        found.numbers("rows", (3, 3))
