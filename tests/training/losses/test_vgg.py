# SPDX-License-Identifier: GPL-3.0-or-later
"""VGG16 and AlexNet against the published layouts, worked key by key."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d, max_pool2d

from engine.core.errors import BadInputError
from tests.training.losses.weight_files import alexnet_tensors, vgg16_tensors
from training.losses.vgg import alexnet, vgg16


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(1, 3, 48, 40, generator=torch.Generator().manual_seed(2))


def test_vgg16(pictures):
    tensors = vgg16_tensors()
    values, expected = pictures, []
    for block in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)):
        if block[0]:
            values = max_pool2d(values, 2)
        for index in block:
            name = f"features.{index}"
            values = conv2d(values, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=1)
            values = values.relu()
        expected.append(values)
    seen = vgg16(tensors)(pictures)
    for ours, theirs in zip(seen, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_alexnet():
    pictures = torch.rand(1, 3, 80, 70, generator=torch.Generator().manual_seed(3))
    tensors = alexnet_tensors()
    values, expected = pictures, []
    for index, stride, padding in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
        if index in {3, 6}:
            values = max_pool2d(values, 3, 2)
        name = f"features.{index}"
        values = conv2d(
            values, tensors[f"{name}.weight"], tensors[f"{name}.bias"], stride, padding
        ).relu()
        expected.append(values)
    for ours, theirs in zip(alexnet(tensors)(pictures), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_mean_of_imagenet_becomes_zero():
    network = vgg16(vgg16_tensors(), layers=("relu1_2",))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    assert float(network.normalised(mean).abs().max()) < 1e-6


def test_a_tensor_of_another_shape_is_named():
    tensors = vgg16_tensors() | {"features.5.weight": torch.zeros(2, 2, 3, 3)}
    with pytest.raises(BadInputError, match=r"features\.5\.weight.*\(128, 64, 3, 3\)"):
        vgg16(tensors)
