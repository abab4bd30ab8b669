# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances by a learned model: lips that settle, styles, and an upper face of its own."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.audio.loading import speech_from_samples
from engine.core.errors import BadInputError, MissingDependencyError
from engine.heads import load_head
from engine.motion.articulation import Articulation
from engine.motion.encoders.registry import AudioFeatures
from engine.motion.learned import perform_learned, predict_learned, settled, tucked
from engine.motion.model.checkpoint import TrainedModel, save_model, set_basis
from engine.motion.model.config import STARTER, for_head
from engine.motion.model.network import SpeechModel
from engine.phonemes import Phone


@pytest.fixture(scope="module")
def head():
    return load_head("default")


@pytest.fixture(scope="module")
def trained(head):
    torch.manual_seed(0)
    small = replace(STARTER, dimension=16, heads=2, feed_forward=16, past=4)
    model = SpeechModel(for_head(small, head)).eval()
    torch.nn.init.normal_(model.mapper.weights.weight, std=0.1)
    set_basis(model, head)
    return TrainedModel(model, "tiny", "default", {})


def _gap(head, weights):
    upper, lower = head.landmarks["inner_lip_upper"], head.landmarks["inner_lip_lower"]
    basis = head.expression_basis[:, upper, 1] - head.expression_basis[:, lower, 1]
    return (weights @ basis).max(axis=1) * 1000


def _mouth(head, **weights):
    row = np.zeros((1, len(head.expression_names)), np.float32)
    for name, value in weights.items():
        row[0, head.expression_index(name)] = value
    return row


def _heard(seconds=2.0, *, phones=()):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(round(100 * seconds), 81)).astype(np.float32)
    return AudioFeatures(values, 100.0, 0.005, seconds, phones)


def test_lips_that_nearly_touch_do(head):
    nearly = _mouth(head, jawOpen=0.2, mouthClose=0.18)
    assert 0.1 < _gap(head, nearly)[0] < 1.0
    assert _gap(head, settled(nearly, head))[0] == pytest.approx(0.0, abs=0.01)


def test_an_open_mouth_is_left_alone(head):
    open_ = _mouth(head, jawOpen=0.2, mouthPucker=0.3)
    assert _gap(head, open_)[0] > 2.2
    np.testing.assert_array_equal(settled(open_, head), open_)


def test_lips_shut_from_further_where_a_p_b_or_m_was_heard(head):
    nearly = _mouth(head, jawOpen=0.075)
    assert 2.2 < _gap(head, nearly)[0] < 3.0
    np.testing.assert_array_equal(settled(nearly, head), nearly)
    shut = settled(nearly, head, np.ones(1))
    assert _gap(head, shut)[0] == pytest.approx(0.0, abs=0.01)


def test_a_model_that_opens_wide_overrules_a_sound_that_was_misheard(head):
    wide = _mouth(head, jawOpen=0.5)
    assert _gap(head, wide)[0] > 6.0
    np.testing.assert_array_equal(settled(wide, head, np.ones(1)), wide)


def test_a_mouth_on_its_way_opens_without_a_jump(head):
    path = np.concatenate([_mouth(head, jawOpen=x) for x in np.linspace(0.0, 0.3, 400)])
    gap = _gap(head, settled(path, head))
    assert (np.diff(gap) >= -1e-4).all()
    assert np.diff(gap).max() < 5 * np.diff(_gap(head, path)).max()


def test_a_lip_that_rolls_goes_under_the_teeth_where_an_f_was_heard(head):
    nearly = _mouth(head, jawOpen=0.1, mouthRollLower=0.5, mouthFunnel=0.2)
    made = tucked(nearly, head, np.ones(1))
    assert made[0, head.expression_index("mouthRollLower")] == pytest.approx(0.86)
    assert made[0, head.expression_index("mouthFunnel")] < 0.1
    np.testing.assert_array_equal(tucked(nearly, head, np.zeros(1)), nearly)


def test_a_lip_that_hardly_rolls_overrules_an_f_that_was_misheard(head):
    other = _mouth(head, jawOpen=0.3, mouthRollLower=0.1)
    np.testing.assert_array_equal(tucked(other, head, np.ones(1)), other)


def test_weights_end_in_their_range(head):
    wild = _mouth(head, jawOpen=-0.2, mouthSmileLeft=1.4)
    made = settled(wild, head)
    assert made.min() >= 0.0
    assert made.max() <= 1.0


def test_the_upper_face_is_a_layer_that_can_be_turned_off(head, trained):
    phones = (Phone("SIL", 0.0, 1.0), Phone("AA", 1.0, 8.0))
    heard = _heard(8.0, phones=phones)
    still = perform_learned(heard, head, 25.0, trained, settings=Articulation(liveliness=0.0))
    lively = perform_learned(heard, head, 25.0, trained)
    changed = np.abs(lively.weights - still.weights).max(axis=0) > 1e-6
    moved = {name for name, does in zip(head.expression_names, changed, strict=True) if does}
    assert "eyeBlinkLeft" in moved
    assert all(name.startswith(("eye", "brow")) for name in moved)


def test_expression_and_weights_are_the_same(head, trained):
    made = perform_learned(_heard(), head, 25.0, trained)
    np.testing.assert_array_equal(made.expression, made.weights)
    assert (made.frames, made.model) == (50, "tiny")


def test_default_settings_are_the_default_style(head, trained):
    plain = perform_learned(_heard(), head, 25.0, trained)
    default = perform_learned(
        _heard(), head, 25.0, trained, style={"articulation": 0.0, "smile": 0.0}
    )
    np.testing.assert_array_equal(plain.weights, default.weights)


def test_the_amplitude_of_the_rules_becomes_the_style(head, trained):
    louder = Articulation(jaw=1.5, lips=1.5)
    by_settings = perform_learned(_heard(), head, 25.0, trained, settings=louder)
    by_style = perform_learned(_heard(), head, 25.0, trained, style={"articulation": 1.0})
    np.testing.assert_array_equal(by_settings.weights, by_style.weights)


def test_a_model_file_speaks_for_a_clip(head, trained, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_model(path, trained.model, head, "tiny")
    rng = np.random.default_rng(0)
    speech = speech_from_samples(rng.normal(size=16_000).astype(np.float32) * 0.02, 16_000)
    made = predict_learned(speech, head, 24.0, model=path)
    assert made.frames == 24
    assert made.source_sha256 == speech.sha256


def test_a_model_that_changed_on_disk_is_read_again(head, trained, tmp_path):
    path = tmp_path / "tiny.safetensors"
    speech = speech_from_samples(np.zeros(16_000, np.float32), 16_000)
    for number, name in enumerate(("first", "second")):
        save_model(path, trained.model, head, name)
        os.utime(path, (number, number))
        assert predict_learned(speech, head, 24.0, model=path).model == name


def test_a_model_that_is_not_there_is_named(head, tmp_path):
    speech = speech_from_samples(np.zeros(16_000, np.float32), 16_000)
    with pytest.raises(MissingDependencyError, match=r"gone\.safetensors"):
        predict_learned(speech, head, 24.0, model=tmp_path / "gone.safetensors")


def test_an_impossible_rate_is_refused_before_listening(head):
    speech = speech_from_samples(np.zeros(16_000, np.float32), 16_000)
    with pytest.raises(BadInputError, match="frames per second"):
        predict_learned(speech, head, 500.0, model="nowhere.safetensors")
