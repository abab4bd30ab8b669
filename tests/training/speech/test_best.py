# SPDX-License-Identifier: GPL-3.0-or-later
"""A model and the encoder that was tuned with it: a reader finds one pair or the other."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors import SafetensorError
from transformers import Wav2Vec2Config, Wav2Vec2Model

from engine.core import platforms
from engine.core.errors import BadInputError
from engine.motion.encoders.wav2vec2 import Wav2Vec2Encoder, encoder_digest, load_wav2vec2
from engine.motion.model.checkpoint import load_model
from engine.motion.model.config import STARTER, for_head
from engine.motion.model.loaded import loaded_model
from engine.motion.model.network import SpeechModel
from training.speech import best
from training.speech.best import save_with_encoder


def _encoder(seed):
    torch.manual_seed(seed)
    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_kernel=(10, 8),
        conv_stride=(5, 64),
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    return Wav2Vec2Encoder(Wav2Vec2Model(config), normalise=True)


def _model(head, encoder):
    small = replace(
        STARTER,
        encoder="wav2vec2",
        features=encoder.size,
        feature_rate=encoder.rate,
        feature_start=encoder.start,
        dimension=16,
        heads=2,
        feed_forward=16,
    )
    return SpeechModel(for_head(small, head))


def _save(path, head, seed):
    encoder = _encoder(seed)
    save_with_encoder(path, _model(head, encoder), head, f"model {seed}", {}, encoder)
    return encoder


def _weights(encoder):
    return encoder.network.feature_projection.projection.weight


def test_the_pair_that_is_saved_is_the_pair_that_is_read(head, tmp_path):
    path = tmp_path / "m.safetensors"
    for seed in (1, 2):
        encoder = _save(path, head, seed)
        loaded = loaded_model(path, head)
        assert loaded.trained.name == f"model {seed}"
        torch.testing.assert_close(_weights(loaded.encoder), _weights(encoder))
        assert len(list(tmp_path.glob("*.wav2vec2"))) == 1


def test_an_encoder_that_changed_beside_its_model_is_not_used(head, tmp_path):
    path = tmp_path / "m.safetensors"
    _save(path, head, 1)
    loaded = loaded_model(path, head)
    _encoder(2).save(loaded.trained.model.config.encoder_source)
    with pytest.raises(BadInputError, match=r"m\.safetensors was trained with"):
        loaded_model(path, head)


def test_an_encoder_of_a_folder_of_its_own_is_read_again_when_it_changes(head, tmp_path):
    from engine.motion.model.checkpoint import save_model

    path, folder = tmp_path / "m.safetensors", tmp_path / "encoder"
    for seed in (1, 2):
        encoder = _encoder(seed)
        encoder.save(folder)
        if seed == 1:
            save_model(path, _model(head, encoder), head, "m", encoder_source=str(folder))
        torch.testing.assert_close(_weights(loaded_model(path, head).encoder), _weights(encoder))


@pytest.mark.parametrize("broken", ["save_model", "_remove_others"])
def test_a_save_that_breaks_off_leaves_a_pair(head, tmp_path, monkeypatch, broken):
    path = tmp_path / "m.safetensors"
    first = _save(path, head, 1)

    def fail(*_args, **_options):
        raise OSError("no space left on device")

    monkeypatch.setattr(best, broken, fail)
    with pytest.raises(OSError, match="no space"):
        _save(path, head, 2)
    loaded = loaded_model(path, head)
    expected = (1, first) if broken == "save_model" else (2, _encoder(2))
    assert loaded.trained.name == f"model {expected[0]}"
    torch.testing.assert_close(_weights(loaded.encoder), _weights(expected[1]))
    left = 1 if broken == "save_model" else 2
    assert len(list(tmp_path.glob("*.wav2vec2"))) == left


def test_a_full_disk_is_said_of_an_encoder_in_a_line(head, tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise SafetensorError(
            "Error while serializing: I/O error: No space left on device (os error 28)"
        )

    encoder = _encoder(1)
    monkeypatch.setattr(type(encoder.network), "save_pretrained", full)
    with pytest.raises(BadInputError, match=r"m\.safetensors cannot be written: the disk is full"):
        save_with_encoder(tmp_path / "m.safetensors", _model(head, encoder), head, "m", {}, encoder)
    assert not list(tmp_path.iterdir())


def test_the_rest_of_a_broken_removal_is_replaced(head, tmp_path):
    path = tmp_path / "m.safetensors"
    _save(path, head, 1)
    (folder,) = tmp_path.glob("*.wav2vec2")
    (folder / "model.safetensors").unlink()
    _save(path, head, 1)
    assert load_wav2vec2(load_model(path, head).model.config.encoder_source).size == 16


def test_another_models_encoder_is_left_alone(head, tmp_path):
    _save(tmp_path / "m-2.safetensors", head, 1)
    _save(tmp_path / "m.safetensors", head, 2)
    _save(tmp_path / "m.safetensors", head, 3)
    assert loaded_model(tmp_path / "m-2.safetensors", head).trained.name == "model 1"
    assert len(list(tmp_path.glob("*.wav2vec2"))) == 2


def test_an_encoder_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    folder = tmp_path / "encoder"
    _encoder(1).save(folder)
    before = encoder_digest(folder)
    real = platforms.replace

    def fail(source, target):
        if source.name == "model":
            raise OSError("no space left on device")
        real(source, target)

    monkeypatch.setattr(platforms, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        _encoder(2).save(folder)
    assert encoder_digest(folder) == before


def test_a_pair_can_be_copied_elsewhere(head, tmp_path):
    (tmp_path / "here").mkdir()
    _save(tmp_path / "here" / "m.safetensors", head, 1)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    shutil.rmtree(tmp_path / "here")
    assert loaded_model(tmp_path / "there" / "m.safetensors", head).trained.name == "model 1"
