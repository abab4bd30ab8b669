# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's order of training: each part on its own loss, one after the other."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.heads import load_head
from engine.motion.encoders.wav2vec2 import load_wav2vec2
from engine.motion.model.checkpoint import load_model
from engine.motion.model.config import PRESETS
from engine.motion.model.network import SpeechModel
from engine.motion.performance import Performance
from tests.training.speech.recordings import (
    motion_of,
    tiny_config,
    write_sound,
    write_wav2vec2,
)
from training.cli import main
from training.losses.speech import LossWeights
from training.speech.config import TrainingConfig
from training.speech.personal import SCRATCH, PersonalTraining, train_personal
from training.speech.sequences import SpeechSequence
from training.speech.stages import first_steps, stages_of
from training.speech.trainer import SpeechTrainer
from training.speech.wrinkle_measures import MEASURED

PAPER = {"ahead": 0, "lip_feedback": True, "motion_memory": True, "staged": True}
PARTS = {
    "lips": ("audio", "lip_encoder"),
    "wrinkles": ("wrinkle_encoder",),
    "expressions": ("expression_encoder",),
    "motion": ("expression2latent", "decoder", "mapper"),
}
STEPS = 160
LOSSES = dict(zip(PARTS, ("lip_norm", "wrinkle", "expression", "vertices"), strict=True))


def _sequence(head, seed, frames=60):
    """A mouth and wrinkles that follow one feature."""
    rng = np.random.default_rng(seed)
    curve = np.sin(np.arange(2 * frames) / 9.0 + rng.uniform(0, 6)) * 0.5 + 0.5
    features = rng.normal(size=(1, 2 * frames, 81)) * 0.1
    features[:, :, 0] = curve
    weights = np.zeros((frames, len(head.expression_names)), np.float32)
    weights[:, head.expression_index("jawOpen")] = 0.4 * curve[::2]
    wrinkles = np.tile(1.0 - curve[::2, None], (1, 24))
    return SpeechSequence(
        f"s{seed}",
        features.astype(np.float16),
        weights,
        weights.astype(np.float16),
        wrinkles.astype(np.float16),
        np.zeros(0, np.float32),
    )


def _trainer(head, out, steps=STEPS, **changes):
    torch.manual_seed(3)
    model = SpeechModel(tiny_config(head, dropout=0.0, **(PAPER | changes)))
    sequences = [_sequence(head, seed) for seed in range(3)]
    config = TrainingConfig(
        steps=steps,
        batch=2,
        frames=16,
        warm_up=2,
        validate_every=5,
        learning_rate=5e-3,
        patience=99,
    )
    return SpeechTrainer(model, head, sequences[1:], sequences[:1], config, out)


def test_each_stage_teaches_its_own_parts_and_its_loss_falls(head, tmp_path):
    trainer = _trainer(head, tmp_path)
    assert [stage.name for stage in trainer.stages] == list(PARTS)
    names = [name for name, _ in trainer.model.named_children()]
    firsts = [*first_steps(trainer.stages, STEPS), STEPS]
    before = trainer.validation_lve()
    for number, (stage, parts) in enumerate(PARTS.items()):
        states = {name: _values(trainer.model, name) for name in names}
        started = ended = trainer.validation_loss()
        while trainer.step < firsts[number + 1]:
            terms = trainer.advance()
            if trainer.step == firsts[number + 1] - 1:
                ended = trainer.validation_loss()
        changed = [n for n in names if not torch.equal(_values(trainer.model, n), states[n])]
        assert sorted(changed) == sorted(parts)
        assert ended < 0.8 * started, stage
        assert terms["total"] == pytest.approx(terms[LOSSES[stage]], rel=1e-5)
    assert trainer.validation_lve() < 0.95 * before


def _values(model, part):
    values = [v.detach().flatten() for v in getattr(model, part).parameters()]
    return torch.cat([*values, torch.zeros(0)]).clone()


def test_the_lve_chooses_the_model_in_the_last_stage_alone(head, tmp_path):
    trainer = _trainer(head, tmp_path, steps=40)
    trainer.run()
    measured = [row for row in trainer.record.history if row.get("validation LVE (mm)")]
    first = first_steps(trainer.stages, 40)[-1]
    assert measured
    assert min(row["step"] for row in measured) >= first
    assert any("validation lips" in row for row in trainer.record.history)


def test_without_wrinkle_features_there_is_no_stage_of_them(head):
    model = SpeechModel(tiny_config(head, **(PAPER | {"wrinkle_features": False})))
    names = [stage.name for stage in stages_of(model, LossWeights())]
    assert names == ["lips", "expressions", "motion"]


def _small_paper(monkeypatch):
    small = {"dimension": 16, "heads": 2, "feed_forward": 16, "past": 6, "components": 6}
    monkeypatch.setitem(PRESETS, "paper", replace(PRESETS["paper"], **small))
    from training.speech.presets import NEW_MODELS

    monkeypatch.setitem(NEW_MODELS, "paper", PRESETS["paper"])


def _plan(data, out, **changes):
    training = TrainingConfig(steps=8, batch=2, frames=12, warm_up=1, validate_every=2)
    plan = PersonalTraining(
        data, out, start=SCRATCH, preset="paper", encoder="phonetic", training=training
    )
    return replace(plan, **changes)


def _recordings(folder, head, fps):
    folder.mkdir()
    for clip in range(3):
        write_sound(folder / f"c{clip}.wav", clip)
        weights = motion_of(head, clip, int(fps))
        np.savez(folder / f"c{clip}.motion.npz", fps=fps, vertices=head.deform(weights))
    return folder


def test_a_persons_model_moves_at_the_rate_of_the_recordings(head, tmp_path, monkeypatch):
    _small_paper(monkeypatch)
    outcome = train_personal(_plan(_recordings(tmp_path / "data", head, 24.0), tmp_path / "run"))
    config = load_model(outcome.model, head).model.config
    assert config.motion_rate == 24.0
    assert config.encoder == "phonetic"
    assert not config.inner_interpolation


def test_the_papers_model_learns_with_wav2vec_and_speaks(head, tmp_path, monkeypatch):
    _small_paper(monkeypatch)
    data = _recordings(tmp_path / "data", head, 30.0)
    write_wav2vec2(tmp_path / "wav2vec2")
    words = ["train", "speech", "--data", str(data), "--out", str(tmp_path / "run")]
    words += ["--from", "none", "--preset", "paper"]
    words += ["--encoder-source", str(tmp_path / "wav2vec2"), "--steps", "8", "--batch", "2"]
    words += ["--frames", "12", "--validate-every", "2", "--device", "cpu"]
    assert main(words) == 0
    path = tmp_path / "run" / "speech_model.safetensors"
    config = load_model(path, head).model.config
    assert (config.inner_rate, config.feature_start, config.features) == (30.0, 0.0, 16)
    tuned = load_wav2vec2(config.encoder_source).state_dict()
    given = load_wav2vec2(tmp_path / "wav2vec2").state_dict()
    moved = {name for name, value in tuned.items() if not torch.equal(value, given[name])}
    assert any("encoder.layers" in name for name in moved)
    assert not any("feature_extractor" in name for name in moved)
    words = ["animate", str(data / "c0.wav"), "--out", str(tmp_path / "talk")]
    assert main([*words, "--speech-model", str(path)]) == 0
    made = Performance.load(tmp_path / "talk" / "c0.performance.npz")
    assert made.vertex_count == head.vertex_count


def test_a_voice_that_was_learned_stays_without_fine_tuning(head, tmp_path, monkeypatch):
    _small_paper(monkeypatch)
    data = _recordings(tmp_path / "data", head, 30.0)
    generic = train_personal(_plan(data, tmp_path / "generic")).model
    plan = _plan(data, tmp_path / "personal", start=str(generic), finetune_audio=False)
    ours = load_model(train_personal(plan).model, head).model
    theirs = load_model(generic, head).model
    assert torch.equal(_values(ours, "lip_encoder"), _values(theirs, "lip_encoder"))
    assert not torch.equal(_values(ours, "decoder"), _values(theirs, "decoder"))


@pytest.mark.parametrize(("wrinkles", "features"), [("auto", 36), ("mesh", 24)])
def test_wrinkles_are_measured_on_the_captures_pictures(
    speaking_capture, tmp_path, monkeypatch, wrinkles, features
):
    _small_paper(monkeypatch)
    shutil.copytree(speaking_capture, tmp_path / "capture")
    files = sorted((tmp_path / "capture").rglob("*"))
    head = load_head("default")
    plan = _plan(tmp_path / "capture", tmp_path / "run", wrinkles=wrinkles)
    outcome = train_personal(plan)
    assert load_model(outcome.model, head).model.config.wrinkles == features
    assert (tmp_path / "run" / MEASURED / "c0.wrinkles.npy").is_file() == (wrinkles == "auto")
    assert sorted((tmp_path / "capture").rglob("*")) == files
