# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses
import json
import random

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engine.avatar import load_avatar, save_avatar
from engine.avatar.avatar_file import FORMAT
from engine.core.errors import BadInputError
from tests.fuzz.damage import damage


@pytest.mark.parametrize("kind", ["sh_avatar", "mlp_avatar"])
def test_what_is_saved_comes_back_the_same(kind, head, tmp_path, request):
    avatar = request.getfixturevalue(kind)
    save_avatar(avatar, tmp_path / "a.safetensors")
    back = load_avatar(tmp_path / "a.safetensors", head)
    for name in ("binding", "positions", "log_scales", "quats", "opacity_logits", "faces"):
        assert torch.equal(getattr(back, name), getattr(avatar, name))
    assert torch.equal(back.color.colors(), avatar.color.colors())
    assert (back.head, back.vertex_count, back.provenance) == (head.id, 6, {"licence": "CC0-1.0"})


def test_the_light_of_the_capture_comes_back(sh_avatar, head, tmp_path):
    light = torch.linspace(0, 1.5, 18).reshape(6, 3)
    save_avatar(dataclasses.replace(sh_avatar, light=light), tmp_path / "a.safetensors")
    back = load_avatar(tmp_path / "a.safetensors", head)
    torch.testing.assert_close(back.light, light, atol=1e-3, rtol=1e-3)
    save_avatar(sh_avatar, tmp_path / "b.safetensors")
    assert load_avatar(tmp_path / "b.safetensors", head).light is None


@pytest.mark.parametrize("light", [torch.zeros(5, 3), torch.full((6, 3), torch.nan)])
def test_a_light_that_does_not_fit_the_head_is_refused(sh_avatar, light):
    with pytest.raises(BadInputError, match="avatar's light"):
        dataclasses.replace(sh_avatar, light=light)


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


def test_a_person_of_the_default_head_has_no_avatar(head):
    with pytest.raises(BadInputError, match="default#7 is a head without an avatar"):
        load_avatar("default#7", head)


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
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name != "quats"}  # noqa: SIM118 - safe_open has no iterator.
        save_file(tensors, path, file.metadata())
    with pytest.raises(BadInputError, match="quats"):
        load_avatar(path, head)


def changed(path, avatar, about=None, **tensors):
    """The file of an avatar with other metadata or tensors."""
    save_avatar(avatar, path)
    with safe_open(path, framework="pt") as file:
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = json.loads(file.metadata()[FORMAT]) | (about or {})
    save_file(kept | tensors, path, {FORMAT: json.dumps(metadata)})


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        ("color.coefficients", torch.nan),
        ("color.coefficients", 1e38),
        ("positions", torch.inf),
        ("log_scales", 100.0),
        ("quats", -1e30),
        ("opacity_logits", torch.nan),
    ],
)
def test_values_that_would_render_as_nan_are_refused_by_name(
    sh_avatar, head, tmp_path, tensor, value
):
    path = tmp_path / "a.safetensors"
    save_avatar(sh_avatar, path)
    values = load_file(path)[tensor]
    values.reshape(-1)[0] = value
    changed(path, sh_avatar, **{tensor: values})
    with pytest.raises(BadInputError, match=r"a\.safetensors"):
        load_avatar(path, head)


@pytest.mark.parametrize("binding", [[0.5], [2**32], [-1], [True]], ids=str)
def test_a_binding_that_numbers_no_triangle_is_refused(sh_avatar, head, tmp_path, binding):
    path = tmp_path / "a.safetensors"
    changed(path, sh_avatar, binding=torch.tensor(binding * sh_avatar.count))
    with pytest.raises(BadInputError, match=r"a\.safetensors"):
        load_avatar(path, head)


@pytest.mark.parametrize(
    "about",
    [
        {"head": 5},
        {"head": None},
        {"vertex_count": "x" * 5000},
        {"faces_sha256": [1]},
        {"faces_sha256": "0", "head": "x" * 5000},
        {"color": ["mlp"]},
        {"color": "x" * 5000},
        {"provenance": 3},
    ],
    ids=lambda about: repr(about)[:40],
)
def test_metadata_of_other_types_is_refused_in_a_line(sh_avatar, head, tmp_path, about):
    path = tmp_path / "a.safetensors"
    changed(path, sh_avatar, about)
    with pytest.raises(BadInputError, match=r"a\.safetensors") as caught:
        load_avatar(path, head)
    assert len(caught.value.message) <= 300


def test_a_tensor_of_very_many_dimensions_is_refused_by_name(sh_avatar, head, tmp_path):
    path = tmp_path / "a.safetensors"
    save_avatar(sh_avatar, path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["binding"]["shape"] = [1] * 70 + header["binding"]["shape"]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    with pytest.raises(BadInputError, match="'binding' has 71 dimensions"):
        load_avatar(path, head)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", '{"head": NaN}', "[]", "5"])
def test_metadata_that_is_no_object_is_refused(sh_avatar, head, tmp_path, text):
    path = tmp_path / "a.safetensors"
    save_file({"binding": torch.zeros(1)}, path, {FORMAT: text})
    with pytest.raises(BadInputError, match=r"a\.safetensors"):
        load_avatar(path, head)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_ends_in_an_avatar_or_a_line(sh_avatar, head, tmp_path, seed):
    path = tmp_path / "a.safetensors"
    save_avatar(sh_avatar, path)
    path.write_bytes(damage(path.read_bytes(), random.Random(seed)))
    try:
        colors = load_avatar(path, head).color.colors()
    except BadInputError as error:
        refusal, colors = error.message, torch.zeros(0)
    else:
        refusal = ""
    assert len(refusal) <= 300
    assert torch.isfinite(colors).all()
