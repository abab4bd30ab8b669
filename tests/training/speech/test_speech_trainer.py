# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: it learns, it stops, and a broken run continues as if it had never broken."""

import errno
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from engine.core.errors import BadInputError, CancelledError, GaussianSpeechError
from engine.motion.model.checkpoint import load_model
from engine.motion.model.config import STARTER, for_head
from engine.motion.model.live import MotionStream
from engine.motion.model.network import SpeechModel
from training.run.checkpoints import STATE
from training.speech.config import TrainingConfig
from training.speech.sequences import SpeechSequence, crops
from training.speech.trainer import BEST, SpeechTrainer

QUICK = TrainingConfig(
    steps=12, batch=2, frames=30, warm_up=2, validate_every=4, learning_rate=3e-3
)


def _sequence(head, seed, frames=80):
    """A mouth that follows one feature."""
    rng = np.random.default_rng(seed)
    open_ = np.sin(np.arange(2 * frames) / 11.0 + rng.uniform(0, 6)) * 0.5 + 0.5
    features = rng.normal(size=(2, 2 * frames, 81)) * 0.1
    features[:, :, 0] = open_
    weights = np.zeros((frames, len(head.expression_names)), np.float32)
    weights[:, head.expression_index("jawOpen")] = 0.4 * open_[::2]
    return SpeechSequence(
        f"s{seed}",
        features.astype(np.float16),
        weights,
        weights.astype(np.float16),
        np.abs(rng.normal(size=(frames, 24))).astype(np.float16),
        np.zeros(2, np.float32),
    )


@pytest.fixture(scope="module")
def sequences(head):
    return [_sequence(head, seed) for seed in range(4)]


def _trainer(head, sequences, out, config=QUICK, **changes):
    torch.manual_seed(7)
    small = replace(STARTER, dimension=16, heads=2, feed_forward=16, past=6, **changes)
    model = SpeechModel(for_head(small, head))
    return SpeechTrainer(model, head, sequences[1:], sequences[:1], config, out, name="tiny")


def test_training_lowers_the_validation_lve(head, sequences, tmp_path):
    trainer = _trainer(head, sequences, tmp_path, replace(QUICK, steps=40, validate_every=20))
    before = trainer.validation_lve()
    assert trainer.run() < 0.6 * before


def test_training_in_mixed_precision_lowers_it_too(head, sequences, tmp_path):
    config = replace(QUICK, steps=40, validate_every=20, precision="bfloat16")
    trainer = _trainer(head, sequences, tmp_path, config)
    before = trainer.validation_lve()
    assert trainer.run() < 0.7 * before
    assert all(p.dtype == torch.float32 for p in trainer.model.parameters())


def test_a_broken_run_resumes_to_the_losses_of_an_unbroken_one(head, sequences, tmp_path):
    whole = _trainer(head, sequences, tmp_path / "whole")
    whole.run()

    broken = _trainer(head, sequences, tmp_path / "broken")

    def kill(_fraction, _message):
        if broken.step == 7:
            raise CancelledError

    with pytest.raises(CancelledError):
        broken.run(kill)
    torch.manual_seed(1234)
    resumed = _trainer(head, sequences, tmp_path / "broken")
    resumed.resume()
    assert resumed.step == 7
    resumed.run()
    assert losses(resumed) == losses(whole)
    for ours, theirs in zip(
        resumed.model.state_dict().values(), whole.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=0, rtol=0)


def losses(trainer):
    """The record but for the clock."""
    return [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in trainer.record.history
    ]


def test_the_same_seed_gives_the_same_model(head, sequences, tmp_path):
    first = _trainer(head, sequences, tmp_path / "a").run()
    assert _trainer(head, sequences, tmp_path / "b").run() == first


def test_training_stops_when_the_lve_stops_falling(head, sequences, tmp_path):
    config = replace(QUICK, steps=100, validate_every=1, patience=3, learning_rate=1e-12)
    trainer = _trainer(head, sequences, tmp_path, config)
    trainer.run()
    assert trainer.step < 100
    assert trainer.since_best == 3


def test_a_run_leaves_model_curves_and_settings(head, sequences, tmp_path):
    lve = _trainer(head, sequences, tmp_path).run()
    loaded = load_model(tmp_path / BEST, head)
    assert loaded.name == "tiny"
    assert loaded.notes["validation_lve_mm"] == pytest.approx(lve)
    about = json.loads((tmp_path / "config.json").read_text())
    assert about["training"]["seed"] == QUICK.seed
    with Image.open(tmp_path / "losses.png") as picture:
        assert picture.size[0] > 900
    assert (tmp_path / "losses.csv").read_text().startswith("step,")


@pytest.mark.parametrize(
    "changes",
    [{"alignment_mask": False}, {"wrinkle_features": False}, {"autoregressive": True}],
    ids=lambda changes: next(iter(changes)),
)
def test_every_ablation_trains(head, sequences, tmp_path, changes):
    trainer = _trainer(head, sequences, tmp_path, replace(QUICK, steps=3), **changes)
    assert np.isfinite(trainer.run())


def test_the_autoregressive_variant_is_validated_on_its_own_frames(head, sequences, tmp_path):
    trainer = _trainer(head, sequences, tmp_path, autoregressive=True)
    with torch.no_grad():
        trainer.model.decoder.feedback.weight.mul_(20.0)
    sequence = trainer.validation[0]
    stream = MotionStream(trainer.model.eval())
    made = [
        stream.push(sequence.feature_variants[1].astype(np.float32)),
        stream.finish(sequence.frames),
    ]
    weights = np.concatenate([frames.weights for frames in made])[: sequence.frames]
    lips = head.regions["lips"]
    off = np.einsum("tk,kvc->tvc", weights - sequence.weights, head.expression_basis[:, lips])
    expected = np.linalg.norm(off, axis=-1).max(axis=1).mean() * 1000
    assert trainer.validation_lve() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("probs", "share"), [((), 0.5), ((1.0, 3.0), 0.75), ((1.0, 0.0), 0.0)])
def test_feature_variants_are_drawn_by_their_shares(sequences, probs, share):
    marked = replace(
        sequences[0],
        feature_variants=np.stack([np.full((160, 81), way) for way in (0, 1)]).astype(np.float16),
    )
    config = replace(STARTER, expressions=52, components=52)
    batch = crops([marked], config, 400, 10, torch.Generator().manual_seed(0), probs)
    assert float(batch.features.mean()) == pytest.approx(share, abs=0.08)


def test_impossible_shares_of_variants_are_refused():
    with pytest.raises(BadInputError, match="variant_probs"):
        TrainingConfig(variant_probs=(0.0, 0.0))


def test_resuming_nothing_is_refused(head, sequences, tmp_path):
    with pytest.raises(BadInputError, match="no run to resume"):
        _trainer(head, sequences, tmp_path).resume()


def test_resuming_with_other_settings_is_refused(head, sequences, tmp_path):
    _trainer(head, sequences, tmp_path).run()
    other = _trainer(head, sequences, tmp_path, replace(QUICK, batch=3))
    with pytest.raises(BadInputError, match="other settings"):
        other.resume()


def test_sequences_of_another_encoder_are_refused_by_name(head, sequences, tmp_path):
    features = np.zeros((1, 160, 20), np.float16)
    with pytest.raises(BadInputError, match=r"s2 has audio features of size 20.*81"):
        _trainer(head, [*sequences[:2], replace(sequences[2], feature_variants=features)], tmp_path)


def test_motion_of_another_rate_is_refused_by_name(head, sequences, tmp_path):
    short = replace(
        sequences[2],
        weights=sequences[2].weights[::2],
        expression=sequences[2].expression[::2],
        wrinkles=sequences[2].wrinkles[::2],
    )
    with pytest.raises(BadInputError, match=r"s2 has 40 frames for 1\.60 s"):
        _trainer(head, [*sequences[:2], short], tmp_path)


def test_no_sequences_are_refused(head, sequences, tmp_path):
    with pytest.raises(BadInputError, match="0 training"):
        _trainer(head, sequences[:1], tmp_path)


def test_sequence_files_come_back_as_they_were(head, sequences, tmp_path):
    sequences[0].save(tmp_path / "s0.npz")
    back = SpeechSequence.load(tmp_path / "s0.npz")
    for name in ("feature_variants", "weights", "expression", "wrinkles", "style"):
        np.testing.assert_array_equal(getattr(back, name), getattr(sequences[0], name))


def test_nan_in_a_sequence_is_named_with_its_place(sequences, tmp_path):
    weights = sequences[0].weights.copy()
    weights[13, 2] = np.nan
    replace(sequences[0], weights=weights).save(tmp_path / "bad.npz")
    with pytest.raises(BadInputError, match=r"bad\.npz: the weights.*13"):
        SpeechSequence.load(tmp_path / "bad.npz")


def test_a_damaged_sequence_is_named(tmp_path):
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(BadInputError, match=r"cut\.npz"):
        SpeechSequence.load(tmp_path / "cut.npz")


def test_a_full_disk_keeps_the_last_good_checkpoint(head, sequences, tmp_path, monkeypatch):
    trainer = _trainer(head, sequences, tmp_path)
    trainer.run()
    good = (tmp_path / STATE).read_bytes()

    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(
        GaussianSpeechError, match=r"the disk is full.*last good checkpoint is kept"
    ):
        trainer.loop.save()
    assert (tmp_path / STATE).read_bytes() == good


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: good[:1000],
        lambda _: b"no checkpoint" * 50,
        lambda _: b"",
        lambda _: pickle.dumps({"step": print}),
        lambda _: pickle.dumps([1, 2], protocol=2),
    ],
    ids=["cut", "text", "empty", "function", "list"],
)
def test_a_damaged_checkpoint_is_named(head, sequences, tmp_path, spoil):
    _trainer(head, sequences, tmp_path).run()
    path = tmp_path / STATE
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BadInputError, match=r"last\.pt cannot be read, it is damaged\. Remove it"):
        _trainer(head, sequences, tmp_path).resume()


def test_a_run_does_not_go_on_with_other_recordings(head, sequences, tmp_path):
    _trainer(head, sequences, tmp_path).run()
    others = [*sequences[:-1], replace(sequences[-1], name="another")]
    with pytest.raises(BadInputError, match="another was not there, or as long, when it was"):
        _trainer(head, others, tmp_path).resume()
