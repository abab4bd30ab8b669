# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.heads.asset_file import save_head


def test_a_head_file_is_loaded_by_its_path(tmp_path):
    head = load_head("default")
    save_head(head, tmp_path / "mine.npz")
    assert load_head(tmp_path / "mine.npz").vertex_count == head.vertex_count


@pytest.mark.parametrize("name", ["defualt", "", "head.obj", "folder/"])
def test_an_unknown_head_is_named_with_what_there_is(name):
    with pytest.raises(BadInputError) as caught:
        load_head(name)
    assert repr(name)[1:-1] in caught.value.message
    assert "'default'" in caught.value.hint


@pytest.mark.parametrize("suffix", [".pkl", ".npz", ".NPZ"])
def test_a_missing_file_is_named(tmp_path, suffix):
    with pytest.raises(BadInputError, match="nowhere"):
        load_head(tmp_path / f"nowhere{suffix}")


@pytest.mark.parametrize("suffix", [".pkl", ".npz"])
def test_a_file_that_is_no_head_gives_a_clear_error(tmp_path, suffix):
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(b"this is not a head")
    with pytest.raises(BadInputError, match="noise"):
        load_head(path)
