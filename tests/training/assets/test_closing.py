# SPDX-License-Identifier: GPL-3.0-or-later
"""A trained model's readout of mouthClose, fitted to closures."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.motion.lip_contact import lip_gap
from engine.motion.model.checkpoint import set_basis
from engine.motion.model.config import STARTER, for_head
from engine.motion.model.network import SpeechModel
from training.assets.closing import fit_closing
from training.speech.sequences import SpeechSequence, whole

T = 200


@pytest.fixture
def model(head):
    torch.manual_seed(0)
    small = replace(STARTER, dimension=16, heads=2, feed_forward=16, past=2, ahead=0)
    made = SpeechModel(for_head(small, head)).eval()
    set_basis(made, head)
    with torch.no_grad():
        # It holds the jaw open by 2 mm or so whatever is said.
        made.mapper.weights.weight.zero_()
        made.mapper.weights.bias[head.expression_index("jawOpen")] = 0.08
    return made


def _clip(head, closing):
    """A clip whose first feature says when the lips close behind an open jaw."""
    features = np.random.default_rng(0).normal(size=(1, 2 * T, STARTER.features)) * 0.1
    features[0, :, 0] += 3.0 * np.repeat(closing, 2)
    weights = np.zeros((T, len(head.expression_names)), np.float32)
    weights[:, head.expression_index("jawOpen")] = 0.08
    weights[:, head.expression_index("mouthClose")] = 0.09 * closing
    return SpeechSequence(
        "clip",
        features.astype(np.float16),
        weights,
        weights.astype(np.float16),
        np.zeros((T, STARTER.wrinkles), np.float16),
        np.zeros(2, np.float32),
    )


def _gap(model, head, clip):
    with torch.inference_mode():
        batch = whole(clip, 0)
        weights = model(batch.features, T, batch.style).weights[0].numpy()
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    return gap.apart(weights).max(axis=1) * 1000


def test_lips_that_close_overlap_afterwards_and_others_stay_open(head, model):
    closing = np.zeros(T)
    closing[40:60] = closing[120:150] = 1.0
    clip = _clip(head, closing)
    before = _gap(model, head, clip)
    fit_closing(model, head, [clip], (0,))
    after = _gap(model, head, clip)
    inside = (closing > 0) & (np.roll(closing, 2) > 0) & (np.roll(closing, -2) > 0)
    outside = (closing == 0) & (np.roll(closing, 4) == 0) & (np.roll(closing, -4) == 0)
    assert before.min() > 1.0
    assert np.median(after[inside]) < 0.1
    assert np.median(after[outside]) > 0.7 * np.median(before[outside])


def test_nothing_but_the_readout_of_mouth_close_changes(head, model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    clip = _clip(head, (np.arange(T) % 50 < 10).astype(float))
    fit_closing(model, head, [clip], (0,))
    close = head.expression_index("mouthClose")
    for name, value in model.state_dict().items():
        changed = (value != before[name]).nonzero()
        if name.startswith("mapper.weights"):
            assert set(changed[:, 0].tolist()) == {close}
        else:
            assert not len(changed), name
