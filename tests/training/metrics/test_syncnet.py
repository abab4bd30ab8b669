# SPDX-License-Identifier: GPL-3.0-or-later
"""SyncNet with small random weights: its layout, its windows, its errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.core.errors import BadInputError, MissingDependencyError
from training.metrics.syncnet import SyncNet, load_syncnet, measure

SMALL = ((4, 4, 4, 4, 4, 8), (4, 4, 4, 4, 4, 8))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SyncNet(SMALL, hidden=8, embedding=16).eval()


def clip(frames=12, seconds=None):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (frames, 224, 224, 3), dtype=np.uint8)
    return pictures, rng.normal(size=round((seconds or frames / 25) * 16_000)) * 0.1


def test_the_published_layout_has_its_keys_and_shapes():
    with torch.device("meta"):
        tensors = SyncNet().state_dict()
    weights = {k: tuple(v.shape) for k, v in tensors.items() if k.endswith("weight")}
    assert len(tensors) == 2 * (6 * 7 + 2 + 7)
    assert weights["netcnnaud.0.weight"] == (64, 1, 3, 3)
    assert weights["netcnnaud.18.weight"] == (512, 256, 5, 4)
    assert weights["netcnnlip.0.weight"] == (96, 3, 5, 7, 7)
    assert weights["netcnnlip.18.weight"] == (512, 256, 1, 6, 6)
    assert weights["netfcaud.3.weight"] == weights["netfclip.3.weight"] == (1024, 512)


def test_pictures_and_cepstra_become_embeddings(network):
    assert network.sound(torch.zeros(2, 1, 13, 20)).shape == (2, 16)
    assert network.lips(torch.zeros(2, 3, 5, 224, 224)).shape == (2, 16)


def test_a_clip_is_measured(network):
    found = measure(network, *clip())
    assert found.distance > 0
    assert found.confidence >= 0
    assert abs(found.offset) <= 15


def test_blue_comes_first(network):
    pictures, sound = clip()
    assert measure(network, pictures[..., ::-1].copy(), sound) != measure(network, pictures, sound)


def test_windows_end_with_picture_or_sound(network):
    pictures, sound = clip(12)
    longer, _ = clip(20)
    assert measure(network, longer[:12], sound) == measure(network, pictures, sound)


@pytest.mark.parametrize("frames", [1, 5])
def test_too_short_a_clip_is_refused(network, frames):
    with pytest.raises(BadInputError, match="too few"):
        measure(network, *clip(frames))


def test_pictures_of_another_size_are_refused(network):
    with pytest.raises(BadInputError, match="224"):
        measure(network, np.zeros((9, 96, 96, 3), np.uint8), np.zeros(16_000))


@pytest.mark.parametrize("suffix", [".model", ".safetensors"])
def test_weights_come_from_a_file_of_any_width(network, tmp_path, suffix):
    path = tmp_path / f"syncnet{suffix}"
    if suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, path)
    else:
        torch.save(network.state_dict(), path)
    assert measure(load_syncnet(path), *clip()) == measure(network, *clip())


def test_a_file_of_another_network_is_refused(tmp_path):
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(BadInputError, match="do not fit SyncNet"):
        load_syncnet(tmp_path / "other.pth")


def test_without_weights_it_says_where_they_go(tmp_path, monkeypatch):
    monkeypatch.setenv("GAUSSIANSPEECH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingDependencyError) as caught:
        load_syncnet()
    assert "syncnet_v2.model" in caught.value.hint
