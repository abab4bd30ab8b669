# SPDX-License-Identifier: GPL-3.0-or-later
"""Weight files: where they are found, what is refused, what is said when they are missing."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from engine.core.errors import BadInputError, MissingDependencyError
from training import weights
from training.weights import WEIGHTS, find_weights, load_weights, why_missing


def test_folder_is_the_users_choice(monkeypatch, tmp_path):
    monkeypatch.setenv("GAUSSIANSPEECH_WEIGHTS", str(tmp_path))
    assert weights.weights_folder() == tmp_path
    assert find_weights("vgg16") is None
    (tmp_path / "vgg16.safetensors").touch()
    assert find_weights("vgg16") == tmp_path / "vgg16.safetensors"


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_what_is_missing_is_told_with_licence_and_place(tmp_path, name):
    message, hint = why_missing(name, tmp_path)
    entry = WEIGHTS[name]
    assert entry.what in message
    assert str(tmp_path / entry.files[0]) in hint
    assert entry.licence in hint
    with pytest.raises(MissingDependencyError, match="no weights of"):
        load_weights(name, tmp_path)


def test_both_formats_hold_the_same(tmp_path):
    tensors = {"a.weight": torch.rand(2, 3)}
    torch.save({"state_dict": {"module.a.weight": tensors["a.weight"]}}, tmp_path / "vgg16.pth")
    first = load_weights("vgg16", tmp_path)
    (tmp_path / "vgg16.pth").unlink()
    save_file(tensors, tmp_path / "vgg16.safetensors")
    second = load_weights("vgg16", tmp_path)
    assert torch.equal(first["a.weight"], second["a.weight"])


def test_the_published_name_is_for_the_published_file(monkeypatch, tmp_path):
    path = tmp_path / "vgg16-397923af.pth"
    torch.save({"x": torch.zeros(1)}, path)
    with pytest.raises(BadInputError, match="is not VGG16"):
        load_weights("vgg16", tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(WEIGHTS, "vgg16", replace(WEIGHTS["vgg16"], sha256=digest))
    assert set(load_weights("vgg16", tmp_path)) == {"x"}


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a weight file ran code",))


@pytest.mark.parametrize("kind", ["text", "pickle", "empty", "cut", "no tensors"])
def test_other_files_are_refused(tmp_path, kind):
    path = tmp_path / "vgg16.pth"
    if kind == "text":
        path.write_text("no weights")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Trap(), protocol=2))
    elif kind == "empty":
        path.touch()
    elif kind == "cut":
        torch.save({"x": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:1500])
    else:
        torch.save({"epoch": 3}, path)
    with pytest.raises(BadInputError, match=r"vgg16\.pth holds no weights"):
        load_weights("vgg16", tmp_path)


def test_a_damaged_safetensors_file_is_refused(tmp_path):
    (tmp_path / "vgg16.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{broken}")
    with pytest.raises(BadInputError, match="holds no weights"):
        load_weights("vgg16", tmp_path)
