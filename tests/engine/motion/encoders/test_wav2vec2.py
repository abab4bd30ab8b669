# SPDX-License-Identifier: GPL-3.0-or-later
"""wav2vec 2.0 with small random weights, against transformers' own network and processor."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Model,
)

from engine.audio.loading import SAMPLE_RATE, speech_from_samples
from engine.core.errors import BadInputError, GaussianSpeechError, MissingDependencyError
from engine.motion.encoders import wav2vec2
from engine.motion.encoders.registry import load_encoder
from engine.motion.encoders.wav2vec2 import load_wav2vec2
from tests.training.speech.recordings import write_wav2vec2

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


def _config(**changes):
    return Wav2Vec2Config(**(SMALL | changes))


@pytest.fixture(scope="module", params=["group", "layer"])
def folder(request, tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp(request.param)
    large = request.param == "layer"
    model = Wav2Vec2Model(
        _config(feat_extract_norm=request.param, do_stable_layer_norm=large, conv_bias=large)
    )
    for layer in model.feature_extractor.conv_layers:
        if hasattr(layer, "layer_norm"):
            torch.nn.init.normal_(layer.layer_norm.weight, 1.0, 0.2)
            torch.nn.init.normal_(layer.layer_norm.bias, 0.0, 0.2)
    model.save_pretrained(path)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(path)
    return path


def _speech(seconds, seed=0):
    rng = np.random.default_rng(seed)
    count = round(seconds * SAMPLE_RATE)
    loudness = 0.1 + 0.3 * np.abs(np.sin(np.arange(count) / 3000))
    samples = (rng.normal(size=count) * loudness + 0.05).astype(np.float32)
    return speech_from_samples(samples, SAMPLE_RATE)


def _reference(folder, speech):
    """What transformers itself makes of the clip, in one pass."""
    processor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    inputs = processor(speech.samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
    with torch.inference_mode():
        return Wav2Vec2Model.from_pretrained(folder).eval()(**inputs).last_hidden_state[0].numpy()


@pytest.mark.parametrize("seconds", [0.2, 0.521, 3.0])
def test_a_clip_of_one_window_is_encoded_as_transformers_does(folder, seconds):
    speech = _speech(seconds)
    features = load_wav2vec2(folder).encode(speech)
    expected = _reference(folder, speech)
    assert features.values.shape == expected.shape
    np.testing.assert_allclose(features.values, expected, atol=2e-5)


def test_normalisation_is_the_processors(folder):
    speech = _speech(1.3)
    processor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    expected = processor(speech.samples, sampling_rate=SAMPLE_RATE)["input_values"][0]
    np.testing.assert_allclose(load_wav2vec2(folder).prepared(speech.samples), expected, atol=1e-5)


@pytest.mark.parametrize("samples", [400, 719, 720, 16_000, 16_001, 33_333])
def test_the_number_of_features_is_transformers_own(folder, samples):
    encoder = load_wav2vec2(folder)
    expected = encoder.network._get_feat_extract_output_lengths(torch.tensor(samples))
    assert encoder.count(samples) == int(expected)


def test_features_come_50_times_a_second_from_the_middle_of_their_window(folder):
    encoder = load_wav2vec2(folder)
    assert encoder.rate == 50.0
    assert encoder.start == pytest.approx(0.0125)


def test_convolutional_features_of_a_chunk_are_those_of_the_whole_clip(folder):
    encoder = load_wav2vec2(folder)
    samples = torch.from_numpy(encoder.prepared(_speech(4.0).samples))
    with torch.inference_mode():
        whole = encoder.network.feature_extractor(samples[None]).transpose(1, 2)
        chunk = encoder._convolved(samples, 70, 110, encoder._statistics(samples))
    torch.testing.assert_close(chunk, whole[:, 70:110], atol=1e-5, rtol=1e-4)


def test_the_statistics_do_not_depend_on_the_chunks(folder, monkeypatch):
    encoder = load_wav2vec2(folder)
    samples = torch.from_numpy(encoder.prepared(_speech(3.0).samples))
    with torch.inference_mode():
        whole = encoder._statistics(samples)
        monkeypatch.setattr(wav2vec2, "WINDOW", 0.3)
        chunks = encoder._statistics(samples)
    if whole is None:
        assert chunks is None
        return
    for ours, theirs in zip(chunks, whole, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_windows_cover_a_long_clip_once(folder):
    encoder = load_wav2vec2(folder)
    for total in (10, 799, 800, 801, 900, 901, 5000):
        windows = list(encoder._windows(total))
        covered = [i for first, _, _, last in windows for i in range(first, last)]
        assert covered == list(range(total))
        assert all(start <= first < last <= stop for first, start, stop, last in windows)


def test_windows_of_a_long_clip_stay_close_to_the_single_pass(folder, monkeypatch):
    monkeypatch.setattr(wav2vec2, "WINDOW", 2.0)
    monkeypatch.setattr(wav2vec2, "CONTEXT", 1.0)
    speech = _speech(7.0)
    features = load_wav2vec2(folder).encode(speech).values
    expected = _reference(folder, speech)
    assert features.shape == expected.shape
    # Attention over 4 s instead of 7 s: near, not equal.
    assert np.abs(features - expected).mean() < 0.1 * np.abs(expected).mean()


def test_the_convolutions_are_frozen_and_the_rest_is_not(folder):
    encoder = load_wav2vec2(folder).train()
    encoder(torch.randn(1, 3200)).sum().backward()
    network = encoder.network
    assert all(p.grad is None for p in network.feature_extractor.parameters())
    assert network.feature_projection.projection.weight.grad is not None


def test_it_is_found_by_id(folder):
    assert load_encoder("wav2vec2", str(folder)).size == 16


def test_weights_that_are_not_here_tell_how_to_get_them(monkeypatch, tmp_path):
    with pytest.raises(MissingDependencyError, match="hf download some/where"):
        load_wav2vec2("some/where")


def test_an_empty_folder_tells_what_it_needs(tmp_path):
    with pytest.raises(MissingDependencyError, match=r"model\.safetensors"):
        load_wav2vec2(tmp_path)


def test_another_sample_rate_is_refused(tmp_path):
    Wav2Vec2Model(_config()).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor(sampling_rate=8000).save_pretrained(tmp_path)
    with pytest.raises(BadInputError, match="8000 Hz"):
        load_wav2vec2(tmp_path)


def _between(folder, speech, rate):
    """Transformers' own blocks, with features at straight lines' places between the two."""
    processor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    samples = processor(speech.samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
    network = Wav2Vec2Model.from_pretrained(folder).eval()
    with torch.inference_mode():
        convolved = network.feature_extractor(samples["input_values"]).transpose(1, 2)[0].numpy()
        times = 0.0125 + np.arange(len(convolved)) / 50.0
        frames = np.arange(int(times[-1] * rate + 1e-9) + 1) / rate
        weights = 1 - np.abs(frames[:, None] - (0.0125 + np.arange(-3, len(convolved) + 3) / 50))
        weights = np.maximum(1 - (1 - weights) * min(rate, 50.0), 0)
        padded = np.pad(convolved, ((3, 3), (0, 0)), mode="edge")
        between = weights @ padded / weights.sum(axis=1, keepdims=True)
        hidden, _ = network.feature_projection(torch.from_numpy(between[None]).float())
        return network.encoder(hidden).last_hidden_state[0].numpy()


@pytest.mark.parametrize("rate", [25.0, 30.0, 60.0])
def test_features_are_interpolated_between_the_convolutions_and_the_transformer(folder, rate):
    speech = _speech(2.0)
    encoder = load_wav2vec2(folder, rate)
    made = encoder.encode(speech)
    expected = _between(folder, speech, rate)
    assert (made.rate, made.start) == (rate, 0.0)
    assert len(made.values) == len(expected) == encoder.count(len(speech.samples))
    assert abs(len(expected) - 2 * rate) <= rate / 50
    np.testing.assert_allclose(made.values, expected, atol=5e-5)
    with torch.no_grad():
        trained = encoder(encoder.prepared_batch(torch.from_numpy(speech.samples)[None]))[0]
    np.testing.assert_allclose(trained.numpy(), expected, atol=5e-5)
    afterwards = load_wav2vec2(folder).encode(speech).values[:: 50 // 25][: len(expected)]
    assert rate != 25.0 or np.abs(afterwards - expected).mean() > 1e-3


def test_windows_at_another_rate_are_those_of_the_whole_clip(folder, monkeypatch):
    encoder, speech = load_wav2vec2(folder, 30.0), _speech(5.0)
    samples = torch.from_numpy(encoder.prepared(speech.samples))
    with torch.inference_mode():
        statistics = encoder._statistics(samples)
        whole = encoder._inputs(samples, 0, encoder.count(len(samples)), statistics)
        parts = [
            encoder._inputs(samples, i, min(i + 37, 150), statistics) for i in (0, 37, 74, 111)
        ]
    torch.testing.assert_close(torch.cat(parts, dim=1)[:, :148], whole[:, :148], atol=1e-5, rtol=0)


def _published(name):
    """A key as facebook/wav2vec2-base-960h has it: written before torch's parametrizations."""
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        name = name.replace(f"parametrizations.weight.{new}", old)
    return name


def test_every_key_of_the_published_layout_is_loaded(tmp_path):
    with torch.device("meta"):
        base = Wav2Vec2ForCTC(Wav2Vec2Config())
    small = Wav2Vec2ForCTC(_config(num_hidden_layers=12))
    state = {_published(name): torch.randn_like(v) for name, v in small.state_dict().items()}
    del state["wav2vec2.masked_spec_embed"]  # As that checkpoint does.
    published = {_published(name) for name in base.state_dict()} - {"wav2vec2.masked_spec_embed"}
    assert set(state) == published
    assert len(published) == 212
    small.save_pretrained(tmp_path)
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    loaded = load_wav2vec2(tmp_path, 30.0).network.state_dict()
    for name, value in loaded.items():
        if name != "masked_spec_embed":
            torch.testing.assert_close(value, state["wav2vec2." + _published(name)], atol=0, rtol=0)


def test_missing_weights_are_never_drawn_at_random(folder, tmp_path):
    Wav2Vec2Model.from_pretrained(folder).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["encoder.layers.1.attention.k_proj.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInputError, match=r"lacks 1 weights.*encoder\.layers\.1\.attention"):
        load_wav2vec2(tmp_path)


def _with_config(**changes):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def _with_weights(make):
    def change(folder):
        tensors = load_file(folder / "model.safetensors")
        save_file(tensors | make(tensors), folder / "model.safetensors", {"format": "pt"})

    return change


def _cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])


NORM = "encoder.layer_norm.bias"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "lacks config.json"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "lacks preprocessor"),
        (lambda folder: (folder / "model.safetensors").unlink(), "lacks model.safetensors"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "cannot be read"),
        (_with_config(hidden_size="many"), "cannot be read"),
        (_with_config(hidden_size=-4), "cannot be read"),
        (_with_config(conv_stride=[5, 2]), "cannot be read"),
        (_with_config(model_type="bert"), "is a model of type 'bert'"),
        (_cut, "cannot be read"),
        (_with_weights(lambda _: {NORM: torch.zeros(1, 2, 3)}), "cannot be read"),
        (_with_weights(lambda t: {NORM: t[NORM] * math.nan}), f"infinite, such as {NORM}"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_line(tmp_path, capfd, spoil, said):
    write_wav2vec2(tmp_path / "weights")
    spoil(tmp_path / "weights")
    capfd.readouterr()
    with pytest.raises(GaussianSpeechError, match="weights") as caught:
        load_wav2vec2(tmp_path / "weights")
    assert said in str(caught.value)
    assert not any(capfd.readouterr())


def test_surplus_weights_are_of_another_task(tmp_path, capfd):
    write_wav2vec2(tmp_path / "weights")
    _with_weights(lambda _: {"lm_head.weight": torch.zeros(3, 16)})(tmp_path / "weights")
    capfd.readouterr()
    load_wav2vec2(tmp_path / "weights")
    assert not any(capfd.readouterr())


@pytest.mark.parametrize("source", ["nowhere", "file.txt"])
def test_a_path_that_is_no_folder_is_not_looked_for_elsewhere(tmp_path, source):
    (tmp_path / "file.txt").write_text("no weights")
    with pytest.raises(GaussianSpeechError, match="There is no folder") as caught:
        load_wav2vec2(tmp_path / source)
    assert "hf download" not in caught.value.hint
