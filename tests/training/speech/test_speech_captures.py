# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of captures: recordings with motion of any kind, and what is said when they are off."""

import json

import numpy as np
import pytest
import torch

from engine.core.errors import BadInputError
from engine.motion.encoders import phonetic
from engine.motion.encoders.phonetic import PhoneticEncoder
from engine.motion.model.network import SpeechModel
from engine.motion.performance import Performance
from engine.recognition.recognizer import recognize
from tests.training.speech.recordings import (
    FPS,
    motion_of,
    tiny_config,
    write_recordings,
    write_wav2vec2,
)
from training.data.recordings import RECORD, find_recordings
from training.speech.captures import load_captures, measured_wrinkles
from training.speech.config import TrainingConfig
from training.speech.trainer import SpeechTrainer


def _load(folder, head, **changes):
    return load_captures(folder, head, tiny_config(head, **changes), PhoneticEncoder())


@pytest.mark.parametrize("kind", ["expression", "performance"])
def test_expressions_are_taken_as_they_are(head, tmp_path, kind):
    captures = _load(write_recordings(tmp_path, head, kind), head, motion_rate=FPS)
    assert captures.residual == 0.0
    np.testing.assert_array_equal(captures.training[0].weights, motion_of(head, 0))


def test_vertices_become_expressions_that_move_them_alike(head, tmp_path):
    captures = _load(write_recordings(tmp_path, head, "vertices"), head, motion_rate=FPS)
    assert captures.residual < 1e-5
    moved = head.deform(captures.training[0].weights)
    np.testing.assert_allclose(moved, head.deform(motion_of(head, 0)), atol=1e-5)


def test_a_learned_basis_starts_from_the_components_of_themotion_of(head, tmp_path):
    folder = write_recordings(tmp_path, head, "vertices")
    captures = _load(folder, head, motion_rate=FPS, learned_basis=True, components=6)
    assert captures.basis.shape == (6, head.vertex_count, 3)
    assert captures.residual < 1e-4
    sequence = captures.validation[0]
    flat = sequence.weights @ captures.basis.reshape(6, -1)
    expected = head.deform(motion_of(head, 2)) - head.template
    np.testing.assert_allclose(flat.reshape(expected.shape), expected, atol=1e-4)


def test_motion_is_resampled_to_the_models_rate(head, tmp_path):
    captures = _load(write_recordings(tmp_path, head), head, motion_rate=50.0)
    sequence = captures.training[0]
    assert sequence.frames == 50
    np.testing.assert_allclose(sequence.weights[::2][:25], motion_of(head, 0), atol=1e-5)


def test_recordings_are_recognised_in_the_language_of_the_capture(head, tmp_path, monkeypatch):
    folder = write_recordings(tmp_path, head)
    (folder / RECORD).write_text(json.dumps({"language": "de"}))
    asked = []

    def recognized(speech, text, progress, *, language):
        asked.append(language)
        return recognize(speech, text, progress)

    monkeypatch.setattr(phonetic, "recognize", recognized)
    _load(folder, head)
    assert asked == ["de"] * len(find_recordings(folder).every)


def test_clips_are_split_by_name_order(head, tmp_path):
    captures = _load(write_recordings(tmp_path, head, clips=8), head)
    assert [len(p) for p in (captures.training, captures.validation, captures.test)] == [6, 1, 1]
    assert captures.validation[0].name == "c6"


def test_a_single_clip_is_split_in_time(head, tmp_path):
    captures = _load(write_recordings(tmp_path, head, clips=1), head, motion_rate=FPS)
    (first,), (rest,) = captures.training, captures.validation
    assert (first.frames, rest.frames, captures.test) == (22, 3, ())
    together = np.concatenate([first.weights, rest.weights])
    np.testing.assert_array_equal(together, motion_of(head, 0))
    assert first.feature_variants.shape[1] + rest.feature_variants.shape[1] == 100


def test_a_split_can_be_given(head, tmp_path):
    folder = write_recordings(tmp_path, head)
    chosen = {"training": ["c3", "c1"], "validation": ["c0"]}
    (folder / "split.json").write_text(json.dumps(chosen))
    captures = _load(folder, head)
    assert [s.name for s in captures.training] == ["c3", "c1"]
    assert captures.test == ()


def _measured(folder, clips=4, width=36):
    measured = np.random.default_rng(0).random((clips, 25, width)).astype(np.float32)
    for clip, values in enumerate(measured):
        np.save(folder / f"c{clip}.wrinkles.npy", values)
    return measured


def test_measured_wrinkles_are_used_in_their_own_size(head, tmp_path):
    folder = write_recordings(tmp_path, head)
    measured = _measured(folder)
    assert measured_wrinkles(find_recordings(folder)) == 36
    captures = _load(folder, head, motion_rate=FPS, wrinkles=36)
    np.testing.assert_allclose(captures.training[0].wrinkles, measured[0], atol=1e-3)


def test_wrinkles_of_some_recordings_only_are_refused_by_name(head, tmp_path):
    folder = write_recordings(tmp_path, head)
    _measured(folder, clips=3)
    with pytest.raises(BadInputError, match=r"3 recordings.*c3\.wrinkles\.npy is missing"):
        _load(folder, head)


def test_a_starter_is_fine_tuned_on_captures(head, tmp_path):
    captures = _load(write_recordings(tmp_path / "data", head), head, motion_rate=FPS)
    torch.manual_seed(0)
    config = TrainingConfig(steps=40, batch=2, frames=20, warm_up=2, learning_rate=5e-3)
    trainer = SpeechTrainer(
        SpeechModel(tiny_config(head, motion_rate=FPS)),
        head,
        captures.training,
        captures.validation,
        config,
        tmp_path / "run",
    )
    before = trainer.validation_lve()
    assert trainer.run() < 0.7 * before


def test_a_learned_basis_is_trained_from_where_it_starts(head, tmp_path):
    folder = write_recordings(tmp_path / "data", head, "vertices")
    changes = {"motion_rate": FPS, "learned_basis": True, "components": 4}
    captures = _load(folder, head, **changes)
    torch.manual_seed(0)
    model = SpeechModel(tiny_config(head, **changes))
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


def _tuned(head, tmp_path, **changes):
    encoder = write_wav2vec2(tmp_path / "encoder")
    given = {"encoder": "wav2vec2", "features": 16, "feature_rate": 50.0}
    config = tiny_config(head, **given, feature_start=encoder.start, motion_rate=FPS, **changes)
    captures = load_captures(write_recordings(tmp_path / "data", head), head, config, encoder)
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


def test_without_audio_fine_tuning_the_encoder_stays(head, tmp_path):
    trainer, encoder = _tuned(head, tmp_path, finetune_audio=False)
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    trainer.run()
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())


def test_features_made_in_training_are_those_of_the_crop(head, tmp_path):
    trainer, _ = _tuned(head, tmp_path)
    from training.speech.sequences import crops

    batch = crops(trainer.training, trainer.model.config, 3, 20, torch.Generator())
    assert trainer._features(batch).shape == batch.features.shape


def test_a_recording_without_motion_is_named(head, tmp_path):
    (write_recordings(tmp_path, head) / "c2.motion.npz").unlink()
    with pytest.raises(BadInputError, match=r"c2 .*no motion"):
        _load(tmp_path, head)


def test_motion_of_another_length_is_named_with_expected_and_found(head, tmp_path):
    np.savez(
        write_recordings(tmp_path, head) / "c1.motion.npz", fps=30.0, expression=motion_of(head, 1)
    )
    with pytest.raises(BadInputError, match=r"c1\.motion\.npz has 25 frames.*expected 30"):
        _load(tmp_path, head)


def test_vertices_of_no_head_are_named_with_expected_and_found(head, tmp_path):
    np.savez(
        write_recordings(tmp_path, head) / "c1.motion.npz",
        fps=FPS,
        vertices=np.zeros((25, 5023, 3)),
    )
    with pytest.raises(BadInputError, match=rf"5023.*expected \(T, {head.vertex_count}, 3\)"):
        _load(tmp_path, head)


def test_a_performance_of_another_head_is_named_with_expected_and_found(head, tmp_path):
    (write_recordings(tmp_path, head) / "c1.motion.npz").unlink()
    basis = head.expression_basis[:, :5023]
    weights = motion_of(head, 1)
    Performance(FPS, weights, basis, weights, head.expression_names, "flame").save(
        tmp_path / "c1.performance.npz"
    )
    found = rf"c1\.performance\.npz moves 5023 vertices.* has {head.vertex_count}"
    with pytest.raises(BadInputError, match=found):
        _load(tmp_path, head)


@pytest.mark.parametrize("fps", [0.0, np.nan, 1e6, -25.0])
def test_an_impossible_frame_rate_is_named(head, tmp_path, fps):
    write_recordings(tmp_path, head)
    np.savez(tmp_path / "c1.motion.npz", fps=fps, expression=motion_of(head, 1))
    with pytest.raises(BadInputError, match=r"c1\.motion\.npz: 'fps'"):
        _load(tmp_path, head)


@pytest.mark.parametrize(
    "arrays", [{"fps": FPS}, {"expression": np.zeros((25, 52))}, {"fps": FPS, "expression": 3.0}]
)
def test_motion_without_its_arrays_is_named(head, tmp_path, arrays):
    np.savez(write_recordings(tmp_path, head) / "c1.motion.npz", **arrays)
    with pytest.raises(BadInputError, match=r"c1\.motion\.npz"):
        _load(tmp_path, head)


def test_damaged_motion_is_named(head, tmp_path):
    path = write_recordings(tmp_path, head) / "c1.motion.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BadInputError, match=r"c1\.motion\.npz cannot be read"):
        _load(tmp_path, head)


def test_a_performance_with_nan_is_named(head, tmp_path):
    folder = write_recordings(tmp_path, head, "performance")
    with np.load(folder / "c1.performance.npz") as held:
        arrays = dict(held)
    arrays["weights"] = arrays["weights"].copy()
    arrays["weights"][3] = np.nan
    np.savez(folder / "c1.performance.npz", **arrays)
    with pytest.raises(BadInputError, match=r"c1\.performance\.npz"):
        _load(folder, head)


def test_flames_parameters_are_refused_on_a_head_that_is_not_flame(head, tmp_path):
    (write_recordings(tmp_path, head) / "c1.motion.npz").unlink()
    np.savez(tmp_path / "c1.flame_param.npz", fps=FPS)
    with pytest.raises(BadInputError, match=r"c1\.flame_param\.npz .*'default' is no FLAME"):
        _load(tmp_path, head)


def test_nan_frames_are_named(head, tmp_path):
    weights = motion_of(head, 1)
    weights[17] = np.nan
    np.savez(write_recordings(tmp_path, head) / "c1.motion.npz", fps=FPS, expression=weights)
    with pytest.raises(BadInputError, match=r"c1\.motion\.npz.*frame 17"):
        _load(tmp_path, head)


@pytest.mark.parametrize(
    ("shape", "expected"), [((24, 24), "25, 24"), ((25, 23), "25, 24"), ((25,), "any, any")]
)
def test_wrinkles_of_another_size_are_named(head, tmp_path, shape, expected):
    folder = write_recordings(tmp_path, head)
    _measured(folder, width=24)
    np.save(folder / "c0.wrinkles.npy", np.zeros(shape, np.float32))
    with pytest.raises(BadInputError, match=rf"c0\.wrinkles\.npy.*\({expected}\)"):
        _load(folder, head)


def test_wrinkles_with_nan_are_named(head, tmp_path):
    folder = write_recordings(tmp_path, head)
    measured = _measured(folder, width=24)
    measured[2, 5, 1] = np.nan
    np.save(folder / "c2.wrinkles.npy", measured[2])
    with pytest.raises(BadInputError, match=r"c2\.wrinkles\.npy.*first at \[5, 1\]"):
        _load(folder, head)


def test_a_split_with_an_unknown_name_is_refused(head, tmp_path):
    (write_recordings(tmp_path, head) / "split.json").write_text('{"training": ["nobody"]}')
    with pytest.raises(BadInputError, match="nobody"):
        _load(tmp_path, head)


def test_an_empty_folder_is_refused(head, tmp_path):
    with pytest.raises(BadInputError, match="0 recordings"):
        _load(tmp_path, head)


@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_split_without_a_part_is_named(head, tmp_path, part):
    folder = write_recordings(tmp_path / "recordings", head)
    names = {"training": ["c0", "c1"], "validation": ["c2"], "test": ["c3"]} | {part: []}
    (folder / "split.json").write_text(json.dumps(names))
    with pytest.raises(BadInputError, match=rf"split\.json names no recording for {part}"):
        load_captures(folder, head, tiny_config(head), PhoneticEncoder())


def test_a_motion_without_its_sound_is_named(head, tmp_path):
    folder = write_recordings(tmp_path / "recordings", head)
    (folder / "c1.wav").unlink()
    with pytest.raises(BadInputError, match=r"c1\.motion\.npz has no sound") as caught:
        load_captures(folder, head, tiny_config(head), PhoneticEncoder())
    assert "c1.wav" in caught.value.hint


@pytest.mark.parametrize("kind", ["performance", "motion"])
def test_weights_in_percent_are_refused(head, tmp_path, kind):
    folder = write_recordings(tmp_path / "recordings", head, "performance")
    weights = 100 * motion_of(head, 0)
    (folder / "c0.performance.npz").unlink()
    if kind == "motion":
        np.savez(folder / "c0.motion.npz", fps=FPS, expression=weights)
    else:
        basis, names = head.expression_basis, head.expression_names
        made = Performance(FPS, weights, basis, weights, names, head.id)
        made.save(folder / "c0.performance.npz")
    with pytest.raises(BadInputError, match=rf"c0\.{kind}\.npz moves a vertex by") as caught:
        load_captures(folder, head, tiny_config(head), PhoneticEncoder())
    assert "0 to 1" in caught.value.hint
