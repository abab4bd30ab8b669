# SPDX-License-Identifier: GPL-3.0-or-later
"""Safetensors files where there is no torch."""

import json
import struct

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.core.tensor_arrays import read_tensor_arrays

DATA = struct.pack("<2f", 1.5, -2)
ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def written(path, entry=ENTRY, about='{"head": "a"}', data=DATA):
    text = json.dumps({"__metadata__": {"own": about}, "a": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def read(path):
    return read_tensor_arrays(path, ("own",), "own file", "Copy it again.")


def test_numbers_and_what_the_file_says_of_itself_are_read(tmp_path):
    about, arrays = read(written(tmp_path / "a.safetensors"))
    assert about == {"head": "a"}
    np.testing.assert_array_equal(arrays["a"], np.array([1.5, -2], np.float32))


@pytest.mark.parametrize(
    "change",
    [
        {"data_offsets": [0, 1e999]},
        {"data_offsets": [0, 8.0]},
        {"data_offsets": [0, 2**80]},
        {"data_offsets": [0]},
        {"shape": [1e999]},
        {"shape": [True, 2]},
        {"shape": [-2]},
        {"shape": [2**62, 0]},
        {"shape": [3]},
        {"shape": 2},
        {"dtype": "F8_E4M3"},
        {"dtype": []},
    ],
    ids=repr,
)
def test_sizes_that_cannot_be_are_refused_in_a_line(tmp_path, change):
    path = written(tmp_path / "a.safetensors", ENTRY | change)
    with pytest.raises(BadInputError, match=r"a\.safetensors"):
        read(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_no_finite_numbers_are_refused(tmp_path, value):
    entry = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}
    path = written(tmp_path / "a.safetensors", entry, data=struct.pack("<d", value))
    with pytest.raises(BadInputError, match="not finite"):
        read(path)


@pytest.mark.parametrize("about", ["{", "[]", "[" * 100_000, '{"a": NaN}'])
def test_metadata_that_is_no_object_is_refused(tmp_path, about):
    with pytest.raises(BadInputError, match=r"a\.safetensors"):
        read(written(tmp_path / "a.safetensors", about=about))
