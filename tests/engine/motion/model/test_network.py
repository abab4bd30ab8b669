# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocks of section 4.2 against slow, obvious oracles."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from engine.core.errors import BadInputError
from engine.motion.encoders.interpolation import FrequencyInterpolation
from engine.motion.model.attention import AlignedAttention, WindowAttention
from engine.motion.model.config import PRESETS, STARTER, SpeechModelConfig
from engine.motion.model.network import SpeechModel

SMALL = replace(
    STARTER,
    features=7,
    dimension=16,
    heads=2,
    feed_forward=32,
    past=5,
    lip_vertices=4,
    wrinkles=3,
    expressions=6,
    components=6,
    vertices=9,
    dropout=0.0,
)


def _model(**changes):
    torch.manual_seed(0)
    model = SpeechModel(replace(SMALL, **changes)).eval()
    nn.init.normal_(model.mapper.weights.weight)
    return model


def _dense_oracle(attention, x, memory):
    """The same attention over all keys at once, with everything outside the window masked."""
    B, n, d = x.shape
    m, H = memory.shape[1], attention.heads

    def split(y):
        return y.view(B, -1, H, d // H).transpose(1, 2)

    q, k = split(attention.query(x)), split(attention.key(memory))
    v = split(attention.value(memory))
    scores = q @ k.transpose(-1, -2) / (d // H) ** 0.5
    for i in range(n):
        for j in range(m):
            slot = j - i + attention.past
            inside = 0 <= slot <= attention.past + attention.ahead
            scores[:, :, i, j] += attention.bias[:, slot] if inside else float("-inf")
    mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, n, d)
    return attention.out(mixed)


@pytest.mark.parametrize(("past", "ahead"), [(5, 2), (0, 0), (3, 0), (200, 7)])
@pytest.mark.parametrize("frames", [1, 2, 63, 64, 65, 150])
def test_window_attention_is_masked_attention(past, ahead, frames):
    torch.manual_seed(1)
    attention = WindowAttention(8, 2, past, ahead)
    nn.init.normal_(attention.bias)
    x = torch.randn(2, frames, 8)
    torch.testing.assert_close(
        attention(x, x), _dense_oracle(attention, x, x), atol=1e-5, rtol=1e-5
    )


def test_window_attention_has_finite_gradients_beside_its_padding():
    attention = WindowAttention(8, 2, 3, 1)
    x = torch.randn(1, 65, 8, requires_grad=True)
    attention(x, x).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(attention.bias.grad).all()


def test_aligned_attention_is_cross_attention_under_a_diagonal_mask():
    torch.manual_seed(2)
    full = nn.MultiheadAttention(16, 4, batch_first=True)
    nn.init.normal_(full.in_proj_bias)
    nn.init.normal_(full.out_proj.bias)
    aligned = AlignedAttention(16)
    with torch.no_grad():
        aligned.value.weight.copy_(full.in_proj_weight[32:])
        aligned.value.bias.copy_(full.in_proj_bias[32:])
        aligned.out.weight.copy_(full.out_proj.weight)
        aligned.out.bias.copy_(full.out_proj.bias)
    motion, audio = torch.randn(2, 30, 16), torch.randn(2, 30, 16)
    elsewhere = ~torch.eye(30, dtype=torch.bool)
    expected, _ = full(motion, audio, audio, attn_mask=elsewhere)
    torch.testing.assert_close(aligned(audio), expected, atol=1e-6, rtol=1e-5)


def test_the_decoder_never_looks_ahead():
    model = _model()
    m, audio = torch.randn(1, 20, 32), torch.randn(1, 20, 16)
    other = m.clone()
    other[:, 12:] += 1.0
    before, after = model.decoder(m, audio), model.decoder(other, audio)
    torch.testing.assert_close(before[:, :12], after[:, :12], atol=0, rtol=0)
    assert (before[:, 12:] - after[:, 12:]).abs().amax(dim=-1).min() > 1e-4


@pytest.mark.parametrize(
    "changes",
    [{}, {"alignment_mask": False}, {"wrinkle_features": False}, {"motion_memory": True}],
)
def test_a_frame_depends_on_its_look_ahead_and_nothing_later(changes):
    model = _model(feature_rate=50.0, feature_start=0.0, **changes)
    features = torch.randn(1, 60, 7, requires_grad=True)
    frame = 30
    model(features, 60).weights[0, frame].sum().backward()
    reached = features.grad[0].abs().sum(dim=-1)
    assert reached[frame + model.config.look_ahead] > 0
    assert (reached[frame + model.config.look_ahead + 1 :] == 0).all()


def test_a_frame_depends_on_a_bounded_past():
    model = _model(feature_rate=50.0, feature_start=0.0)
    config = model.config
    features = torch.randn(1, 80, 7, requires_grad=True)
    model(features, 80).weights[0, 79].sum().backward()
    layers = config.encoder_layers + config.decoder_layers
    assert (features.grad[0, : 80 - layers * config.past - 1] == 0).all()


def test_frequency_interpolation_is_linear_on_the_way_up():
    interpolation = FrequencyInterpolation(20.0, 0.0, 60.0)
    ramp = torch.arange(30.0)[None, :, None]
    expected = torch.arange(80) / 3.0
    torch.testing.assert_close(interpolation(ramp, 80)[0, :, 0], expected)


def test_frequency_interpolation_keeps_the_time_of_the_features_on_the_way_down():
    interpolation = FrequencyInterpolation(100.0, 0.005, 25.0)
    times = (0.005 + torch.arange(400) / 100.0)[None, :, None]
    inner = interpolation(times, 100)[0, 2:-2, 0]
    torch.testing.assert_close(inner, torch.arange(2, 98) / 25.0, atol=1e-5, rtol=1e-5)


def test_frequency_interpolation_goes_on_with_the_first_and_last_feature():
    interpolation = FrequencyInterpolation(100.0, 0.005, 50.0)
    features = torch.full((1, 10, 1), 3.0)
    torch.testing.assert_close(interpolation(features, 40), torch.full((1, 40, 1), 3.0))


def test_the_default_style_changes_nothing():
    model = _model()
    features = torch.randn(1, 50, 7)
    plain = model(features, 25).weights
    torch.testing.assert_close(model(features, 25, torch.zeros(1, 2)).weights, plain)
    assert (model(features, 25, torch.ones(1, 2)).weights - plain).abs().max() > 1e-3


def test_without_wrinkle_features_there_is_no_wrinkle_encoder():
    model = _model(wrinkle_features=False)
    assert model.wrinkle_encoder is None
    assert model(torch.randn(1, 20, 7), 10).wrinkles is None


def test_the_autoregressive_variant_takes_in_the_frame_before():
    model = _model(autoregressive=True)
    features = torch.randn(1, 50, 7)
    silent, moved = torch.zeros(1, 25, 6), torch.zeros(1, 25, 6)
    moved[:, 9] = 1.0
    plain = model(features, 25, truth=silent).weights
    after = model(features, 25, truth=moved).weights
    torch.testing.assert_close(plain[:, :10], after[:, :10])
    assert (plain - after)[:, 10].abs().max() > 1e-4


def test_offsets_are_weights_times_a_learned_basis():
    model = _model(learned_basis=True)
    nn.init.normal_(model.mapper.basis)
    weights = torch.randn(1, 4, 6)
    expected = (weights.reshape(4, 6) @ model.mapper.basis.reshape(6, 27)).view(1, 4, 9, 3)
    torch.testing.assert_close(model.mapper.offsets(weights), expected)


def test_an_untrained_model_rests():
    torch.manual_seed(0)
    model = SpeechModel(SMALL).eval()
    assert model(torch.randn(1, 100, 7), 50).weights.abs().max() < 0.2


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_survive_json(name):
    config = PRESETS[name]
    assert SpeechModelConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_wait_less_than_300_ms(name):
    assert PRESETS[name].delay < 0.3


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"heads": 3}, "heads"),
        ({"dimension": 0}, "dimension"),
        ({"past": -1}, "past"),
        ({"dropout": 1.5}, "dropout"),
        ({"motion_rate": 0.0}, "motion_rate"),
    ],
)
def test_impossible_sizes_are_refused_by_name(changes, named):
    with pytest.raises(BadInputError, match=named):
        replace(SMALL, **changes)


def test_unknown_entries_are_refused_by_name():
    with pytest.raises(BadInputError, match="velocity"):
        SpeechModelConfig.from_dict({"velocity": 3})


def test_lips_are_fed_back_as_they_were_predicted():
    model = _model(ahead=0, lip_feedback=True)
    encoder = model.lip_encoder
    a = torch.randn(2, 17, 16)
    fed, expected = torch.zeros(2, 17, 16), None
    for i in range(17):
        # All frames from the start for each one, without a cache.
        x = encoder.project(a[:, : i + 1]) + fed[:, : i + 1]
        for layer in encoder.layers:
            x = layer(x)
        expected = encoder.norm(x)
        if i < 16:
            fed[:, i + 1] = encoder.feedback(encoder.lips(expected[:, i]))
    torch.testing.assert_close(encoder(a), expected, atol=1e-5, rtol=1e-5)


def test_lips_that_are_fed_back_have_no_frames_ahead():
    with pytest.raises(BadInputError, match="lip_feedback with ahead"):
        replace(SMALL, lip_feedback=True)


def test_fed_back_lips_teach_through_all_frames():
    model = _model(ahead=0, lip_feedback=True).train()
    a = torch.randn(1, 12, 16, requires_grad=True)
    model.lip_encoder.lip_offsets(model.lip_encoder(a))[0, 11].sum().backward()
    assert (a.grad[0].abs().sum(-1) > 0).all()


def _decoded(model, m):
    return model.decoder(m, torch.randn(1, m.shape[1], 16))


def test_motion_that_is_fused_in_is_all_that_the_decoder_knows():
    model = _model(motion_memory=True)
    m = torch.randn(1, 6, 32)
    torch.testing.assert_close(_decoded(model, m), _decoded(model, m), atol=0, rtol=0)
    # All frames begin alike: what makes them differ is m alone.
    alike = _decoded(model, m[:, :1].expand(-1, 6, -1))
    torch.testing.assert_close(alike, alike[:, :1].expand(-1, 6, -1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("aligned", [True, False])
def test_without_the_alignment_mask_no_frame_knows_which_motion_is_its_own(aligned):
    model = _model(motion_memory=True, alignment_mask=aligned, decoder_layers=1)
    m = torch.randn(1, 6, 32)
    shuffled = m[:, torch.tensor([3, 5, 0, 4, 1, 2])]
    change = (_decoded(model, m) - _decoded(model, shuffled))[0, 5].abs().max()
    assert (change > 1e-2) == aligned


def test_in_stages_no_loss_reaches_the_parts_before():
    model = _model(ahead=0, staged=True)
    features = torch.randn(1, 30, 7)
    parts = ("lip_encoder", "wrinkle_encoder", "expression_encoder", "decoder")
    reached = []
    for prediction in ("lips", "wrinkles", "expression", "weights"):
        model.zero_grad(set_to_none=True)
        getattr(model(features, 15), prediction).sum().backward()
        got = [any(p.grad is not None for p in getattr(model, part).parameters()) for part in parts]
        reached.append([part for part, learns in zip(parts, got, strict=True) if learns])
    assert reached == [[part] for part in parts]


def test_the_papers_preset_is_the_papers_way():
    paper = PRESETS["paper"]
    assert paper.staged
    assert paper.lip_feedback
    assert paper.motion_memory
    assert paper.inner_interpolation
    assert paper.look_ahead == 0
    assert paper.motion_rate == paper.inner_rate == 30.0
    switched = {"without_alignment_mask": "alignment_mask"}
    switched |= {"without_audio_finetuning": "finetune_audio"}
    switched |= {"without_wrinkle_features": "wrinkle_features"}
    for name, switch in switched.items():
        assert PRESETS[name] == replace(paper, **{switch: False})
