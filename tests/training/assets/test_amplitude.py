# SPDX-License-Identifier: GPL-3.0-or-later
"""A damped model gets the amplitude of the truth back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.motion.model.config import SpeechModelConfig
from engine.motion.model.network import SpeechModel
from training.assets.amplitude import amplify, amplitudes
from training.speech.sequences import SpeechSequence

NAMES = ("jawOpen", "mouthClose", "mouthPucker", "mouthFunnel")
SIZES = SpeechModelConfig(
    features=3, dimension=8, heads=2, feed_forward=8, past=2, ahead=1, wrinkles=2,
    lip_vertices=3, expressions=4, components=4, vertices=5, dropout=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = SpeechModel(SIZES).eval()
    torch.nn.init.normal_(made.mapper.weights.weight, std=0.5)
    return made


def sequence(model, scale, noise=0.0):
    """Truth that is what the model says, times so much; slow, so that every rate shows it."""
    rng = np.random.default_rng(0)
    knots = rng.normal(size=(9, 3))
    features = np.stack([np.interp(np.linspace(0, 8, 800), range(9), k) for k in knots.T], axis=1)
    values = torch.from_numpy(features.astype(np.float16).astype(np.float32))[None]
    with torch.inference_mode():
        weights = model(values, 400, torch.zeros(1, 2)).weights[0].numpy()
    wild = rng.normal(size=weights.shape) * np.asarray(noise)
    return SpeechSequence(
        "clip",
        features[None].astype(np.float16),
        (weights * np.asarray(scale) + wild).astype(np.float32),
        np.zeros((400, 4), np.float16),
        np.zeros((400, 2), np.float16),
        np.zeros(2, np.float32),
    )


def test_a_damped_expression_gets_its_amplitude_back(model):
    found = amplitudes(model, NAMES, [sequence(model, (1.0, 1.0, 1.2, 1.0))], (0,))
    np.testing.assert_allclose(found, (1.0, 1.0, 1.2, 1.0), atol=0.02)


def test_the_jaw_gets_half_and_takes_the_closing_along(model):
    found = amplitudes(model, NAMES, [sequence(model, (1.2, 1.0, 1.0, 1.0))], (0,))
    np.testing.assert_allclose(found[:2], 1.1, atol=0.01)


def test_no_expression_is_damped_and_none_runs_wild(model):
    found = amplitudes(model, NAMES, [sequence(model, (1.0, 1.0, 0.5, 9.0))], (0,))
    np.testing.assert_allclose(found[2:], (1.0, 1.3), atol=0.01)


def test_what_is_not_known_stays_damped(model):
    found = amplitudes(model, NAMES, [sequence(model, 1.0, noise=(0, 0, 3.0, 0))], (0,))
    assert found[2] == 1.0


def test_the_factors_are_built_into_the_last_layer():
    torch.manual_seed(1)
    fresh = SpeechModel(SIZES).eval()
    torch.nn.init.normal_(fresh.mapper.weights.bias)
    features = torch.randn(1, 100, 3)
    with torch.inference_mode():
        before = fresh(features, 50).weights
        amplify(fresh, np.array([1.0, 2.0, 0.5, 1.0]))
        after = fresh(features, 50).weights
    torch.testing.assert_close(after, before * torch.tensor([1.0, 2.0, 0.5, 1.0]))
