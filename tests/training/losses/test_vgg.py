# SPDX-License-Identifier: GPL-3.0-or-later
"""VGG16 against the published layout, worked key by key."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d, max_pool2d

from engine.core.errors import BadInputError
from tests.training.losses.weight_files import vgg16_tensors
from training.losses.vgg import Vgg16Features


def test_vgg16():
    pictures = torch.rand(1, 3, 48, 40, generator=torch.Generator().manual_seed(2))
    tensors = vgg16_tensors()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    values, expected = (pictures - mean) / std, []
    for block in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21)):
        if block[0]:
            values = max_pool2d(values, 2)
        for index in block:
            name = f"features.{index}"
            values = conv2d(values, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=1)
            values = values.relu()
        expected.append(values)
    for ours, theirs in zip(Vgg16Features(tensors)(pictures), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_tensor_of_another_shape_is_named():
    tensors = vgg16_tensors() | {"features.5.weight": torch.zeros(2, 2, 3, 3)}
    with pytest.raises(BadInputError, match=r"features\.5\.weight.*\(128, 64, 3, 3\)"):
        Vgg16Features(tensors)
