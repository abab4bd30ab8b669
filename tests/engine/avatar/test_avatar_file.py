# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.avatar import load_avatar, save_avatar
from engine.core.errors import BadInputError


@pytest.mark.parametrize("kind", ["sh_avatar", "mlp_avatar"])
def test_what_is_saved_comes_back_the_same(kind, head, tmp_path, request):
    avatar = request.getfixturevalue(kind)
    save_avatar(avatar, tmp_path / "a.safetensors")
    back = load_avatar(tmp_path / "a.safetensors", head)
    for name in ("binding", "positions", "log_scales", "quats", "opacity_logits", "faces"):
        assert torch.equal(getattr(back, name), getattr(avatar, name))
    assert torch.equal(back.color.colors(), avatar.color.colors())
    assert (back.head, back.vertex_count, back.provenance) == (head.id, 6, {"licence": "CC0-1.0"})


def test_writing_over_the_file_of_an_avatar_in_use_does_not_change_it(mlp_avatar, head, tmp_path):
    path = tmp_path / "a.safetensors"
    save_avatar(mlp_avatar, path)
    loaded = load_avatar(path, head)
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    assert torch.equal(loaded.binding, mlp_avatar.binding)
    assert torch.equal(loaded.positions, mlp_avatar.positions)


def test_the_same_avatar_gives_the_same_file(sh_avatar, tmp_path):
    for name in ("a", "b"):
        save_avatar(sh_avatar, tmp_path / f"{name}.safetensors")
    first, second = ((tmp_path / f"{n}.safetensors").read_bytes() for n in ("a", "b"))
    assert first == second


def test_half_precision_is_half_the_size_and_close(sh_avatar, head, tmp_path):
    save_avatar(sh_avatar, tmp_path / "full.safetensors")
    save_avatar(sh_avatar, tmp_path / "half.safetensors", half=True)
    back = load_avatar(tmp_path / "half.safetensors", head)
    assert back.positions.dtype == torch.float32
    torch.testing.assert_close(back.positions, sh_avatar.positions, atol=1e-3, rtol=1e-3)
    full, half = ((tmp_path / f"{n}.safetensors").stat().st_size for n in ("full", "half"))
    assert half < full


def test_an_avatar_of_another_head_is_refused_by_name(sh_avatar, head, tmp_path):
    save_avatar(sh_avatar, tmp_path / "a.safetensors")
    other = dataclasses.replace(head, id="cube", faces=np.ascontiguousarray(head.faces[:, ::-1]))
    with pytest.raises(BadInputError, match=r"octahedron.*cube"):
        load_avatar(tmp_path / "a.safetensors", other)


def test_a_missing_file_is_named(head, tmp_path):
    with pytest.raises(BadInputError, match=r"nothing\.safetensors"):
        load_avatar(tmp_path / "nothing.safetensors", head)


@pytest.mark.parametrize("kept", [0, 4, 100, 2000])
def test_a_truncated_file_is_refused(sh_avatar, head, tmp_path, kept):
    path = tmp_path / "a.safetensors"
    save_avatar(sh_avatar, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInputError, match="cannot be read"):
        load_avatar(path, head)


def test_other_safetensors_and_other_files_are_refused(head, tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(BadInputError, match="not a GaussianSpeech avatar"):
        load_avatar(tmp_path / "model.safetensors", head)
    (tmp_path / "note.safetensors").write_text("hello, this is a text that is long enough")
    with pytest.raises(BadInputError, match="cannot be read"):
        load_avatar(tmp_path / "note.safetensors", head)


def test_a_file_that_lacks_a_tensor_is_refused(sh_avatar, head, tmp_path):
    path = tmp_path / "a.safetensors"
    save_avatar(sh_avatar, path)
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name != "quats"}  # noqa: SIM118 - safe_open has no iterator.
        save_file(tensors, path, file.metadata())
    with pytest.raises(BadInputError, match="quats"):
        load_avatar(path, head)
