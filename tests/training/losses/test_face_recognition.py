# SPDX-License-Identifier: GPL-3.0-or-later
"""The backbones against the published layouts, worked key by key with plain functions."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import batch_norm, conv2d, prelu

from engine.core.errors import BadInputError
from tests.training.losses.weight_files import ir_se_tensors, iresnet_tensors
from training.losses.face_recognition import face_backbone


def norm(tensors, name, values):
    keys = ("running_mean", "running_var", "weight", "bias")
    return batch_norm(values, *(tensors[f"{name}.{key}"] for key in keys), eps=1e-5)


def ir_se_by_hand(tensors, faces, strides):
    values = conv2d(faces, tensors["input_layer.0.weight"], padding=1)
    values = prelu(norm(tensors, "input_layer.1", values), tensors["input_layer.2.weight"])
    outputs = []
    for index, stride in enumerate(strides):
        unit = f"body.{index}"
        shortcut = values[:, :, ::stride, ::stride]
        if f"{unit}.shortcut_layer.0.weight" in tensors:
            weight = tensors[f"{unit}.shortcut_layer.0.weight"]
            shortcut = norm(
                tensors, f"{unit}.shortcut_layer.1", conv2d(values, weight, stride=stride)
            )
        inner = norm(tensors, f"{unit}.res_layer.0", values)
        inner = conv2d(inner, tensors[f"{unit}.res_layer.1.weight"], padding=1)
        inner = prelu(inner, tensors[f"{unit}.res_layer.2.weight"])
        inner = conv2d(inner, tensors[f"{unit}.res_layer.3.weight"], stride=stride, padding=1)
        inner = norm(tensors, f"{unit}.res_layer.4", inner)
        if f"{unit}.res_layer.5.fc1.weight" in tensors:
            pooled = inner.mean((2, 3), keepdim=True)
            pooled = conv2d(pooled, tensors[f"{unit}.res_layer.5.fc1.weight"]).relu()
            pooled = conv2d(pooled, tensors[f"{unit}.res_layer.5.fc2.weight"]).sigmoid()
            inner = inner * pooled
        values = shortcut + inner
        outputs.append(values)
    return outputs


def iresnet_by_hand(tensors, faces, stages):
    values = norm(tensors, "bn1", conv2d(faces, tensors["conv1.weight"], padding=1))
    values = prelu(values, tensors["prelu.weight"])
    outputs = []
    for number, units in enumerate(stages, start=1):
        for index in range(units):
            unit, stride = f"layer{number}.{index}", 2 if index == 0 else 1
            shortcut = values
            if index == 0:
                weight = tensors[f"{unit}.downsample.0.weight"]
                shortcut = norm(
                    tensors, f"{unit}.downsample.1", conv2d(values, weight, stride=stride)
                )
            inner = norm(tensors, f"{unit}.bn1", values)
            inner = conv2d(inner, tensors[f"{unit}.conv1.weight"], padding=1)
            inner = prelu(norm(tensors, f"{unit}.bn2", inner), tensors[f"{unit}.prelu.weight"])
            inner = conv2d(inner, tensors[f"{unit}.conv2.weight"], stride=stride, padding=1)
            values = shortcut + norm(tensors, f"{unit}.bn3", inner)
        outputs.append(values)
    return outputs


@pytest.fixture(scope="module")
def faces():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("squeeze", [4, 0])
def test_ir_se_layout(faces, squeeze):
    tensors = ir_se_tensors(squeeze=squeeze)
    expected = ir_se_by_hand(tensors, faces, strides=(2, 1, 2, 1, 2))
    seen = face_backbone(tensors)(faces)
    assert len(seen) == 3
    for ours, theirs in zip(seen, (expected[1], expected[3], expected[4]), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_iresnet_layout(faces):
    tensors = iresnet_tensors()
    expected = iresnet_by_hand(tensors, faces, stages=(2, 1, 2, 1))
    seen = face_backbone(tensors)(faces)
    for ours, theirs in zip(seen, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_stages_halve_the_picture_as_in_the_published_file():
    # In model_ir_se50.pth the first unit strides without widening, and each later stage widens.
    units = [(8, 8), (8, 8), (8, 8), (8, 10), (10, 12), (12, 12), (12, 14)]
    seen = face_backbone(ir_se_tensors(units))(torch.zeros(1, 3, 112, 112))
    shapes = [tuple(stage.shape[1:]) for stage in seen]
    assert shapes == [(8, 56, 56), (10, 28, 28), (12, 14, 14), (14, 7, 7)]


def test_weights_take_no_gradient_and_stay_in_evaluation_mode(faces):
    network = face_backbone(ir_se_tensors())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    first, again = network(faces), network(faces)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_file_of_something_else_is_refused():
    with pytest.raises(BadInputError, match="no face recognition backbone"):
        face_backbone({"features.0.weight": torch.zeros(1)})


def test_a_missing_tensor_is_named():
    tensors = ir_se_tensors()
    del tensors["body.2.res_layer.4.running_var"]
    with pytest.raises(BadInputError, match=r"body\.2\.res_layer\.4\.running_var"):
        face_backbone(tensors)
