# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from engine.motion.performance import Performance
from training.metrics.vertex import paired_chunks, vertex_errors

LIPS, UPPER = np.array([0, 1]), np.array([2])


def errors(predicted, truth, lips=LIPS, upper=UPPER, size=64):
    chunks = [(predicted[i : i + size], truth[i : i + size]) for i in range(0, len(truth), size)]
    return vertex_errors(chunks, lips, upper)


def test_equal_motions_have_no_error():
    motion = np.random.default_rng(0).normal(size=(7, 3, 3))
    found = errors(motion, motion)
    assert (found.lve, found.lve_squared, found.mve, found.upper_face, found.fdd) == (0,) * 5
    assert found.frames == 7


def test_a_case_computed_by_hand():
    truth = np.zeros((2, 3, 3))
    predicted = np.zeros((2, 3, 3))
    predicted[0, 0] = (3, 4, 0)  # distance 5
    predicted[0, 1] = (1, 0, 0)
    predicted[1, 1] = (0, 0, 2)
    truth[1, 2] = (0, 2, 0)  # still in the prediction, moving in truth: squared norms 0 and 4
    found = errors(predicted, truth)
    assert found.lve == pytest.approx((5 + 2) / 2)
    assert found.lve_squared == pytest.approx((25 + 4) / 2)
    assert found.mve == pytest.approx((5 + 1 + 2 + 2) / 6)
    assert found.upper_face == pytest.approx(2 / 2)
    assert found.fdd == pytest.approx(2.0)


def test_dynamics_deviation_is_signed():
    still, moving = np.zeros((4, 3, 3)), np.zeros((4, 3, 3))
    moving[::2, 2] = 1.0
    assert errors(still, moving).fdd > 0
    assert errors(moving, still).fdd < 0


@given(st.integers(1, 9), st.integers(0, 2**31))
@settings(deadline=None)
def test_chunks_do_not_change_the_result(size, seed):
    rng = np.random.default_rng(seed)
    predicted, truth = rng.normal(size=(2, 9, 4, 3))
    whole = errors(predicted, truth)
    split = errors(predicted, truth, size=size)
    for name in ("lve", "lve_squared", "mve", "upper_face", "fdd"):
        assert getattr(split, name) == pytest.approx(getattr(whole, name), rel=1e-12, abs=1e-12)


def test_dynamics_agree_with_numpy():
    rng = np.random.default_rng(3)
    predicted, truth = rng.normal(size=(2, 50, 5, 3))
    upper = np.array([1, 3, 4])

    def spread(motion):
        return (motion[:, upper] ** 2).sum(-1).std(axis=0).mean()

    found = errors(predicted, truth, upper=upper, size=8)
    assert found.fdd == pytest.approx(spread(truth) - spread(predicted))


@pytest.mark.parametrize(("lips", "upper", "frames"), [([], [1], 2), ([1], [], 2), ([1], [1], 0)])
def test_nothing_to_compare_is_an_error(lips, upper, frames):
    motion = np.zeros((frames, 3, 3))
    with pytest.raises(BadInputError):
        errors(motion, motion, np.array(lips, int), np.array(upper, int))


def performance(frames=3, fps=25.0, vertices=4):
    weights = np.ones((frames, 1), np.float32)
    basis = np.ones((1, vertices, 3), np.float32)
    return Performance(fps, weights, basis, weights, ("jawOpen",), "h")


def test_performances_are_walked_side_by_side():
    chunks = list(paired_chunks(performance(5), performance(5), frames=2))
    assert [len(a) for a, _ in chunks] == [2, 2, 1]


@pytest.mark.parametrize("other", [{"frames": 4}, {"fps": 30.0}, {"vertices": 5}])
def test_performances_of_different_clips_are_refused(other):
    with pytest.raises(BadInputError, match="differ"):
        list(paired_chunks(performance(), performance(**other)))


def test_the_squared_error_is_that_of_torchmetrics():
    # torchmetrics.functional.multimodal.lve.lip_vertex_error gives this for the same motions.
    predicted, truth = np.random.default_rng(0).normal(size=(2, 30, 100, 3))
    found = errors(predicted, truth, lips=np.array([3, 5, 8, 50]))
    assert found.lve_squared == pytest.approx(12.418515072495325, rel=1e-12)


def test_it_agrees_with_torchmetrics_where_that_is_installed():
    pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")
    import torch
    from torchmetrics.functional.multimodal.lve import lip_vertex_error

    predicted, truth = np.random.default_rng(1).normal(size=(2, 20, 40, 3))
    lips = [2, 3, 17]
    theirs = lip_vertex_error(torch.from_numpy(predicted), torch.from_numpy(truth), lips)
    found = errors(predicted, truth, lips=np.array(lips))
    assert found.lve_squared == pytest.approx(float(theirs), rel=1e-9)
