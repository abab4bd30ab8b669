# SPDX-License-Identifier: GPL-3.0-or-later
"""SyncNet's windows and errors, with small towers of random weights in a TorchScript file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.core.errors import BadInputError, MissingDependencyError
from tests.training.metrics.syncnet_towers import Towers, save_towers
from training.metrics.mfcc import cepstra
from training.metrics.sync_error import sync_error
from training.metrics.syncnet import load_syncnet, measure


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("syncnet") / "syncnet.pt"


@pytest.fixture(scope="module")
def towers(file):
    return save_towers(file)


@pytest.fixture(scope="module")
def network(file, towers):
    return load_syncnet(file)


def clip(frames=12, seconds=None):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (frames, 224, 224, 3), dtype=np.uint8)
    return pictures, rng.normal(size=round((seconds or frames / 25) * 16_000)) * 0.1


def test_a_clip_is_measured_window_by_window(network, towers):
    pictures, sound = clip()
    found = measure(network, pictures, sound)
    coefficients = torch.from_numpy(cepstra(sound).T.copy())
    with torch.no_grad():
        lip_vectors, sound_vectors = (
            torch.cat([tower(i) for i in range(7)]).numpy()
            for tower in (
                lambda i: towers.forward_lip(
                    torch.from_numpy(pictures[None, i : i + 5, ..., ::-1].copy())
                    .permute(0, 4, 1, 2, 3)
                    .float()
                ),
                lambda i: towers.forward_aud(coefficients[None, None, :, 4 * i : 4 * i + 20]),
            )
        )
    expected = sync_error(lip_vectors, sound_vectors)
    assert found.distance == pytest.approx(expected.distance, rel=1e-5)
    assert found.confidence == pytest.approx(expected.confidence, rel=1e-4)
    assert found.offset == expected.offset


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


def test_the_published_weights_alone_are_refused(tmp_path):
    path = tmp_path / "syncnet_v2.model"
    torch.save(Towers().state_dict(), path, _use_new_zipfile_serialization=False)
    with pytest.raises(BadInputError, match=r"syncnet_v2\.model holds weights alone") as caught:
        load_syncnet(path)
    assert "docs/weights.md" in caught.value.hint


def test_a_file_of_another_network_is_refused(tmp_path):
    path = tmp_path / "other.pt"
    torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)).save(str(path))
    with pytest.raises(BadInputError, match=r"other\.pt has no method 'forward_aud'"):
        load_syncnet(path)


def test_towers_of_unequal_size_are_refused(tmp_path):
    save_towers(tmp_path / "unequal.pt", lips=8)
    with pytest.raises(BadInputError, match=r"\(1, 16\) for sound and \(1, 8\) for lips"):
        load_syncnet(tmp_path / "unequal.pt")


def test_the_file_is_found_in_the_folder_of_weights(file, towers, monkeypatch):
    monkeypatch.setenv("GAUSSIANSPEECH_WEIGHTS", str(file.parent))
    assert measure(load_syncnet(), *clip()).distance > 0


def test_without_a_file_it_says_where_it_goes(tmp_path, monkeypatch):
    monkeypatch.setenv("GAUSSIANSPEECH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingDependencyError) as caught:
        load_syncnet()
    assert str(tmp_path / "syncnet.pt") in caught.value.hint
    assert "syncnet_v2.model" in caught.value.hint
    with pytest.raises(BadInputError, match=r"no file .*none\.pt"):
        load_syncnet(tmp_path / "none.pt")
