# SPDX-License-Identifier: GPL-3.0-or-later
"""FaceFormer, CodeTalker and Imitator learn, are resumed, and animate as any model does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.core.errors import BadInputError, CancelledError
from engine.motion.encoders.base import AudioFeatures
from engine.motion.model import architectures
from engine.motion.model.checkpoint import load_model
from engine.motion.model.config import for_head
from engine.motion.model.inference import infer
from engine.motion.performance import Performance
from tests.training.speech.recordings import write_recordings
from training.cli import main
from training.speech.baselines import BASELINES
from training.speech.baselines.aligned_decoder import AlignedDecoder
from training.speech.baselines.codetalker import PRIOR, SPEECH
from training.speech.config import TrainingConfig
from training.speech.personal import SCRATCH, PersonalTraining, train_personal
from training.speech.presets import NEW_MODELS

SMALL = {
    "dimension": 16,
    "heads": 2,
    "feed_forward": 16,
    "components": 6,
    "expression_layers": 1,
    "decoder_layers": 1,
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name in BASELINES:
        monkeypatch.setitem(NEW_MODELS, name, replace(NEW_MODELS[name], **SMALL))


def _plan(folder, name, steps=40):
    training = TrainingConfig(
        steps=steps,
        batch=2,
        frames=12,
        warm_up=2,
        validate_every=10,
        # At the larger rate FaceFormer's outcome depends on rounding, at the smaller Imitator's.
        learning_rate=2e-2 if name == "imitator" else 1e-2,
        feature_noise=0.0,
        patience=99,
    )
    return PersonalTraining(
        folder / "data",
        folder / "run",
        start=SCRATCH,
        preset=name,
        encoder="phonetic",
        training=training,
    )


def _network(head, name):
    torch.manual_seed(0)
    config = for_head(NEW_MODELS[name], head)
    sizes = {"features": 81, "feature_rate": 100.0, "inner_interpolation": False}
    model = architectures.build(replace(config, dropout=0.0, motion_rate=25.0, **sizes)).eval()
    torch.nn.init.normal_(model.mapper.basis, std=1e-3)
    return model


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_learns_and_animates(head, tmp_path, name):
    write_recordings(tmp_path / "data", head, "vertices")
    outcome = train_personal(_plan(tmp_path, name))
    assert outcome.after < 0.9 * outcome.before
    assert outcome.test is not None
    model = load_model(outcome.model, head).model
    assert (model.config.architecture, model.config.motion_rate) == (name, 25.0)
    words = ["animate", str(tmp_path / "data" / "c0.wav"), "--out", str(tmp_path / "talk")]
    assert main([*words, "--speech-model", str(outcome.model)]) == 0
    made = Performance.load(tmp_path / "talk" / "c0.performance.npz")
    assert made.vertex_count == head.vertex_count
    assert np.ptp(made.weights, axis=0).max() > 0


@pytest.mark.parametrize("name", ["codetalker", "imitator"])
def test_a_broken_training_in_stages_resumes_to_the_same_losses(head, tmp_path, name):
    write_recordings(tmp_path / "data", head, "vertices")
    plan = _plan(tmp_path, name, steps=8)
    whole = train_personal(replace(plan, out=tmp_path / "whole"))

    def stop(step):
        if step.number == 3:
            raise CancelledError

    with pytest.raises(CancelledError):
        train_personal(plan, watch=stop)
    resumed = train_personal(plan)
    assert (resumed.before, resumed.after) == (whole.before, whole.after)


@pytest.mark.parametrize("name", ["faceformer", "imitator"])
def test_frames_follow_from_those_before_and_the_audio_of_their_own_time(head, name):
    model = _network(head, name)
    features = torch.randn(1, 80, 81)
    later = features.clone()
    later[:, 50:] += 3.0
    with torch.no_grad():
        ours, theirs = model(features, 20).weights, model(later, 20).weights
    changed = (ours - theirs)[0].abs().amax(dim=-1)
    assert (changed[:11] == 0).all()
    assert changed[13:].max() > 1e-6


@pytest.mark.parametrize("name", BASELINES)
def test_any_frame_rate_gives_its_frames(head, name):
    model = _network(head, name)
    clip = AudioFeatures(np.zeros((100, 81), np.float32), 100.0, model.config.feature_start, 1.0)
    made = infer(model, clip, 30.0)
    assert (len(made.weights), made.expression.shape) == (30, (30, len(head.expression_names)))


def test_the_decoders_masks_are_those_of_faceformer(head):
    changes = {"motion_rate": 5.0, "inner_interpolation": False, "dropout": 0.0}
    config = replace(for_head(NEW_MODELS["faceformer"], head), **changes)
    torch.manual_seed(1)
    decoder = AlignedDecoder(config).eval()
    x, audio = torch.randn(2, 12, 16), torch.randn(2, 14, 16)
    taken = {}

    def keep(_module, _given, options):
        taken.update(options)

    decoder.layers.layers[0].self_attn.register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        decoder(x, audio)
    mask = taken["attn_mask"].view(2, 2, 12, 12)
    for h, slope in enumerate((2.0**-4, 2.0**-8)):
        for i in range(12):
            expected = [-(((i - j) // 5) * slope) if j <= i else -np.inf for j in range(12)]
            np.testing.assert_allclose(mask[1, h, i].numpy(), expected, rtol=1e-6)


def test_imitators_decoder_has_neither_periods_nor_a_bias(head):
    """Its paper's: causal, sines whose positions go on, four layers and the basis behind it."""
    changes = {"motion_rate": 5.0, "inner_interpolation": False, "dropout": 0.0}
    config = replace(for_head(NEW_MODELS["imitator"], head), **changes)
    decoder = AlignedDecoder(config, periodic=False).eval()
    taken = {}

    def keep(_module, given, options):
        taken.update(options, given=given[0])

    decoder.layers.layers[0].self_attn.register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        decoder(torch.zeros(1, 12, 16), torch.zeros(1, 12, 16))
    mask = taken["attn_mask"][0].numpy()
    np.testing.assert_array_equal(mask, np.where(np.tri(12, dtype=bool), 0.0, -np.inf))
    places = taken["given"][0].numpy()
    np.testing.assert_allclose(places[:, 0], np.sin(np.arange(12)), atol=1e-5)
    np.testing.assert_allclose(places[:, 1], np.cos(np.arange(12)), atol=1e-5)
    model = _network(head, "imitator")
    assert NEW_MODELS["imitator"].decoder_layers == 1
    assert sum(isinstance(layer, torch.nn.Linear) for layer in model.synthesis) == 4


def test_imitator_adapts_the_style_first_then_the_basis_too(head):
    first, second, third = _network(head, "imitator").stages
    assert first.weights.bilabial == 5.0
    assert first.weights.motion == second.weights.motion == third.weights.motion == 10.0
    assert second.weights.bilabial == third.weights.bilabial == 0.0
    assert (second.parts, third.parts) == (("style",), ("style", "mapper"))


def test_codetalkers_prior_is_learned_without_sound(head):
    model = _network(head, "codetalker")
    truth = torch.randn(1, 20, 6)
    model.stage = PRIOR
    loud, silent = torch.randn(1, 80, 81), torch.zeros(1, 80, 81)
    first, second = (model(f, 20, truth=truth) for f in (loud, silent))
    torch.testing.assert_close(first.weights, second.weights, atol=0, rtol=0)
    assert float(first.penalty) > 0
    model.stage = SPEECH
    assert not torch.equal(model(loud, 20).weights, model(silent, 20).weights)
    codes = model.prior.encode(truth)
    entries = model.prior.quantised(codes).view(-1, 64)
    apart = torch.cdist(codes.view(-1, 64), model.prior.entries)
    torch.testing.assert_close(entries, model.prior.entries[apart.argmin(dim=1)])


def test_imitators_adaptation_teaches_style_and_basis_alone(head, tmp_path):
    write_recordings(tmp_path / "data", head, "vertices")

    def keep(step):
        if step.number == 7:
            raise CancelledError

    plan = replace(_plan(tmp_path, "imitator", steps=10), out=tmp_path / "again")
    with pytest.raises(CancelledError):
        train_personal(plan, watch=keep)
    before = torch.load(tmp_path / "again" / "checkpoints" / "last.pt", weights_only=False)["model"]
    train_personal(plan)
    after = torch.load(tmp_path / "again" / "checkpoints" / "last.pt", weights_only=False)["model"]
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"style", "mapper"}


def test_codetalkers_prior_learns_by_absolute_distances(head):
    prior, speech = _network(head, "codetalker").stages
    assert (prior.weights.absolute, prior.weights.vertices) == (1.0, 0.0)
    assert (speech.weights.absolute, speech.weights.vertices) == (0.0, 1.0)


def test_an_architecture_that_is_not_known_is_named(head):
    config = replace(for_head(NEW_MODELS["faceformer"], head), architecture="meshtalk")
    with pytest.raises(BadInputError, match="'meshtalk'"):
        architectures.build(config)
