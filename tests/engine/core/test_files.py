# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from engine.core.files import atomic_write


def test_the_file_appears_under_its_name_when_the_block_succeeds(tmp_path):
    target = tmp_path / "new" / "result.bin"
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
        assert temporary.suffix == ".bin"
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_leaves_the_older_file_and_nothing_else(tmp_path):
    target = tmp_path / "result.bin"
    target.write_bytes(b"older")
    with pytest.raises(RuntimeError), atomic_write(target) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [target]
