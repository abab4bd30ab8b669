# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's own model: what it starts from, how it ends, and that it speaks."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.audio.loading import load_speech
from engine.core.errors import BadInputError, CancelledError, MissingDependencyError
from engine.heads import load_head
from engine.heads.flame_param import FlameParam, save_flame_param
from engine.motion.encoders.wav2vec2 import load_wav2vec2
from engine.motion.model.checkpoint import load_model, save_model
from engine.motion.model.config import PRESETS, for_head
from engine.motion.model.network import SpeechModel
from engine.motion.performance import Performance
from engine.motion.predict import predict
from tests.engine.heads.flame_faces import another_person, flame_dressed
from tests.engine.heads.flame_files import write_flame_pickle
from tests.training.speech.recordings import (
    FPS,
    motion_of,
    tiny_config,
    write_recordings,
    write_sound,
    write_wav2vec2,
)
from training.cli import main
from training.speech.config import TrainingConfig
from training.speech.personal import RECORD, SCRATCH, PersonalTraining, train_personal


def _plan(tmp_path, **changes):
    settings = TrainingConfig(steps=15, batch=2, frames=20, warm_up=2, validate_every=5)
    plan = PersonalTraining(tmp_path / "data", tmp_path / "run", training=settings)
    return replace(plan, **changes)


def _start(head, tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "start.safetensors"
    save_model(
        path, SpeechModel(tiny_config(head, styles=("articulation", "smile"))), head, "start"
    )
    return path


def test_a_personal_model_starts_from_another(head, tmp_path):
    write_recordings(tmp_path / "data", head)
    outcome = train_personal(_plan(tmp_path, start=str(_start(head, tmp_path))))
    assert outcome.after < outcome.before
    assert load_model(outcome.model, head).name == "personal"


def test_the_recordings_of_a_multi_view_capture_are_found_inside(head, tmp_path):
    (tmp_path / "data").mkdir()
    write_recordings(tmp_path / "data" / "speech", head)
    (tmp_path / "data" / "capture.json").write_text("{}")
    quick = TrainingConfig(steps=1, batch=1, frames=10, warm_up=1, validate_every=1)
    plan = _plan(tmp_path, start=str(_start(head, tmp_path)), training=quick)
    assert train_personal(plan).model.is_file()


def test_a_broken_personal_training_is_resumed(head, tmp_path):
    write_recordings(tmp_path / "data", head)
    plan = _plan(tmp_path, start=str(_start(head, tmp_path)))
    whole = train_personal(replace(plan, out=tmp_path / "whole"))

    def stop(fraction, _message):
        if fraction > 0.6:
            raise CancelledError

    with pytest.raises(CancelledError):
        train_personal(plan, stop)
    resumed = train_personal(plan)
    assert (resumed.before, resumed.after) == (whole.before, whole.after)


def _small_presets(monkeypatch):
    """The presets' switches and rates on layers that train in no time."""
    small = {"dimension": 16, "heads": 2, "feed_forward": 16, "past": 6}
    for name, config in list(PRESETS.items()):
        fewer = min(config.components, 6)
        monkeypatch.setitem(PRESETS, name, replace(config, components=fewer, **small))


def _with_encoder(tmp_path, steps=6, **changes):
    """A plan of a new model that fine-tunes a wav2vec 2.0 of random weights."""
    write_wav2vec2(tmp_path / "encoder")
    write_recordings(tmp_path / "data", load_head("default"), "vertices")
    settings = TrainingConfig(
        steps=steps, batch=2, frames=20, warm_up=1, encoder_rate=3e-2, validate_every=1, patience=99
    )
    plan = _plan(tmp_path, start=SCRATCH, encoder_source=str(tmp_path / "encoder"))
    return replace(plan, training=settings, **changes)


def _lve(performance, head, seed):
    """Mean of the largest lip distances to the truth, mm."""
    lips = head.regions["lips"]
    truth = np.einsum("tk,kvc->tvc", motion_of(head, seed), head.expression_basis[:, lips])
    off = np.einsum("tk,kvc->tvc", performance.weights, performance.basis[:, lips]) - truth
    return np.linalg.norm(off, axis=-1).max(axis=1).mean() * 1000


def test_a_model_uses_the_encoder_that_was_tuned_with_it(head, tmp_path, monkeypatch):
    _small_presets(monkeypatch)
    outcome = train_personal(_with_encoder(tmp_path))
    source = load_model(outcome.model, head).model.config.encoder_source
    assert Path(source).parent == outcome.model.parent
    assert re.fullmatch(r"speech_model-[0-9a-f]{12}\.wav2vec2", Path(source).name)
    tuned, original = load_wav2vec2(source), load_wav2vec2(tmp_path / "encoder")
    moved = [
        name
        for name, value in tuned.state_dict().items()
        if not torch.equal(value, original.state_dict()[name])
    ]
    assert any("encoder.layers" in name for name in moved)
    assert not any("feature_extractor" in name for name in moved)

    speech = load_speech(tmp_path / "data" / "c2.wav")
    made = predict(speech, head, FPS, model=str(outcome.model))
    assert _lve(made, head, 2) == pytest.approx(outcome.after, rel=1e-3)

    untuned = tmp_path / "untuned.safetensors"
    original_source = str(tmp_path / "encoder")
    save_model(
        untuned, load_model(outcome.model, head).model, head, "x", encoder_source=original_source
    )
    other = predict(speech, head, FPS, model=str(untuned))
    assert np.abs(other.weights - made.weights).max() > 1e-4


def test_a_broken_training_of_the_encoder_goes_on_to_the_same_losses(tmp_path, monkeypatch):
    _small_presets(monkeypatch)
    plan = _with_encoder(tmp_path, steps=4)
    whole = train_personal(replace(plan, out=tmp_path / "whole"))

    def stop(step):
        if step.number == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        train_personal(plan, watch=stop)
    resumed = train_personal(plan)
    assert (resumed.before, resumed.after) == (whole.before, whole.after)
    folders = list((tmp_path / "run" / "checkpoints").glob("*.wav2vec2"))
    assert len(folders) == 1


def test_without_audio_fine_tuning_the_model_names_the_encoder_it_was_given(
    head, tmp_path, monkeypatch
):
    _small_presets(monkeypatch)
    outcome = train_personal(_with_encoder(tmp_path, steps=1, finetune_audio=False))
    config = load_model(outcome.model, head).model.config
    assert config.encoder_source == str(tmp_path / "encoder")
    assert not config.tunes_audio
    assert not list(outcome.model.parent.glob("*.wav2vec2"))


def test_missing_weights_are_named_with_how_to_get_them(head, tmp_path):
    write_recordings(tmp_path / "data", head)
    plan = _plan(tmp_path, start=SCRATCH, encoder_source="nobody/has-these-weights")
    with pytest.raises(MissingDependencyError, match=r"nobody/has-these-weights") as caught:
        train_personal(plan)
    assert "hf download" in caught.value.hint


@pytest.mark.parametrize(
    ("switch", "gone"),
    [
        ("alignment_mask", None),
        ("wrinkle_features", "wrinkle_encoder"),
    ],
)
def test_switches_of_table_4_change_the_model_that_is_trained(head, tmp_path, switch, gone):
    write_recordings(tmp_path / "data", head)
    start = _start(head, tmp_path)
    quick = TrainingConfig(steps=2, batch=2, frames=20, warm_up=1, validate_every=1)
    plan = _plan(tmp_path, start=str(start), training=quick, **{switch: False})
    model = load_model(train_personal(plan).model, head).model
    with_it = load_model(start, head).model
    assert getattr(with_it.config, switch)
    assert not getattr(model.config, switch)
    ours, theirs = set(model.state_dict()), set(with_it.state_dict())
    assert ours != theirs
    if gone is not None:
        assert not any(name.startswith(gone) for name in ours)


def test_measured_wrinkles_give_the_model_their_size(head, tmp_path):
    folder = write_recordings(tmp_path / "data", head)
    for clip in range(4):
        np.save(folder / f"c{clip}.wrinkles.npy", np.full((25, 36), 0.1 * clip, np.float32))
    quick = TrainingConfig(steps=2, batch=2, frames=20, warm_up=1, validate_every=1)
    plan = _plan(tmp_path, start=str(_start(head, tmp_path)), training=quick)
    assert load_model(train_personal(plan).model, head).model.config.wrinkles == 36


def test_the_starters_lip_readout_fits_a_head_with_other_lips(head, tmp_path):
    write_recordings(tmp_path / "data", head)
    start = _start(replace(head, regions=head.regions | {"lips": np.arange(9)}), tmp_path)
    assert train_personal(_plan(tmp_path, start=str(start))).after > 0


def test_an_unknown_preset_is_refused(head, tmp_path):
    with pytest.raises(BadInputError, match="'huge'"):
        train_personal(_plan(tmp_path, start=SCRATCH, preset="huge"))


def test_a_run_records_its_settings_and_is_not_resumed_with_others(head, tmp_path):
    write_recordings(tmp_path / "data", head)
    quick = TrainingConfig(steps=2, batch=2, frames=20, warm_up=1, validate_every=1)
    plan = _plan(tmp_path, start=str(_start(head, tmp_path)), training=quick)
    outcome = train_personal(plan)
    record = json.loads((tmp_path / "run" / RECORD).read_text())
    assert record["plan"]["training"]["seed"] == outcome.seed == 0
    with pytest.raises(BadInputError, match=r"other settings: name 'personal' \(now 'else'\)"):
        train_personal(replace(plan, name="else"))


@pytest.fixture(scope="module")
def flame(tmp_path_factory):
    """A FLAME file of an invented person."""
    path = tmp_path_factory.mktemp("flame") / "flame.pkl"
    write_flame_pickle(path, flame_dressed(another_person())[0])
    return path


def _flame_params(folder, head):
    """Recordings whose motion is given in FLAME's parameters."""
    folder.mkdir()
    for clip in range(3):
        write_sound(folder / f"c{clip}.wav", clip)
        param = FlameParam.neutral(head.vertex_count, 25)
        param.jaw_pose[:, 0] = 0.15 + 0.1 * np.sin(np.arange(25) / 4.0 + clip)
        save_flame_param(param, folder / "made.npz")
        with np.load(folder / "made.npz") as arrays:
            np.savez(folder / f"c{clip}.flame_param.npz", fps=np.float32(FPS), **arrays)
    (folder / "made.npz").unlink()


def _animated(tmp_path, model, flame):
    out = tmp_path / "talk"
    words = ["animate", str(tmp_path / "data" / "c0.wav"), "--out", str(out)]
    code = main([*words, "--head", str(flame), "--speech-model", str(model)])
    assert code == 0
    return Performance.load(out / "c0.performance.npz")


QUICK = TrainingConfig(
    steps=40, batch=2, frames=20, warm_up=2, validate_every=20, learning_rate=5e-3
)


def test_a_model_for_a_flame_head_starts_from_retargeted_targets_and_speaks(head, flame, tmp_path):
    owner = load_head(flame)
    _flame_params(tmp_path / "data", owner)
    start = str(_start(head, tmp_path))
    plan = _plan(tmp_path, head=str(flame), start=start, training=QUICK)
    outcome = train_personal(plan)
    assert outcome.after < 0.8 * outcome.before
    made = _animated(tmp_path, outcome.model, flame)
    assert (made.head, made.vertex_count) == (owner.id, owner.vertex_count)
    assert made.expression_names == head.expression_names


def test_a_new_model_for_a_flame_head_speaks_in_flames_own_expressions(
    flame, tmp_path, monkeypatch
):
    _small_presets(monkeypatch)
    owner = load_head(flame)
    _flame_params(tmp_path / "data", owner)
    plan = _plan(tmp_path, head=str(flame), start=SCRATCH, preset="starter", training=QUICK)
    outcome = train_personal(plan)
    made = _animated(tmp_path, outcome.model, flame)
    assert made.expression_names == owner.expression_names
    jaw = made.expression[:, owner.expression_index("jawOpen")]
    assert jaw.mean() == pytest.approx(0.5, abs=0.2)


def test_a_model_of_a_flame_head_is_refused_on_another_head(head, flame, tmp_path, monkeypatch):
    _small_presets(monkeypatch)
    owner = load_head(flame)
    path = tmp_path / "mine.safetensors"
    config = for_head(PRESETS["starter"], replace(owner, regions={"lips": np.arange(9)}))
    save_model(path, SpeechModel(config), owner, "mine")
    with pytest.raises(BadInputError, match=rf"mine\.safetensors is for the head '{owner.id}'"):
        predict(load_speech(_sound(tmp_path)), head, FPS, model=str(path))


def _sound(tmp_path):
    write_sound(tmp_path / "c.wav", 0)
    return tmp_path / "c.wav"
