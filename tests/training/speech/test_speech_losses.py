# SPDX-License-Identifier: GPL-3.0-or-later
"""The factored losses against dense vertices."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.core.errors import BadInputError
from engine.motion.model.checkpoint import set_basis
from engine.motion.model.config import STARTER, for_head
from engine.motion.model.network import Motion, SpeechModel
from training.losses.speech import LossWeights, SpeechLoss

T = 6


@pytest.fixture
def setting(head):
    torch.manual_seed(0)
    config = for_head(replace(STARTER, dimension=8, heads=2, feed_forward=8), head)
    model = SpeechModel(config)
    set_basis(model, head)
    loss = SpeechLoss(head, torch.from_numpy(head.expression_basis), torch.ones(24))
    return model, loss


def _motion(head, weights, **changes):
    E = len(head.expression_names)
    L = len(head.regions["lips"])
    parts = {
        "weights": weights,
        "expression": torch.zeros(1, T, E),
        "lips": torch.zeros(1, T, L, 3),
        "wrinkles": torch.zeros(1, T, 24),
    }
    return Motion(**(parts | changes))


def _still(head):
    E = len(head.expression_names)
    return {
        "weights": torch.zeros(1, T, E),
        "expression": torch.zeros(1, T, E),
        "wrinkles": torch.zeros(1, T, 24),
        "present": torch.ones(1, T),
    }


def _dense(head, weights):
    return np.einsum("btk,kvc->btvc", weights.numpy(), head.expression_basis) * 1000


def test_a_perfect_prediction_costs_nothing(head, setting):
    model, loss = setting
    weights = torch.rand(1, T, len(head.expression_names))
    lips = torch.from_numpy(_dense(head, weights)[:, :, head.regions["lips"]])
    motion = _motion(head, weights, lips=lips.float(), expression=weights)
    terms = loss(model, motion, **(_still(head) | {"weights": weights, "expression": weights}))
    assert float(terms.total) < 1e-4


def test_the_vertex_error_is_the_dense_one(head, setting):
    model, loss = setting
    ours = torch.rand(1, T, len(head.expression_names)) * 0.3
    terms = loss(model, _motion(head, ours), **_still(head))
    expected = np.square(_dense(head, ours)).sum(-1).mean()
    assert float(terms.vertices) == pytest.approx(expected, rel=1e-4)


def test_the_vertex_error_of_a_learned_basis_is_the_dense_one(head):
    torch.manual_seed(1)
    E = len(head.expression_names)
    small = replace(STARTER, dimension=8, heads=2, feed_forward=8, learned_basis=True)
    model = SpeechModel(for_head(replace(small, components=4), head))
    torch.nn.init.normal_(model.mapper.basis, std=1e-3)
    loss = SpeechLoss(head, torch.from_numpy(head.expression_basis), torch.ones(24))
    ours, true = torch.rand(1, T, 4), torch.rand(1, T, E) * 0.2
    terms = loss(model, _motion(head, ours), **(_still(head) | {"weights": true}))
    with torch.no_grad():
        predicted = model.mapper.offsets(ours).numpy() * 1000
    expected = np.square(predicted - _dense(head, true)).sum(-1).mean()
    assert float(terms.vertices.detach()) == pytest.approx(expected, rel=1e-3)
    terms.total.backward()
    assert model.mapper.basis.grad.abs().max() > 0


def test_the_lip_loss_reads_the_lip_encoder_alone(head, setting):
    model, loss = setting
    true = torch.rand(1, T, len(head.expression_names)) * 0.2
    terms = loss(model, _motion(head, true), **(_still(head) | {"weights": true}))
    expected = np.square(_dense(head, true)[:, :, head.regions["lips"]]).mean()
    assert float(terms.lip) == pytest.approx(expected, rel=1e-4)
    assert float(terms.vertices) < 1e-6


def test_the_lip_loss_as_it_is_printed_is_a_norm(head, setting):
    model, loss = setting
    true = torch.rand(1, T, len(head.expression_names)) * 0.2
    terms = loss(model, _motion(head, true), **(_still(head) | {"weights": true}))
    dense = _dense(head, true)[0][:, head.regions["lips"]]
    expected = (np.linalg.norm(dense.reshape(T, -1), axis=1) / np.sqrt(dense.shape[1])).mean()
    assert float(terms.lip_norm) == pytest.approx(expected, rel=1e-4)


def test_bilabials_cost_by_all_vertices_where_they_are_said(head, setting):
    model, loss = setting
    wide = torch.zeros(1, T, len(head.expression_names))
    wide[:, 2:, head.expression_index("jawOpen")] = 0.5
    still = _still(head)
    early, late = (torch.tensor([[float(i in said) for i in range(T)]]) for said in ((0, 1), (4,)))
    assert float(loss(model, _motion(head, wide), **still, bilabials=early).bilabial) < 1e-6
    found = float(loss(model, _motion(head, wide), **still, bilabials=late).bilabial)
    squared = np.square(_dense(head, wide)[0, 4]).sum(axis=-1).mean()
    assert found == pytest.approx(squared / T, rel=1e-3)


def test_motion_and_absolute_errors_are_those_of_all_vertices(head, setting):
    model, loss = setting
    loss.weigh = replace(loss.weigh, absolute=1.0)
    ours = torch.rand(1, T, len(head.expression_names)) * 0.2
    terms = loss(model, _motion(head, ours), **_still(head))
    dense = _dense(head, ours)[0]
    assert float(terms.absolute) == pytest.approx(np.abs(dense).mean(), rel=1e-3)
    moved = np.square(np.diff(dense, axis=0)).sum(axis=-1).mean()
    assert float(terms.motion) == pytest.approx(moved, rel=1e-3)


def test_an_open_mouth_costs_more_where_it_should_be_shut(head, setting):
    model, loss = setting
    jaw = head.expression_index("jawOpen")
    shut = torch.zeros(1, T, len(head.expression_names))
    open_, wide = shut.clone(), shut.clone()
    open_[..., jaw], wide[..., jaw] = 0.3, 0.6
    still = _still(head)
    at_rest = loss(model, _motion(head, open_), **still).gap
    open_anyway = loss(model, _motion(head, wide), **(still | {"weights": open_})).gap
    assert float(at_rest / open_anyway) == pytest.approx(LossWeights().touch, rel=1e-3)


def test_a_lip_that_misses_the_teeth_costs_more_where_it_should_bite(head, setting):
    model, loss = setting
    roll, jaw = head.expression_index("mouthRollLower"), head.expression_index("jawOpen")
    bite = torch.zeros(1, T, len(head.expression_names))
    bite[..., roll], bite[..., jaw] = 0.86, 0.09
    bite[..., head.expression_index("mouthUpperUpLeft")] = 0.2
    bite[..., head.expression_index("mouthUpperUpRight")] = 0.2
    missed = bite.clone()
    missed[..., roll] = 0.3
    elsewhere = bite.clone()
    elsewhere[..., jaw] = 0.6
    also_missed = elsewhere.clone()
    also_missed[..., roll] = 0.3
    still = _still(head)
    biting = loss(model, _motion(head, missed), **(still | {"weights": bite})).bite
    open_ = loss(model, _motion(head, also_missed), **(still | {"weights": elsewhere})).bite
    assert float(biting / open_) == pytest.approx(LossWeights().touch, rel=1e-3)


def test_lips_that_close_while_speaking_are_to_press_and_lips_at_rest_are_not(head, setting):
    model, loss = setting
    jaw, close = head.expression_index("jawOpen"), head.expression_index("mouthClose")
    parted, shut, pressed = (torch.zeros(1, T, len(head.expression_names)) for _ in range(3))
    for weights, closing in ((parted, 0.10), (shut, 0.16), (pressed, 0.25)):
        weights[..., jaw], weights[..., close] = 0.15, closing
    still = _still(head)

    def lacks(ours, true):
        return float(loss(model, _motion(head, ours), **(still | {"weights": true})).closure)

    assert lacks(parted, shut) > lacks(shut, shut) > lacks(pressed, shut) == 0.0
    assert lacks(parted, torch.zeros_like(shut)) == 0.0
    assert lacks(parted, parted) == 0.0


def test_frames_behind_the_end_of_a_clip_count_for_nothing(head, setting):
    model, loss = setting
    ours = torch.rand(1, T, len(head.expression_names))
    still = _still(head)
    some = still | {"present": torch.tensor([[1.0, 1, 1, 0, 0, 0]])}
    wild = ours.clone()
    wild[:, 3:] += 5.0
    first = loss(model, _motion(head, ours), **some)
    second = loss(model, _motion(head, wild), **some)
    torch.testing.assert_close(first.total, second.total)


def test_a_constant_error_has_no_velocity(head, setting):
    model, loss = setting
    ours = torch.full((1, T, len(head.expression_names)), 0.1)
    assert float(loss(model, _motion(head, ours), **_still(head)).velocity) < 1e-6


def test_without_wrinkles_there_is_no_wrinkle_loss(head, setting):
    model, loss = setting
    zero = torch.zeros(1, T, len(head.expression_names))
    terms = loss(model, _motion(head, zero, wrinkles=None), **_still(head))
    assert float(terms.wrinkle) == 0.0


def test_a_head_without_lips_is_refused(head):
    with pytest.raises(BadInputError, match="lips"):
        SpeechLoss(
            replace(head, regions={}), torch.from_numpy(head.expression_basis), torch.ones(24)
        )
