# SPDX-License-Identifier: GPL-3.0-or-later
import tracemalloc
import zlib

import pytest

from engine.core.inflate import inflate


@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_what_was_packed_comes_back(size):
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert inflate(zlib.compress(data), size) == data


def test_a_small_text_does_not_become_a_large_one():
    packed = zlib.compress(bytes(64 << 20), 9)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 1000 bytes"):
            inflate(packed, 1000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [b"", b"no zlib", zlib.compress(b"abc")[:-1]])
def test_what_is_damaged_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        inflate(data, 100)
