# SPDX-License-Identifier: GPL-3.0-or-later
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.avatar.ply import read_columns, read_header, write_columns
from engine.avatar.ply_header import MAX_HEADER
from engine.core.errors import BadInputError

GOOD = ["format binary_little_endian 1.0", "element vertex 2", "property float x", "property int n"]
DATA = struct.pack("<fifi", 1.5, 2, -0.25, 7)


def ply(path, lines, data=DATA):
    path.write_bytes("\n".join(["ply", *lines, "end_header", ""]).encode("latin-1") + data)
    return path


def test_scalars_of_any_type_come_as_float32(tmp_path):
    path = ply(tmp_path / "a.ply", GOOD)
    header = read_header(path)
    assert (header.count, header.names) == (2, ("x", "n"))
    np.testing.assert_array_equal(
        read_columns(path, header, ["n", "x"]), np.array([[2, 1.5], [7, -0.25]], np.float32)
    )


def test_big_endian_and_carriage_returns_and_comments_are_read(tmp_path):
    lines = [
        "format binary_big_endian 1.0\r",
        "comment made by hand\r",
        "obj_info nothing\r",
        "element vertex 1\r",
        "property float64 x\r",
        "property uchar n\r",
    ]
    path = tmp_path / "a.ply"
    head = "\n".join(["ply\r", *lines, "end_header\r", ""]).encode()
    path.write_bytes(head + struct.pack(">dB", 0.5, 200))
    header = read_header(path)
    assert header.comments == ("made by hand",)
    assert read_columns(path, header, ["x", "n"]).tolist() == [[0.5, 200.0]]


def test_what_is_written_comes_back_to_the_bit(tmp_path):
    columns = np.random.default_rng(0).normal(size=(40_000, 3)).astype(np.float32)
    write_columns(tmp_path / "a.ply", ("x", "y", "z"), columns, ["a comment"])
    header = read_header(tmp_path / "a.ply")
    assert header.comments == ("a comment",)
    back = read_columns(tmp_path / "a.ply", header, ("x", "y", "z"))
    assert back.tobytes() == columns.tobytes()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["format ascii 1.0", *GOOD[1:]], "ASCII"),
        (["format binary_middle_endian 1.0", *GOOD[1:]], "binary_middle_endian"),
        (["format binary_little_endian 2.0", *GOOD[1:]], "format 1.0"),
        (GOOD[1:], "format 1.0"),
        ([GOOD[0], "element face 2", *GOOD[2:]], "element vertex"),
        ([GOOD[0], "element vertex -1", *GOOD[2:]], "'-1'"),
        ([GOOD[0], "element vertex 1_0", *GOOD[2:]], "'1_0'"),
        ([GOOD[0], "element vertex 9999999999", *GOOD[2:]], "9,999,999,999 vertices"),
        ([GOOD[0], "element vertex " + "9" * 5000, *GOOD[2:]], "number of vertices"),
        ([*GOOD, "property quad y"], "'property quad y'"),
        ([*GOOD, "property float x"], "'x' is repeated"),
        ([*GOOD, "property list uchar int vertex_indices"], "mesh"),
        ([*GOOD, "element chunk 1"], "'element chunk 1'"),
        ([*GOOD, "hello"], "'hello'"),
        (GOOD[:2], "no properties"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused_by_its_fault(lines, message, tmp_path):
    path = ply(tmp_path / "a.ply", lines)
    with pytest.raises(BadInputError, match=message) as caught:
        read_header(path)
    assert "a.ply" in caught.value.message
    assert caught.value.hint


def test_too_few_and_too_many_bytes_are_refused_with_both_sizes(tmp_path):
    with pytest.raises(BadInputError, match=r"truncated.*2 vertices"):
        read_header(ply(tmp_path / "a.ply", GOOD, DATA[:-1]))
    with pytest.raises(BadInputError, match="longer than it says"):
        read_header(ply(tmp_path / "a.ply", GOOD, DATA + b"\0"))


def test_other_files_and_missing_ones_are_refused(tmp_path):
    (tmp_path / "note.ply").write_text("a note")
    with pytest.raises(BadInputError, match="not a PLY"):
        read_header(tmp_path / "note.ply")
    with pytest.raises(BadInputError, match="cannot be read"):
        read_header(tmp_path / "nothing.ply")


def test_a_header_without_end_is_given_up(tmp_path):
    path = tmp_path / "a.ply"
    path.write_bytes(b"ply\n" + b"comment x\n" * (MAX_HEADER // 5))
    with pytest.raises(BadInputError, match="does not end"):
        read_header(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused_by_field(value, tmp_path):
    columns = np.zeros((3, 2), np.float32)
    columns[1, 1] = value
    write_columns(tmp_path / "a.ply", ("x", "opacity"), columns)
    header = read_header(tmp_path / "a.ply")
    with pytest.raises(BadInputError, match="opacity"):
        read_columns(tmp_path / "a.ply", header, ("x", "opacity"))
    read_columns(tmp_path / "a.ply", header, ("x",))


def test_a_double_too_large_for_float32_is_refused(tmp_path):
    lines = [GOOD[0], "element vertex 1", "property double x"]
    path = ply(tmp_path / "a.ply", lines, struct.pack("<d", 1e300))
    with pytest.raises(BadInputError, match="infinite values in x"):
        read_columns(path, read_header(path), ["x"])


def test_a_missing_property_is_named(tmp_path):
    path = ply(tmp_path / "a.ply", GOOD)
    with pytest.raises(BadInputError, match="rot_3"):
        read_columns(path, read_header(path), ["x", "rot_3"])


def test_memory_is_that_of_the_columns_asked_for(tmp_path):
    columns = np.zeros((50_000, 60), np.float32)
    names = [f"f{i}" for i in range(60)]
    write_columns(tmp_path / "a.ply", names, columns)
    header = read_header(tmp_path / "a.ply")
    tracemalloc.start()
    read_columns(tmp_path / "a.ply", header, names[:3])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < columns.nbytes / 2


HEADER_WORDS = (
    "ply format binary_little_endian binary_big_endian ascii 1.0 element vertex face property "
    "list float double int uchar x y 0 1 2 4294967296 end_header comment"
)
WORDS = st.sampled_from(HEADER_WORDS.split())
LINES = st.lists(st.lists(WORDS, max_size=5).map(" ".join), max_size=8)
SCRATCH = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read_or_refuse(path):
    """Any file is read whole or refused with an error for the user; nothing else comes out."""
    try:
        header = read_header(path)
        columns = read_columns(path, header, header.names)
    except BadInputError as error:
        assert str(path) in error.message  # noqa: PT017 - either end is right, this one has a form.
    else:
        assert columns.shape == (header.count, len(header.names))
        assert np.isfinite(columns).all()


@given(lines=LINES, data=st.binary(max_size=64))
@SCRATCH
def test_any_words_in_a_header_are_read_or_refused(lines, data, tmp_path):
    read_or_refuse(ply(tmp_path / "fuzz.ply", lines, data))


@given(at=st.integers(0, 200), byte=st.integers(0, 255), cut=st.integers(0, 200))
@SCRATCH
def test_a_good_file_with_one_byte_changed_or_cut_is_read_or_refused(at, byte, cut, tmp_path):
    path = ply(tmp_path / "fuzz.ply", GOOD)
    data = bytearray(path.read_bytes())
    if at < len(data):
        data[at] = byte
    path.write_bytes(data[: len(data) - cut] if cut < len(data) else data)
    read_or_refuse(path)


@given(data=st.binary(max_size=300))
@SCRATCH
def test_any_bytes_are_read_or_refused(data, tmp_path):
    path = tmp_path / "fuzz.ply"
    path.write_bytes(b"ply\n" + data)
    read_or_refuse(path)
