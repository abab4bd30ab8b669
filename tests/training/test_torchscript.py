# SPDX-License-Identifier: GPL-3.0-or-later
"""TorchScript files: what is read, what is refused, and what is said of it."""

from __future__ import annotations

import random

import pytest
import torch
from safetensors.torch import save_file

from engine.core.errors import BadInputError
from tests.training.losses.weight_files import Stages, save_stages
from training.torchscript import ScriptedNetwork, load_detector

MAPS = {4: "(B, C, H, W) features"}


def test_the_layers_are_those_of_the_network(tmp_path):
    network = save_stages(tmp_path / "stages.pt")
    pictures = torch.rand(2, 3, 40, 24)
    for ours, theirs in zip(
        ScriptedNetwork(tmp_path / "stages.pt", "It", MAPS)(pictures),
        network(pictures),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_it_is_frozen_and_stays_in_evaluation_mode(tmp_path):
    torch.jit.script(torch.nn.BatchNorm2d(3)).save(str(tmp_path / "norm.pt"))
    network = ScriptedNetwork(tmp_path / "norm.pt", "It", MAPS).train()
    assert not any(parameter.requires_grad for parameter in network.parameters())
    pictures = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(network(pictures)[0], pictures, rtol=1e-4, atol=1e-4)


class Choosy(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        if x.shape[0] != 1:
            raise ValueError("one at a time")
        return x


class Number(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x.ndim


class Nothing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [x][:0]


class Single(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x, x[:1]


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (torch.nn.Flatten(), r"gives \(2, 48\) for \(2, 3, 4, 4\)"),
        (torch.nn.Conv2d(1, 1, 1), r"cannot take \(2, 3, 4, 4\): .*channels"),
        (Choosy(), r"cannot take \(2, 3, 4, 4\): .*one at a time"),
        (Number(), r"gives int for \(2, 3, 4, 4\)"),
        (Nothing(), r"gives nothing for \(2, 3, 4, 4\)"),
        (Single(), r"gives \(1, 3, 4, 4\) for \(2, 3, 4, 4\)"),
    ],
)
def test_outputs_that_do_not_serve_are_named_in_one_line(tmp_path, network, words):
    torch.jit.script(network).save(str(tmp_path / "odd.pt"))
    loaded = ScriptedNetwork(tmp_path / "odd.pt", "The network", MAPS)
    with pytest.raises(BadInputError, match=r"The network .*odd\.pt " + words) as caught:
        loaded(torch.zeros(2, 3, 4, 4))
    assert "\n" not in str(caught.value)
    assert "(B, C, H, W) features" in caught.value.hint


def test_maps_and_features_serve_as_wrinkle_detectors(tmp_path):
    for network in (torch.nn.Conv2d(3, 2, 3, padding=1), torch.nn.Flatten()):
        torch.jit.script(network).save(str(tmp_path / "detector.pt"))
        assert len(load_detector(tmp_path / "detector.pt")(torch.zeros(1, 3, 4, 4))) == 1


@pytest.mark.parametrize("kind", ["zip", "pickle", "safetensors"])
def test_weights_without_their_network_are_named(tmp_path, kind):
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    tensors = Stages().state_dict()
    if kind == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(BadInputError, match="holds weights alone") as caught:
        ScriptedNetwork(path, "The network", MAPS)
    assert "docs/weights.md shows how to make it" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"no network", b"PK\x05\x06" + bytes(18)])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "other.pt").write_bytes(content)
    with pytest.raises(BadInputError, match=r"other\.pt is not a TorchScript file"):
        load_detector(tmp_path / "other.pt")
    with pytest.raises(BadInputError, match=r"There is no file .*none\.pt"):
        load_detector(tmp_path / "none.pt")


def test_damaged_files_are_refused_in_one_line(tmp_path):
    save_stages(tmp_path / "sound.pt")
    sound = (tmp_path / "sound.pt").read_bytes()
    chance = random.Random(0)
    path, messages = tmp_path / "damaged.pt", []
    for trial in range(150):
        damaged = bytearray(sound)
        if trial % 3 == 0:
            del damaged[chance.randrange(len(damaged)) :]
        for _ in range(trial % 3 * 4):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            ScriptedNetwork(path, "The network", MAPS)
        except BadInputError as error:
            messages.append(str(error))
    assert len(messages) >= 100
    assert all("damaged.pt" in words and "\n" not in words for words in messages)
