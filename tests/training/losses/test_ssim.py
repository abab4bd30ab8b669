# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled SSIM against the definition, window by window, and against float64 autograd."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from training.losses import ssim as ssim_module
from training.losses.ssim import plain_ssim, ssim


def pictures(height, width, channels=3, seed=0):
    chance = torch.Generator().manual_seed(seed)
    true = torch.rand(height, width, channels, generator=chance)
    noise = torch.randn(height, width, channels, generator=chance)
    return (true + 0.2 * noise).clamp(0, 1), true


def by_definition(ours, true):
    """Wang et al. 2004, one window at a time, black beyond the border."""
    x, y = (np.pad(picture.double().numpy(), ((5, 5), (5, 5), (0, 0))) for picture in (ours, true))
    d = np.arange(-5, 6)
    weights = np.exp(-(d[:, None] ** 2 + d[None] ** 2) / (2 * 1.5**2))[..., None]
    weights /= weights.sum()
    values = []
    for row in range(ours.shape[0]):
        for column in range(ours.shape[1]):
            a = x[row : row + 11, column : column + 11]
            b = y[row : row + 11, column : column + 11]
            ma, mb = (weights * a).sum((0, 1)), (weights * b).sum((0, 1))
            va = (weights * (a - ma) ** 2).sum((0, 1))
            vb = (weights * (b - mb) ** 2).sum((0, 1))
            cov = (weights * (a - ma) * (b - mb)).sum((0, 1))
            values.append(
                (2 * ma * mb + 1e-4)
                * (2 * cov + 9e-4)
                / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
            )
    return float(np.mean(values))


@pytest.mark.parametrize("size", [(13, 17, 3), (40, 12, 1), (3, 5, 3)])
def test_value_is_the_definition(size):
    ours, true = pictures(*size)
    expected = by_definition(ours, true)
    assert float(ssim(ours, true)) == pytest.approx(expected, abs=1e-6)
    assert float(plain_ssim(ours.double(), true.double())) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 40),
    channels=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_gradient_is_that_of_float64_autograd(height, width, channels, seed):
    ours, true = pictures(height, width, channels, seed)
    fast, slow = ours.clone().requires_grad_(), ours.double().requires_grad_()
    (3 * ssim(fast, true)).backward()
    (3 * plain_ssim(slow, true.double())).backward()
    error = (fast.grad - slow.grad).norm() / slow.grad.norm()
    assert float(error) < 1e-4


def test_pictures_that_are_no_block_of_memory():
    ours, true = pictures(20, 30)
    turned = ours.transpose(0, 1).contiguous().transpose(0, 1)
    assert float(ssim(turned, true)) == float(ssim(ours, true))


def test_equal_bits_on_one_thread_and_on_more():
    ours, true = pictures(150, 40)
    seen = []
    before, most = numba.get_num_threads(), numba.config.NUMBA_NUM_THREADS
    try:
        for threads in (1, most, most):
            numba.set_num_threads(threads)
            leaf = ours.clone().requires_grad_()
            value = ssim(leaf, true)
            value.backward()
            seen.append((value.item(), leaf.grad))
    finally:
        numba.set_num_threads(before)
    assert all(value == seen[0][0] and torch.equal(grad, seen[0][1]) for value, grad in seen)


def test_equal_pictures_are_at_the_top():
    ours, _ = pictures(30, 30)
    leaf = ours.clone().requires_grad_()
    value = ssim(leaf, ours)
    value.backward()
    assert value.item() == pytest.approx(1.0, abs=1e-6)
    assert float(leaf.grad.abs().max()) < 1e-7


def test_other_sizes_are_refused():
    with pytest.raises(BadInputError, match="cannot be compared"):
        ssim(torch.rand(4, 5, 3), torch.rand(5, 4, 3))


def test_the_package_fused_ssim_is_used_where_it_is(monkeypatch):
    asked = []

    def stand_in(x, y, padding):
        asked.append((x.shape, padding))
        return torch.tensor(0.5)

    monkeypatch.setitem(sys.modules, "fused_ssim", SimpleNamespace(fused_ssim=stand_in, __spec__=1))
    ssim_module._fused_ssim.cache_clear()
    try:
        found = ssim_module._fused_ssim()
        assert found is stand_in
    finally:
        ssim_module._fused_ssim.cache_clear()


def test_a_second_derivative_is_refused_rather_than_wrong():
    ours, true = pictures(20, 24)
    ours.requires_grad_()
    weight = torch.ones((), requires_grad=True)
    (first,) = torch.autograd.grad(weight * ssim(ours, true), ours, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
