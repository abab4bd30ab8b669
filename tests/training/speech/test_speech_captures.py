# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of captures: recordings with motion of any kind, and what is said when they are off."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from engine.audio.encoder import PhoneticEncoder
from engine.audio.wav2vec2 import load_wav2vec2
from engine.errors import BadInputError
from engine.heads import load_head
from engine.speech.model import SpeechModel
from engine.speech.model_config import STARTER, for_head
from engine.speech.performance import Performance
from training.speech.captures import load_captures
from training.speech.config import TrainingConfig
from training.speech.trainer import ENCODER, SpeechTrainer

FPS = 25.0
SECONDS = 1.0
TINY = replace(STARTER, dimension=16, heads=2, feed_forward=16, past=6, styles=())


@pytest.fixture(scope="module")
def head():
    return load_head("default")


def _motion(head, seed, frames=25):
    rng = np.random.default_rng(seed)
    weights = np.zeros((frames, len(head.expression_names)), np.float32)
    curve = 0.3 + 0.3 * np.sin(np.arange(frames) / 4.0 + rng.uniform(0, 6))
    weights[:, head.expression_index("jawOpen")] = curve
    weights[:, head.expression_index("mouthPucker")] = rng.uniform(0, 0.4) * (1 - curve)
    return weights


def _write(folder, head, kind="expression", clips=4):
    folder.mkdir(exist_ok=True)
    for seed in range(clips):
        rng = np.random.default_rng(seed)
        sound = rng.normal(size=round(SECONDS * 16_000)).astype(np.float32) * 0.05
        soundfile.write(folder / f"c{seed}.wav", sound, 16_000)
        weights = _motion(head, seed)
        path = folder / f"c{seed}.motion.npz"
        if kind == "expression":
            np.savez(path, fps=FPS, expression=weights)
        elif kind == "vertices":
            np.savez(path, fps=FPS, vertices=head.deform(weights))
        else:
            Performance(
                FPS, weights, head.expression_basis, weights, head.expression_names, head.id
            ).save(folder / f"c{seed}.performance.npz")
    return folder


def _config(head, **changes):
    return for_head(replace(TINY, **changes), head)


def _load(folder, head, **changes):
    return load_captures(folder, head, _config(head, **changes), PhoneticEncoder())


@pytest.mark.parametrize("kind", ["expression", "performance"])
def test_expressions_are_taken_as_they_are(head, tmp_path, kind):
    captures = _load(_write(tmp_path, head, kind), head, motion_rate=FPS)
    assert captures.residual == 0.0
    np.testing.assert_array_equal(captures.training[0].weights, _motion(head, 0))


def test_vertices_become_expressions_that_move_them_alike(head, tmp_path):
    captures = _load(_write(tmp_path, head, "vertices"), head, motion_rate=FPS)
    assert captures.residual < 1e-5
    moved = head.deform(captures.training[0].weights)
    np.testing.assert_allclose(moved, head.deform(_motion(head, 0)), atol=1e-5)


def test_a_learned_basis_starts_from_the_components_of_the_motion(head, tmp_path):
    folder = _write(tmp_path, head, "vertices")
    captures = _load(folder, head, motion_rate=FPS, learned_basis=True, components=6)
    assert captures.basis.shape == (6, head.vertex_count, 3)
    assert captures.residual < 1e-4
    sequence = captures.validation[0]
    flat = sequence.weights @ captures.basis.reshape(6, -1)
    expected = head.deform(_motion(head, 2)) - head.template
    np.testing.assert_allclose(flat.reshape(expected.shape), expected, atol=1e-4)


def test_motion_is_resampled_to_the_models_rate(head, tmp_path):
    captures = _load(_write(tmp_path, head), head, motion_rate=50.0)
    sequence = captures.training[0]
    assert sequence.frames == 50
    np.testing.assert_allclose(sequence.weights[::2][:25], _motion(head, 0), atol=1e-5)


def test_clips_are_split_by_name_order(head, tmp_path):
    captures = _load(_write(tmp_path, head, clips=8), head)
    assert [len(p) for p in (captures.training, captures.validation, captures.test)] == [6, 1, 1]
    assert captures.validation[0].name == "c6"


def test_a_split_can_be_given(head, tmp_path):
    folder = _write(tmp_path, head)
    chosen = {"training": ["c3", "c1"], "validation": ["c0"]}
    (folder / "split.json").write_text(json.dumps(chosen))
    captures = _load(folder, head)
    assert [s.name for s in captures.training] == ["c3", "c1"]
    assert captures.test == ()


def test_measured_wrinkles_are_used(head, tmp_path):
    folder = _write(tmp_path, head)
    measured = np.random.default_rng(0).random((25, 24)).astype(np.float32)
    np.save(folder / "c0.wrinkles.npy", measured)
    captures = _load(folder, head, motion_rate=FPS)
    np.testing.assert_allclose(captures.training[0].wrinkles, measured, atol=1e-3)


def test_a_starter_is_fine_tuned_on_captures(head, tmp_path):
    captures = _load(_write(tmp_path / "data", head), head, motion_rate=FPS)
    torch.manual_seed(0)
    config = TrainingConfig(steps=40, batch=2, frames=20, warm_up=2, learning_rate=5e-3)
    trainer = SpeechTrainer(
        SpeechModel(_config(head, motion_rate=FPS)),
        head,
        captures.training,
        captures.validation,
        config,
        tmp_path / "run",
    )
    before = trainer.validation_lve()
    assert trainer.run() < 0.7 * before


def test_a_learned_basis_is_trained_from_where_it_starts(head, tmp_path):
    folder = _write(tmp_path / "data", head, "vertices")
    changes = {"motion_rate": FPS, "learned_basis": True, "components": 4}
    captures = _load(folder, head, **changes)
    torch.manual_seed(0)
    model = SpeechModel(_config(head, **changes))
    model.mapper.basis.data.copy_(torch.from_numpy(captures.basis))
    config = TrainingConfig(steps=30, batch=2, frames=20, warm_up=2, learning_rate=1e-3)
    trainer = SpeechTrainer(
        model,
        head,
        captures.training,
        captures.validation,
        config,
        tmp_path / "run",
        basis=captures.basis,
    )
    before = trainer.validation_lve()
    assert trainer.run() < before


def _wav2vec2(folder):
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    torch.manual_seed(0)
    Wav2Vec2Model(
        Wav2Vec2Config(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            conv_dim=(8,) * 7,
            num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=2,
        )
    ).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return load_wav2vec2(folder)


def _tuned(head, tmp_path, **changes):
    encoder = _wav2vec2(tmp_path / "encoder")
    given = {"encoder": "wav2vec2", "features": 16, "feature_rate": 50.0}
    config = _config(head, **given, feature_start=encoder.start, motion_rate=FPS, **changes)
    captures = load_captures(_write(tmp_path / "data", head), head, config, encoder)
    settings = TrainingConfig(steps=4, batch=2, frames=20, warm_up=1, encoder_rate=1e-2)
    trainer = SpeechTrainer(
        SpeechModel(config),
        head,
        captures.training,
        captures.validation,
        settings,
        tmp_path / "run",
        encoder=encoder,
    )
    return trainer, encoder


def test_audio_fine_tuning_trains_the_encoder_and_saves_it(head, tmp_path):
    trainer, encoder = _tuned(head, tmp_path)
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    trainer.run()
    changed = {k for k, v in encoder.state_dict().items() if not torch.equal(v, before[k])}
    assert any("encoder.layers" in name for name in changed)
    assert not any("feature_extractor" in name for name in changed)
    assert load_wav2vec2(tmp_path / "run" / ENCODER).size == 16


def test_without_audio_fine_tuning_the_encoder_stays(head, tmp_path):
    trainer, encoder = _tuned(head, tmp_path, finetune_audio=False)
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    trainer.run()
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())


def test_features_made_in_training_are_those_of_the_crop(head, tmp_path):
    trainer, _ = _tuned(head, tmp_path)
    from training.speech.sequences import crops

    batch = crops(trainer.training, trainer.model.config, 3, 20, torch.Generator())
    assert trainer._heard(batch).shape == batch.features.shape


def test_a_recording_without_motion_is_named(head, tmp_path):
    (_write(tmp_path, head) / "c2.motion.npz").unlink()
    with pytest.raises(BadInputError, match=r"c2 .*no motion"):
        _load(tmp_path, head)


def test_motion_of_another_length_is_named_with_expected_and_found(head, tmp_path):
    np.savez(_write(tmp_path, head) / "c1.motion.npz", fps=30.0, expression=_motion(head, 1))
    with pytest.raises(BadInputError, match=r"c1\.motion\.npz has 25 frames.*expected 30"):
        _load(tmp_path, head)


def test_vertices_of_no_head_are_named_with_expected_and_found(head, tmp_path):
    np.savez(_write(tmp_path, head) / "c1.motion.npz", fps=FPS, vertices=np.zeros((25, 5023, 3)))
    with pytest.raises(BadInputError, match=rf"5023.*expected \(T, {head.vertex_count}, 3\)"):
        _load(tmp_path, head)


def test_nan_frames_are_named(head, tmp_path):
    weights = _motion(head, 1)
    weights[17] = np.nan
    np.savez(_write(tmp_path, head) / "c1.motion.npz", fps=FPS, expression=weights)
    with pytest.raises(BadInputError, match=r"c1\.motion\.npz.*frame 17"):
        _load(tmp_path, head)


def test_wrinkles_of_another_length_are_named(head, tmp_path):
    np.save(_write(tmp_path, head) / "c0.wrinkles.npy", np.zeros((24, 24), np.float32))
    with pytest.raises(BadInputError, match=r"c0\.wrinkles\.npy.*\(25, 24\)"):
        _load(tmp_path, head)


def test_a_split_with_an_unknown_name_is_refused(head, tmp_path):
    (_write(tmp_path, head) / "split.json").write_text('{"training": ["nobody"]}')
    with pytest.raises(BadInputError, match="nobody"):
        _load(tmp_path, head)


def test_an_empty_folder_is_refused(head, tmp_path):
    with pytest.raises(BadInputError, match="0 recordings"):
        _load(tmp_path, head)


def _plan(tmp_path, **changes):
    from training.speech.personal import PersonalTraining

    settings = TrainingConfig(steps=30, batch=2, frames=20, warm_up=2, validate_every=10)
    plan = PersonalTraining(tmp_path / "data", tmp_path / "run", training=settings)
    return replace(plan, **changes)


def _start(head, tmp_path):
    from engine.speech.checkpoint import save_model

    torch.manual_seed(0)
    path = tmp_path / "start.safetensors"
    save_model(path, SpeechModel(_config(head, styles=("articulation", "smile"))), head, "start")
    return path


def test_a_personal_model_starts_from_another(head, tmp_path):
    from engine.speech.checkpoint import load_model
    from training.speech.personal import train_personal

    _write(tmp_path / "data", head)
    outcome = train_personal(_plan(tmp_path, start=str(_start(head, tmp_path))))
    assert outcome.after < outcome.before
    assert load_model(outcome.model, head).name == "personal"


def test_a_broken_personal_training_is_resumed(head, tmp_path):
    from engine.errors import CancelledError
    from training.speech.personal import train_personal

    _write(tmp_path / "data", head)
    plan = _plan(tmp_path, start=str(_start(head, tmp_path)))
    whole = train_personal(replace(plan, out=tmp_path / "whole"))

    def stop(fraction, _message):
        if fraction > 0.6:
            raise CancelledError

    with pytest.raises(CancelledError):
        train_personal(plan, stop)
    resumed = train_personal(plan)
    assert (resumed.before, resumed.after) == (whole.before, whole.after)


def test_a_personal_model_can_start_from_scratch_with_wav2vec2(head, tmp_path):
    from training.speech.personal import SCRATCH, train_personal

    _wav2vec2(tmp_path / "encoder")
    _write(tmp_path / "data", head, "vertices")
    plan = _plan(tmp_path, start=SCRATCH, encoder_source=str(tmp_path / "encoder"))
    outcome = train_personal(replace(plan, training=replace(plan.training, steps=2)))
    assert outcome.residual < 0.1
    assert outcome.model.is_file()


def test_the_starters_lip_readout_fits_a_head_with_other_lips(head, tmp_path):
    from training.speech.personal import train_personal

    _write(tmp_path / "data", head)
    start = _start(replace(head, regions=head.regions | {"lips": np.arange(9)}), tmp_path)
    assert train_personal(_plan(tmp_path, start=str(start))).after > 0


def test_an_unknown_preset_is_refused(head, tmp_path):
    from training.speech.personal import SCRATCH, train_personal

    with pytest.raises(BadInputError, match="'huge'"):
        train_personal(_plan(tmp_path, start=SCRATCH, preset="huge"))
