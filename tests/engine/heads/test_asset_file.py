# SPDX-License-Identifier: GPL-3.0-or-later
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.heads.asset_file import load_head_file, save_head
from tests.engine.heads.small_head import small_head


def rewritten(path, changes):
    """The file again with some members replaced, or left out where the change is None."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, value in changes.items():
        member = f"{name}.npy"
        members.pop(member, None)
        if value is not None:
            stream = io.BytesIO()
            np.save(stream, value, allow_pickle=True)
            members[member] = stream.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def about(**changes):
    values = {
        "format": "gaussianspeech-head-1",
        "id": "small",
        "expressions": ["jawOpen", "mouthClose"],
        "joints": ["root", "jaw"],
        "provenance": {},
    }
    return np.frombuffer(json.dumps(values | changes).encode(), np.uint8)


def assert_same_bits(first, second):
    for name in ("template", "faces", "uv", "uv_faces", "expression_basis"):
        one, other = getattr(first, name), getattr(second, name)
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
    for name in ("parents", "positions", "weights"):
        assert np.array_equal(getattr(first.skeleton, name), getattr(second.skeleton, name))
    assert first.skeleton.names == second.skeleton.names
    assert (first.id, first.expression_names) == (second.id, second.expression_names)
    assert dict(first.provenance) == dict(second.provenance)
    for kind in ("regions", "landmarks"):
        one, other = getattr(first, kind), getattr(second, kind)
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_any_head_comes_back_with_the_same_bits(tmp_path):
    head = small_head()
    save_head(head, tmp_path / "head.npz")
    assert_same_bits(head, load_head_file(tmp_path / "head.npz"))


def test_the_default_head_comes_back_with_the_same_bits(tmp_path):
    head = load_head("default")
    save_head(head, tmp_path / "head.npz")
    assert_same_bits(head, load_head_file(tmp_path / "head.npz"))


def test_the_same_head_gives_the_same_file(tmp_path):
    save_head(small_head(), tmp_path / "one.npz")
    save_head(small_head(), tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_offsets_on_the_grid_take_half_the_room_of_free_ones(tmp_path):
    rng = np.random.default_rng(0)
    steps = rng.integers(-3000, 3000, (2, 4, 3))
    save_head(small_head(expression_basis=(steps / 2**17).astype(np.float32)), tmp_path / "g.npz")
    with np.load(tmp_path / "g.npz") as data:
        assert data["offsets"].dtype == np.int16


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInputError, match="nowhere"):
        load_head_file(tmp_path / "nowhere.npz")


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = tmp_path / "head.npz"
    save_head(small_head(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BadInputError, match=r"head\.npz"):
        load_head_file(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255))
def test_a_damaged_byte_gives_the_head_or_a_clear_error(tmp_path, place, value):
    path = tmp_path / "head.npz"
    save_head(small_head(), path)
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= value
    path.write_bytes(bytes(data))
    try:
        head = load_head_file(path)
    except BadInputError:
        return
    assert head.vertex_count == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"template": None},
        {"template": np.zeros((4, 2), np.float32)},
        {"template": np.zeros((4, 3), np.float64)},
        {"template": np.full((4, 3), np.nan, np.float32)},
        {"template": np.array([{"a": 1}], dtype=object)},
        {"faces": np.full((4, 3), 4, np.int32)},
        {"faces": np.full((4, 3), -1, np.int32)},
        {"faces": np.zeros((3, 3), np.int32)},
        {"uv_faces": np.full((4, 3), 9, np.int32)},
        {"uv": np.full((4, 2), np.inf, np.float32)},
        {"offsets": np.zeros((1, 3), np.float32)},
        {"offsets": np.zeros((6, 3), np.float64)},
        {"offset_mask": np.zeros(7, np.uint8)},
        {"joint_parents": np.array([0, 0], np.int32)},
        {"joint_parents": np.array([-1, 1], np.int32)},
        {"joint_weights": np.ones((3, 2), np.float32)},
        {"regions/lips": np.array([4], np.int32)},
        {"landmarks/chin": np.array([-1], np.int32)},
        {"landmarks/chin": np.array([0.5])},
        {"about": None},
        {"about": np.frombuffer(b"{", np.uint8)},
        {"about": np.frombuffer(b"[]", np.uint8)},
        {"about": about(format="another")},
        {"about": about(expressions=["jawOpen"])},
        {"about": about(expressions=["jawOpen", "jawOpen"])},
        {"about": about(expressions="jaw")},
        {"about": about(joints=[1, 2])},
        {"about": about(provenance=3)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_contents_that_do_not_fit_are_refused(tmp_path, changes):
    path = tmp_path / "head.npz"
    save_head(small_head(), path)
    rewritten(path, changes)
    with pytest.raises(BadInputError, match=r"head\.npz"):
        load_head_file(path)


def test_a_pickle_inside_is_never_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / "head.npz"
    save_head(small_head(), path)
    rewritten(path, {"uv": np.array([Evil()], dtype=object)})
    with pytest.raises(BadInputError):
        load_head_file(path)
    assert not (tmp_path / "ran").exists()


def test_a_file_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "head.npz"
    save_head(small_head(), path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        info = zipfile.ZipInfo("bomb.npy")
        info.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(info, "w") as stream:
            stream.write(b"\0" * 1024)
        archive.filelist[-1].file_size = 1 << 31
    with pytest.raises(BadInputError, match="unpacks to more"):
        load_head_file(path)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 3)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (9" + b"9" * 30 + b",)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3",
        b"{'descr': '''<f4', 'fortran_order': False, 'shape': (4, 3)}",
        b"(" * 1000,
    ],
    ids=["terabytes", "overflow", "unfinished", "open text", "brackets"],
)
def test_a_damaged_array_header_is_refused(tmp_path, header):
    path = tmp_path / "head.npz"
    save_head(small_head(), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    size = len(header).to_bytes(2, "little")
    members["template.npy"] = b"\x93NUMPY\x01\x00" + size + header + bytes(48)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(BadInputError, match=r"head\.npz cannot be read"):
        load_head_file(path)
