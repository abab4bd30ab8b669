# SPDX-License-Identifier: GPL-3.0-or-later
"""PSNR and SSIM against values worked out by hand and the field's own implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from engine.core.errors import BadInputError
from training.metrics.image import color_corrected, psnr, ssim


@pytest.fixture(scope="module")
def pictures():
    chance = torch.Generator().manual_seed(8)
    true = torch.rand(40, 33, 3, generator=chance)
    noise = torch.randn(40, 33, 3, generator=chance)
    return (true + 0.1 * noise).clamp(0, 1), true


def test_psnr_by_hand():
    true = torch.zeros(2, 2, 3)
    assert psnr(true + 0.1, true) == pytest.approx(20.0, abs=1e-5)
    assert psnr(true, true) == math.inf


def test_psnr_clamps_as_a_file_would():
    assert psnr(torch.full((2, 2, 3), 1.7), torch.ones(2, 2, 3)) == math.inf


def test_psnr_of_a_region():
    true = torch.zeros(2, 2, 3)
    ours = true.clone()
    ours[0, 0] = 0.01
    ours[1, 1] = 1.0
    mask = torch.zeros(2, 2, dtype=torch.bool)
    mask[0] = True
    assert psnr(ours, true, mask) == pytest.approx(-10 * math.log10(0.0001 / 2))
    assert math.isnan(psnr(ours, true, torch.zeros(2, 2, dtype=torch.bool)))


def test_ssim_by_scipy(pictures):
    x, y = (picture.double().numpy() for picture in pictures)
    d = np.arange(-5, 6)
    weights = np.exp(-(d**2) / (2 * 1.5**2))
    weights /= weights.sum()

    def mean(values):
        columns = correlate1d(values, weights, axis=0, mode="mirror")
        return correlate1d(columns, weights, axis=1, mode="mirror")

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    values = (2 * mx * my + 1e-4) * (2 * cov + 9e-4)
    values /= (mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)
    assert ssim(*pictures) == pytest.approx(float(values.mean()), abs=1e-9)


def test_ssim_and_psnr_as_torchmetrics(pictures):
    image = pytest.importorskip("torchmetrics.functional.image")
    ours, true = (picture.permute(2, 0, 1)[None] for picture in pictures)
    theirs = image.structural_similarity_index_measure(ours, true, data_range=1.0)
    assert ssim(*pictures) == pytest.approx(float(theirs), abs=1e-5)
    theirs = image.peak_signal_noise_ratio(ours, true, data_range=1.0)
    assert psnr(*pictures) == pytest.approx(float(theirs), abs=1e-3)


def test_equal_pictures_are_alike(pictures):
    assert ssim(pictures[0], pictures[0]) == pytest.approx(1.0)


def test_other_sizes_are_refused(pictures):
    with pytest.raises(BadInputError, match="cannot be compared"):
        psnr(pictures[0], pictures[1][:-1])
    with pytest.raises(BadInputError, match="at least 11×11"):
        ssim(torch.rand(10, 40, 3), torch.rand(10, 40, 3))


def test_a_camera_with_colours_of_its_own_is_as_good_as_without_once_corrected():
    """What is left of an affine map of colours is nothing; of another picture much."""
    random = torch.Generator().manual_seed(0)
    alpha = torch.zeros(20, 24)
    alpha[4:16, 5:20] = 1.0
    ours = torch.rand(20, 24, 3, generator=random) * alpha[..., None]
    mix = torch.tensor([[0.8, 0.1, 0.0], [0.0, 0.7, 0.05], [0.1, 0.0, 0.6]])
    true = (ours @ mix + 0.08) * alpha[..., None]
    assert psnr(ours, true) < 25
    corrected = color_corrected(ours, true, alpha)
    assert psnr(corrected, true) > 80
    assert not corrected[alpha == 0].any()
    other = torch.rand(20, 24, 3, generator=random) * alpha[..., None]
    assert psnr(color_corrected(other, true, alpha), true) < 30
    # Too few pixels to tell a map from.
    assert color_corrected(ours, true, torch.zeros_like(alpha)) is ours
